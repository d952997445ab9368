//! How the daemon starts and ends.

mod support;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread;

use fuse_promise_testkit::process::{Process, first_to_end};
use fuse_promise_testkit::{Answer, Session, Shape, Tree, both_shapes, mounts};
use rustix::io::Errno;
use rustix::process::Signal;
use support::wait_until;

both_shapes! {
    /// > The mount point is `$XDG_RUNTIME_DIR/fuse-promise`, and it is there as soon as the daemon
    /// > says it is ready.
    fn a_ready_daemon_is_mounted_and_a_clean_stop_leaves_nothing(session) {
        let mount = mounts::at(&session.mount()).expect("a mount");
        assert_eq!(mount.kind, "fuse.fuse-promise");
        assert_eq!(mount.source, "fuse-promise");
        for option in ["ro", "nosuid", "nodev"] {
            assert!(mount.options.split(',').any(|set| set == option), "{mount:?}");
        }
        let socket = session.socket();
        let mode = socket.symlink_metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        assert_eq!(session.stop_daemon(), Some(0));
        assert!(!session.is_mounted());
        assert!(!session.mount().exists());
        // The service manager's socket stays, so that the next call starts the daemon again.
        assert_eq!(socket.exists(), session.shape() == Shape::Systemd);
    }

    fn a_stopped_daemon_can_be_started_again(session) {
        for _ in 0..3 {
            assert_eq!(session.stop_daemon(), Some(0));
            session.start_daemon();
            assert!(session.is_mounted());
        }
        session.provider().publish(&Tree::new().file("a", 100)).check();
    }

    /// > The first promise of a session is `promise-1`, the next one `promise-2`, and no id is ever
    /// > used twice in a session, not even by a daemon that was started anew.
    fn ids_begin_at_one_and_are_not_used_again_by_the_next_daemon(session) {
        let tree = Tree::new().file("a", 10);
        let mut provider = session.provider();
        assert_eq!(provider.publish(&tree).id(), "promise-1");
        assert_eq!(provider.publish(&tree).id(), "promise-2");
        session.stop_daemon();
        session.start_daemon();
        let next = session.provider().publish(&tree);
        let number: u32 = next.id().trim_start_matches("promise-").parse().unwrap();
        assert!(number > 2, "{}", next.id());
    }

    fn a_read_in_flight_at_the_end_fails_and_the_end_is_clean(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("slow", 4096));
        provider.answer(None, Answer::Hang);
        let path = promise.join("slow");
        let reader = thread::spawn(move || std::fs::read(path));
        provider.await_hung(1);
        assert_eq!(session.stop_daemon(), Some(0));
        let errno = reader.join().unwrap().unwrap_err().raw_os_error();
        assert_eq!(errno, Some(Errno::IO.raw_os_error()));
        assert!(!session.is_mounted());
        assert!(!session.mount().exists());
    }

    fn an_open_file_does_not_keep_the_mount(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 100));
        let mut open = File::open(promise.join("a")).unwrap();
        assert_eq!(session.stop_daemon(), Some(0));
        assert!(!session.is_mounted());
        assert!(!session.mount().exists());
        assert!(open.read(&mut [0; 10]).is_err());
    }

    fn a_second_daemon_is_refused_and_harms_nothing(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 100));
        let said = session.run("fuse-promised", &["--foreground"]).fails_with(1);
        assert!(said.contains("another fuse-promised already serves"), "{said}");
        assert!(said.contains(session.runtime_dir().to_str().unwrap()), "{said}");
        promise.check();
    }

    fn the_dead_mount_of_a_killed_daemon_is_cleared(session) {
        let first = session.daemon_pid().unwrap();
        session.signal_daemon(Signal::KILL);
        if session.shape() == Shape::Private {
            session.foreground().process().wait();
            let dead = session.mount().read_dir().unwrap_err().raw_os_error();
            assert_eq!(dead, Some(Errno::NOTCONN.raw_os_error()));
        } else {
            // The manager starts another one; until it has noticed, a start would do nothing.
            wait_until("another daemon", || {
                session.daemon_pid().is_some_and(|pid| pid != first)
            });
        }
        session.start_daemon();
        assert_ne!(session.daemon_pid().unwrap(), first);
        session.provider().publish(&Tree::new().file("a", 100)).check();
        let log = session.daemon_log();
        assert!(log.contains("clearing the dead mount"), "{log}");
    }
}

#[test]
fn sigint_ends_the_daemon_as_sigterm_does() {
    let mut session = Session::start(Shape::Private);
    let daemon = session.foreground().process();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!session.is_mounted());
    assert!(!session.mount().exists());
    assert!(!session.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut session = Session::idle(Shape::Private);
    // The file stays when its listener is gone.
    drop(UnixListener::bind(session.socket()).unwrap());
    session.start_daemon();
    session
        .provider()
        .publish(&Tree::new().file("a", 100))
        .check();
}

#[test]
fn of_two_daemons_started_at_the_same_instant_one_serves() {
    for _ in 0..5 {
        let session = Session::idle(Shape::Private);
        let start = |name: &str| {
            let mut command = session.command("fuse-promised");
            command.arg("--foreground");
            Process::spawn(command, &session.dirs().log(name))
        };
        let mut daemons = [start("first"), start("second")];
        mounts::wait_until(&session.mount(), true);
        session
            .provider()
            .publish(&Tree::new().file("a", 100))
            .check();
        let loser = first_to_end(&daemons);
        assert_eq!(daemons[loser].wait().code(), Some(1));
        let log = daemons[loser].log();
        assert!(
            log.contains("another fuse-promised already serves"),
            "{log}"
        );
        let winner = &mut daemons[1 - loser];
        winner.signal(Signal::TERM);
        assert_eq!(winner.wait().code(), Some(0));
        assert!(!session.mount().exists());
    }
}
