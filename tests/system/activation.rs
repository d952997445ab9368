//! How the daemon is started by whoever first needs it, and how a client finds
//! the right one.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use fuse_promise_core::Status;
use fuse_promise_testkit::process::{Process, run};
use fuse_promise_testkit::{ProviderProcess, Session, Shape, Tree, mounts};
use support::wait_until;

const NAME: &str = "io.github.fuse_promise.Private1";
const ROOT: &str = "/io/github/fuse_promise";
const MANAGER: &str = "io.github.fuse_promise.Private1.Manager";

/// The shapes that have a bus.
const BUSES: [Shape; 2] = [Shape::Systemd, Shape::BareBus];

fn tree() -> Tree {
    Tree::new().file("dir/a", 70_000)
}

/// `busctl --user get-property` of the root object.
fn property(session: &Session, name: &str) -> String {
    let words = ["--user", "get-property", NAME, ROOT, MANAGER, name];
    session.run("busctl", &words).ok()
}

#[test]
fn the_first_library_call_starts_the_daemon() {
    for shape in BUSES {
        let mut session = Session::idle(shape);
        assert_eq!(session.daemon_pid(), None);
        let mut provider = ProviderProcess::launch(&session, None);
        // Opening a context is no reason to start anything.
        assert_eq!(session.daemon_pid(), None);
        assert_eq!(provider.register(&[]), Ok(1));
        provider.publish(&tree()).check();
        assert!(session.daemon_pid().is_some());
    }
}

#[test]
fn busctl_starts_the_daemon() {
    for shape in BUSES {
        let mut session = Session::idle(shape);
        assert_eq!(property(&session, "Mount"), "s \"mounted\"\n");
        assert!(session.daemon_pid().is_some());
        assert!(session.is_mounted());
    }
}

#[test]
fn systemctl_starts_the_daemon() {
    let mut session = Session::idle(Shape::Systemd);
    session
        .systemd()
        .systemctl(&["start", "fuse-promised"])
        .ok();
    assert!(session.is_mounted());
    let pid = session.daemon_pid().unwrap();
    session.provider().publish(&tree()).check();
    assert_eq!(session.daemon_pid(), Some(pid));
}

/// The first line of the handshake is answered by the daemon and nobody else.
#[test]
fn a_connection_to_the_socket_starts_the_daemon() {
    let mut session = Session::idle(Shape::Systemd);
    let mut stream = UnixStream::connect(session.socket()).unwrap();
    let uid = rustix::process::getuid().as_raw().to_string();
    let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
    write!(stream, "\0AUTH EXTERNAL {hex}\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("OK "), "{line}");
    assert!(session.daemon_pid().is_some());
    // The name, requested before the daemon says that it is ready.
    session.start_daemon();
    assert!(session.is_mounted());
}

#[test]
fn a_library_without_a_bus_starts_the_daemon_by_the_socket() {
    let mut session = Session::idle(Shape::Systemd);
    let mut command = session.command("test-provider");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let log = session.dirs().log("test-provider");
    let mut provider = ProviderProcess::launch_command(command, &log);
    provider.register(&[]).unwrap();
    provider.publish(&tree()).check();
    assert!(session.daemon_pid().is_some());
}

#[test]
fn status_and_list_start_nothing_unless_told_to() {
    for shape in BUSES {
        let mut session = Session::idle(shape);
        for words in [&["status"][..], &[], &["list"]] {
            let ran = session.fpctl(words);
            assert_eq!(ran.code == 0, words != ["list"], "{ran:?}");
            assert_eq!(session.daemon_pid(), None, "{words:?}");
        }
        let status = session.fpctl(&["status"]);
        assert_eq!(status.value("daemon"), Some("not-connected"));
        let status = session.fpctl(&["status", "--start"]);
        assert_eq!(status.value("daemon"), Some("connected"), "{status:?}");
        assert!(session.daemon_pid().is_some());
    }
}

#[test]
fn a_unit_that_fails_to_start_is_told_with_its_result() {
    let mut session = Session::idle(Shape::Systemd);
    session.systemd().write_unit(
        "fuse-promised.service.d/broken.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
    );
    let mut provider = ProviderProcess::launch(&session, None);
    let refused = provider.register(&[]).unwrap_err();
    assert_eq!(refused.status, Status::Unavailable, "{refused:?}");
    let said = &refused.message;
    assert!(said.contains("fuse-promised.service"), "{said}");
    assert!(said.contains("exit-code"), "{said}");
    assert!(!session.is_mounted());
}

#[test]
fn a_daemon_that_the_bus_cannot_start_is_unavailable() {
    let session = Session::idle(Shape::BareBus);
    let service = session
        .dirs()
        .bus_services()
        .join(format!("{NAME}.service"));
    std::fs::write(
        &service,
        format!("[D-BUS Service]\nName={NAME}\nExec=/bin/false\n"),
    )
    .unwrap();
    let reload = [
        "--user",
        "call",
        "org.freedesktop.DBus",
        "/org/freedesktop/DBus",
    ];
    let mut words = reload.to_vec();
    words.extend(["org.freedesktop.DBus", "ReloadConfig"]);
    session.run("busctl", &words).ok();
    let mut provider = ProviderProcess::launch(&session, None);
    let refused = provider.register(&[]).unwrap_err();
    assert_eq!(refused.status, Status::Unavailable, "{refused:?}");
}

#[test]
fn a_session_under_dbus_run_session_activates_as_well() {
    let session = Session::idle(Shape::Private);
    session.dirs().install_bus_service();
    let mut command = session.command("dbus-run-session");
    command.args(["--", "test-provider"]);
    let log = session.dirs().log("test-provider");
    let mut provider = ProviderProcess::launch_command(command, &log);
    provider.register(&[]).unwrap();
    provider.publish(&tree()).check();
}

/// A second runtime directory beside that of a session with a bus, as a
/// program that was started in the session sees it.
struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    fn new(session: &Session) -> Self {
        let path = session.dirs().root().join("own");
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .unwrap();
        Self { path }
    }

    fn command(&self, session: &Session, program: &str) -> std::process::Command {
        let mut command = session.command(program);
        command.env("XDG_RUNTIME_DIR", &self.path);
        command
    }

    fn start_daemon(&self, session: &Session) -> Process {
        let mut command = self.command(session, "fuse-promised");
        command.arg("--foreground");
        let daemon = Process::spawn(command, &session.dirs().log("own-daemon"));
        mounts::wait_until(&self.path.join("fuse-promise"), true);
        daemon
    }

    fn provider(&self, session: &Session) -> ProviderProcess {
        let command = self.command(session, "test-provider");
        ProviderProcess::launch_command(command, &session.dirs().log("own-provider"))
    }
}

#[test]
fn a_private_daemon_serves_its_programs_beside_that_of_the_session() {
    for shape in BUSES {
        let mut session = Session::start(shape);
        let theirs = session.daemon_pid();
        let own = PrivateDirectory::new(&session);
        let mut daemon = own.start_daemon(&session);
        let mut provider = own.provider(&session);
        provider.register(&[]).unwrap();
        let promise = provider.publish(&tree());
        assert_eq!(promise.path, own.path.join("fuse-promise/promise-1"));
        promise.check();
        assert_eq!(property(&session, "Promises"), "u 0\n");
        session.provider().publish(&tree()).check();
        assert_eq!(session.daemon_pid(), theirs);
        assert_eq!(
            daemon.terminate(std::time::Duration::from_secs(20)),
            Some(0)
        );
    }
}

#[test]
fn a_private_daemon_does_not_take_the_name_of_the_session() {
    for shape in BUSES {
        let session = Session::idle(shape);
        let own = PrivateDirectory::new(&session);
        let _daemon = own.start_daemon(&session);
        let mut provider = own.provider(&session);
        provider.register(&[]).unwrap();
        provider.publish(&tree()).check();
        let names = session.run("busctl", &["--user", "list", "--acquired", "--no-legend"]);
        let names = names.ok();
        assert!(!names.contains(NAME), "{names}");
    }
}

/// The bus would start the daemon of the session, which serves another place.
#[test]
fn a_program_with_a_private_directory_and_no_daemon_there_is_told_both_paths() {
    for shape in BUSES {
        let session = Session::idle(shape);
        let own = PrivateDirectory::new(&session);
        let refused = own.provider(&session).register(&[]).unwrap_err();
        assert_eq!(refused.status, Status::Unavailable, "{refused:?}");
        for path in [&own.path, &session.runtime_dir()] {
            let path = path.to_str().unwrap();
            assert!(refused.message.contains(path), "{refused:?}");
        }
    }
}

#[test]
fn a_daemon_started_by_hand_in_the_session_takes_the_name() {
    let session = Session::idle(Shape::BareBus);
    let mut command = session.command("fuse-promised");
    command.arg("--foreground");
    let mut daemon = Process::spawn(command, &session.dirs().log("by-hand"));
    // The name comes after the mount.
    wait_until("the name", || {
        let names = session.run("busctl", &["--user", "list", "--acquired", "--no-legend"]);
        names.ok().contains(NAME)
    });
    assert!(session.is_mounted());
    // Whoever asks by name gets the daemon that is there.
    let owner = run(session
        .command("busctl")
        .args(["--user", "--json=short", "call"])
        .args([
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "GetConnectionUnixProcessID",
            "s",
            NAME,
        ]))
    .ok();
    session.provider().publish(&tree()).check();
    let pid = daemon.pid().to_string();
    assert!(owner.contains(&pid), "{owner}");
    let owner = session.run("busctl", &["--user", "status", NAME]).ok();
    assert!(owner.contains(&format!("PID={pid}\n")), "{owner}");
    assert_eq!(
        daemon.terminate(std::time::Duration::from_secs(20)),
        Some(0)
    );
}
