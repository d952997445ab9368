//! What a promise is once it was materialized: served from the copy, for as
//! long as that is what was written.

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fuse_promise_core::Record;
use fuse_promise_testkit::{Answer, Session, Tree, both_shapes};
use rustix::io::Errno;
use support::copying::{copy, target};
use support::{SHAPES, errno, state, wait_for_state, wait_until};

/// What `fpctl list` says of the first promise.
fn listed_state(session: &Session) -> String {
    let list = session.fpctl(&["list", "--promises"]).ok();
    let mut lines = list.lines().filter_map(Record::parse);
    let line = lines
        .find(|line| line.word() == "promise")
        .expect("a listed promise");
    String::from_utf8(line.get("state").expect("its state").to_vec()).expect("a word")
}

/// Asks nobody twice: what the kernel holds is read again.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    fs::read(path)
}

both_shapes! {
    /// > A file that was copied is read from its copy, even when its provider is gone, as
    /// > long as the copy is what was written; one that was edited, moved or deleted is never
    /// > served.
    fn a_copied_promise_is_served_without_its_provider(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 300_000).file("b", 10));
        copy(&session, &[], &promise.path, &target(&session)).ok();
        for node in ["dir/a", "b"] {
            assert_eq!(state(&promise.join(node)).unwrap(), "materialized", "{node}");
        }
        assert_eq!(state(&promise.path).unwrap(), "materialized");
        assert_eq!(listed_state(&session), "materialized");

        let asked = provider.counters().requests;
        promise.check();
        assert_eq!(provider.counters().requests, asked, "the copy answers");
        provider.kill();
        // Said of the provider once the daemon knows.
        session.wait_daemon_log("provider", 1);
        promise.check();
        promise.check();
        assert_eq!(state(&promise.path).unwrap(), "materialized");
        assert_eq!(listed_state(&session), "materialized");
    }

    fn part_of_a_promise_can_be_copied(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 3000).file("b", 10));
        copy(&session, &[], &promise.join("dir"), &target(&session)).ok();
        assert_eq!(state(&promise.join("dir/a")).unwrap(), "materialized");
        assert_eq!(state(&promise.join("b")).unwrap(), "available");
        assert_eq!(listed_state(&session), "available");
        provider.kill();
        wait_for_state(&promise.path, "provider-gone");
        assert_eq!(read(&promise.join("dir/a")).unwrap().len(), 3000);
        assert_eq!(errno(read(&promise.join("b"))), Some(Errno::IO));
    }

    fn a_copy_that_was_edited_moved_or_deleted_is_never_served(session) {
        let mut provider = session.provider();
        let tree = Tree::new().files("f", 3, 3000);
        let promise = provider.publish(&tree);
        let target = target(&session);
        copy(&session, &[], &promise.path, &target).ok();
        let copied = |name: &str| target.join("promise-1").join(name);
        let right = fs::read(copied("f0")).unwrap();
        // Of the same length, so that it is not the size that tells.
        fs::write(copied("f0"), vec![b'x'; 3000]).unwrap();
        fs::rename(copied("f1"), copied("moved")).unwrap();
        fs::remove_file(copied("f2")).unwrap();
        // With its provider there, the promise is what it was.
        promise.check();
        assert_eq!(fs::read(promise.join("f0")).unwrap(), right);
        assert_eq!(state(&promise.join("f0")).unwrap(), "available");
        provider.kill();
        wait_for_state(&promise.path, "provider-gone");
        for name in ["f0", "f1", "f2"] {
            assert_eq!(errno(read(&promise.join(name))), Some(Errno::IO), "{name}");
        }
    }

    fn a_copy_is_made_from_an_earlier_copy(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 3000));
        let target = target(&session);
        copy(&session, &[], &promise.join("a"), &target).ok();
        provider.answer(None, Answer::Refuse(fuse_promise_core::Status::Io));
        copy(&session, &["--rename"], &promise.join("a"), &target).ok();
        let (first, second) = (target.join("a"), target.join("a (1)"));
        assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
    }
}

/// > A promise that was copied whole before its provider died stays listed for the time of
/// > `--linger-materialized`, and goes as soon as a read finds that a copy is no longer what was
/// > written.
#[test]
fn a_copied_promise_without_provider_goes_with_its_copy() {
    for shape in SHAPES {
        let session = Session::options(shape).flag("--linger=10ms").start();
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 3000));
        let other = session.provider().publish(&Tree::new().file("b", 1));
        let target = target(&session);
        copy(&session, &[], &promise.path, &target).ok();
        provider.kill();
        // What was not copied goes after the first time.
        wait_until("the other promise going", || !other.path.exists());
        promise.check();
        fs::write(target.join("promise-1/a"), vec![b'x'; 3000]).unwrap();
        assert_eq!(errno(read(&promise.join("a"))), Some(Errno::IO));
        wait_until("the promise going", || !promise.path.exists());
    }
}

/// > A promise that was copied whole before its provider died stays listed for the time of
/// > `--linger-materialized`, and goes as soon as a read finds that a copy is no longer what was
/// > written.
#[test]
fn a_copied_promise_without_provider_stays_for_a_time_of_its_own() {
    const LINGER: Duration = Duration::from_secs(1);
    for shape in SHAPES {
        let options = Session::options(shape).flag("--linger=100ms");
        let session = options.flag("--linger-materialized=1s").start();
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 3000));
        copy(&session, &[], &promise.path, &target(&session)).ok();
        let died = Instant::now();
        provider.kill();
        wait_until("the promise going", || !promise.path.exists());
        assert!(died.elapsed() >= LINGER, "{shape:?}: {:?}", died.elapsed());
    }
}
