//! What happens when no mount is possible, one test for each cause, and when
//! a mount is taken away from outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use fuse_promise_core::Status;
use fuse_promise_testkit::process::run;
use fuse_promise_testkit::{ProviderProcess, Session, SessionOptions, Shape, Tree, both_shapes};

/// A daemon that cannot mount is ready all the same, tells `reason`
/// everywhere, and answers every call at once.
fn assert_tells(session: &mut Session, reason: &str) {
    let status_text = session
        .foreground()
        .notifications()
        .into_iter()
        .rfind(|line| line.starts_with("STATUS="))
        .expect("a status");
    assert!(status_text.contains(reason), "{status_text}");
    let log = session.daemon_log();
    assert!(log.contains(reason), "{log}");
    let status = session.fpctl(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(status.value("daemon"), Some("connected"), "{status:?}");
    assert_eq!(status.value("mount"), Some("not-mounted"), "{status:?}");
    let mut provider = ProviderProcess::launch(session, None);
    let refused = provider.register(&[]).unwrap_err();
    assert_eq!(refused.status, Status::Unavailable, "{refused:?}");
    assert!(refused.message.contains(reason), "{refused:?}");
    assert!(!session.is_mounted());
}

/// The private daemon in a mount namespace of its own that `script` has
/// prepared as its root; the daemon itself is an ordinary user in it.
fn in_namespace(script: &str) -> SessionOptions {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let user = format!("exec unshare --user --map-user={uid} --map-group={gid}");
    let enter = format!("{script}\n{user} -- \"$0\" \"$@\"");
    Session::options(Shape::Private).within(&["unshare", "-rm", "sh", "-ec", &enter])
}

#[test]
fn no_device() {
    let script = "
        mkdir \"$HOME/dev\"
        touch \"$HOME/dev/null\"
        mount --bind /dev/null \"$HOME/dev/null\"
        mount --rbind \"$HOME/dev\" /dev";
    let mut session = in_namespace(script).start();
    assert_tells(&mut session, "/dev/fuse is not there");
}

#[test]
fn a_device_that_may_not_be_opened() {
    let script = "
        touch \"$HOME/closed\"
        chmod 0 \"$HOME/closed\"
        mount --bind \"$HOME/closed\" /dev/fuse";
    let mut session = in_namespace(script).start();
    assert_tells(&mut session, "/dev/fuse may not be opened");
}

#[test]
fn no_fusermount3() {
    let mut session = Session::options(Shape::Private)
        .env("PATH", "/nowhere")
        .start();
    assert_tells(&mut session, "fusermount3 was not found");
}

#[test]
fn a_mount_point_occupied_by_another_file_system() {
    let script = "
        mkdir -m 700 \"$XDG_RUNTIME_DIR/fuse-promise\"
        mount -t tmpfs none \"$XDG_RUNTIME_DIR/fuse-promise\"";
    let mut session = in_namespace(script).start();
    assert_tells(&mut session, "a file system of type tmpfs is mounted on");
}

#[test]
fn a_mount_point_that_is_a_file() {
    let mut session = Session::idle(Shape::Private);
    fs::write(session.mount(), "").unwrap();
    session.start_daemon();
    assert_tells(&mut session, "is not a directory");
}

#[test]
fn a_mount_point_that_is_a_symbolic_link() {
    let mut session = Session::idle(Shape::Private);
    symlink(session.dirs().home(), session.mount()).unwrap();
    session.start_daemon();
    assert_tells(&mut session, "is a symbolic link");
}

#[test]
fn a_mount_point_that_others_may_enter() {
    let mut session = Session::idle(Shape::Private);
    fs::create_dir(session.mount()).unwrap();
    fs::set_permissions(session.mount(), Permissions::from_mode(0o755)).unwrap();
    session.start_daemon();
    assert_tells(&mut session, "has mode 0755, not 0700");
}

#[test]
fn a_mount_point_with_files_in_it() {
    let mut session = Session::idle(Shape::Private);
    fs::create_dir(session.mount()).unwrap();
    fs::set_permissions(session.mount(), Permissions::from_mode(0o700)).unwrap();
    fs::write(session.promised("letter"), "").unwrap();
    session.start_daemon();
    assert_tells(&mut session, "is not empty");
    assert!(session.promised("letter").exists());
}

#[test]
fn the_next_call_tries_the_mount_again() {
    let mut session = Session::idle(Shape::Private);
    fs::write(session.mount(), "").unwrap();
    session.start_daemon();
    assert_tells(&mut session, "is not a directory");
    fs::remove_file(session.mount()).unwrap();
    session
        .provider()
        .publish(&Tree::new().file("a", 100))
        .check();
    let status = session.fpctl(&["status"]);
    assert_eq!(status.value("mount"), Some("mounted"), "{status:?}");
}

#[test]
fn a_daemon_without_a_mount_gives_up_in_the_end() {
    let mut session = Session::options(Shape::Private)
        .env("PATH", "/nowhere")
        .start();
    assert_eq!(session.foreground().process().wait().code(), Some(1));
    let log = session.daemon_log();
    assert!(log.contains("no mount was possible"), "{log}");
    assert!(!session.socket().exists());
}

#[test]
fn a_unit_without_a_mount_gives_up_and_does_not_loop() {
    let mut session = Session::options(Shape::Systemd)
        .env("PATH", "/nowhere")
        .start();
    let manager = session.systemd();
    let status = manager.property("fuse-promised", "StatusText");
    assert!(status.contains("fusermount3 was not found"), "{status}");
    // Returns when the unit has stopped running.
    let waited = manager.systemctl(&["start", "--wait", "fuse-promised"]);
    assert_ne!(waited.code, 0, "{waited:?}");
    assert_eq!(manager.property("fuse-promised", "ActiveState"), "failed");
    assert_eq!(manager.property("fuse-promised", "NRestarts"), "0");
}

/// Takes the mount away with `unmount`; the daemon mounts again once.
fn taken_away(mut session: Session, unmount: &[&str]) {
    let mut provider = session.provider();
    let promise = provider.publish(&Tree::new().file("dir/a", 5000));
    promise.check();
    let take_away = |session: &Session| {
        let mut command = session.command("fusermount3");
        run(command.args(unmount).arg(session.mount())).ok();
    };

    take_away(&session);
    session.wait_daemon_log("mounted on", 2);
    promise.check();
    provider.publish(&Tree::new().file("b", 10)).check();
    let log = session.daemon_log();
    assert!(log.contains("was taken away"), "{log}");

    take_away(&session);
    assert_eq!(session.wait_daemon_end(), Some(1));
    assert!(!session.is_mounted());
    let log = session.daemon_log();
    assert!(log.contains("taken away twice"), "{log}");
}

both_shapes! {
    fn a_mount_taken_away_comes_back_once(session) {
        taken_away(session, &["-u"]);
    }

    fn a_mount_taken_away_lazily_comes_back_once(session) {
        taken_away(session, &["-u", "-z"]);
    }
}
