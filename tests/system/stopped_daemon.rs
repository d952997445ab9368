//! A daemon that is stopped in the middle of a call hangs nobody, and goes on
//! as if nothing had been.

mod support;

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use fuse_promise_core::{Record, Status};
use fuse_promise_testkit::{ProviderProcess, Tree, both_shapes};
use rustix::fs::Access;
use rustix::process::Signal;
use support::stop;

both_shapes! {
    fn registering(session) {
        let mut provider = ProviderProcess::launch(&session, None);
        stop(session.daemon_pid().unwrap());
        let refused = provider.register(&[]).unwrap_err();
        assert_eq!(refused.status, Status::Timeout, "{refused:?}");
        session.signal_daemon(Signal::CONT);
        provider.register(&[]).unwrap();
        provider.publish(&Tree::new().file("a", 100)).check();
    }

    fn committing(session) {
        let mut provider = session.provider();
        provider.ask(&Record::new("begin")).unwrap();
        stop(session.daemon_pid().unwrap());
        let refused = provider.ask(&Record::new("commit")).unwrap_err();
        assert_eq!(refused.status, Status::Timeout, "{refused:?}");
        session.signal_daemon(Signal::CONT);
        // The builder is still usable, and what the daemon has carried out
        // late is not carried out twice.
        provider.ask(&Record::new("commit")).unwrap();
        let list = session.fpctl(&["list"]);
        assert_eq!(list.value("promises"), Some("1"), "{list:?}");
    }

    fn unregistering(session) {
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("a", 100)).check();
        stop(session.daemon_pid().unwrap());
        provider.unregister();
        session.signal_daemon(Signal::CONT);
        provider.register(&[]).unwrap();
        provider.publish(&Tree::new().file("b", 100)).check();
    }

    fn closing(session) {
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("a", 100)).check();
        stop(session.daemon_pid().unwrap());
        provider.close();
        session.signal_daemon(Signal::CONT);
        session.provider().publish(&Tree::new().file("b", 100)).check();
    }

    fn asking_for_the_status(session) {
        stop(session.daemon_pid().unwrap());
        let said = session.fpctl(&["status"]);
        assert_ne!(said.value("daemon"), Some("connected"), "{said:?}");
        session.signal_daemon(Signal::CONT);
        let said = session.fpctl(&["status"]);
        assert_eq!(said.value("daemon"), Some("connected"), "{said:?}");
    }

    /// A walk of an absolute path looks at the mount's root too, and asks nobody.
    fn looking_at_what_was_looked_at_before(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 100));
        let path = promise.join("dir/a");
        let look = move || fs::metadata(&path).map(|file| file.len()).unwrap();
        assert_eq!(look(), 100);
        stop(session.daemon_pid().unwrap());
        let (sender, looked) = channel();
        let looking = thread::spawn(move || {
            let sizes: Vec<_> = (0..100).map(|_| look()).collect();
            sender.send(sizes).unwrap();
        });
        let sizes = looked.recv_timeout(Duration::from_secs(20));
        session.signal_daemon(Signal::CONT);
        looking.join().unwrap();
        assert_eq!(sizes, Ok(vec![100; 100]));
    }

    /// The kernel has asked for the root of a new mount before anybody can.
    fn looking_at_a_mount_for_the_first_time(session) {
        stop(session.daemon_pid().unwrap());
        let (sender, looked) = channel();
        let mount = session.mount();
        let look = move || rustix::fs::access(&mount, Access::EXEC_OK);
        let looking = thread::spawn(move || sender.send(look()).unwrap());
        let seen = looked.recv_timeout(Duration::from_secs(20));
        session.signal_daemon(Signal::CONT);
        looking.join().unwrap();
        assert_eq!(seen, Ok(Ok(())));
    }

    fn listing(session) {
        stop(session.daemon_pid().unwrap());
        let exit_code = i32::from(Status::Timeout.exit_code());
        session.fpctl(&["list"]).fails_with(exit_code);
        session.signal_daemon(Signal::CONT);
        session.fpctl(&["list"]).ok();
    }
}
