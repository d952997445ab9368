//! Many promises of many providers at once, and many one after the other: all are right while they
//! are there, nothing is left of them afterwards, and no number comes twice.

mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fuse_promise_core::PromiseNumber;
use fuse_promise_testkit::fixture::check::{assert_attributes, assert_content};
use fuse_promise_testkit::{Session, Tree, both_shapes};
use rustix::process::Signal;
use support::balance::{
    OF_PROMISES, OF_READS, await_descriptors, await_zero, gauge, lasting_descriptors,
};
use support::in_process::Publisher;
use support::wait_until_right;

/// The whole, which takes minutes, is for `cargo xtask test --full`.
fn is_full() -> bool {
    std::env::var_os("FUSE_PROMISE_TEST_FULL").is_some()
}

const PROMISES_OF_EACH: usize = 10;
const FILES: usize = 20;
/// One promise in so many is read.
const SAMPLE: usize = 23;
/// Until the daemon's memory has been used once.
const WARM_UP: usize = 200;
/// What its memory may differ by afterwards.
const STILL_KIBIBYTES: u64 = 2048;

/// Names and node ids of its own.
fn tree(number: usize) -> Tree {
    Tree::new().files(&format!("{number}-"), FILES, 100 + number as u64)
}

fn names(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

fn check(path: &Path, tree: &Tree) {
    assert_eq!(names(path).len(), FILES);
    let node = &tree.nodes()[FILES / 2];
    assert_attributes(&path.join(&node.path), node);
    assert_content(&path.join(&node.path), node);
}

/// What the daemon holds in KiB, without its program: others that run share that.
fn memory(session: &mut Session) -> u64 {
    let pid = session.daemon_pid().expect("a running daemon");
    let told = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let figure = |key: &str| -> u64 {
        let line = told.lines().find_map(|line| line.strip_prefix(key));
        let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
        number.parse().unwrap()
    };
    figure("Pss_Anon:") + figure("Pss_Shmem:")
}

/// The number and the inode of a promise.
fn identity(path: &Path) -> (u32, u64) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let number = PromiseNumber::parse(name).unwrap();
    (number.0, fs::metadata(path).unwrap().ino())
}

both_shapes! {
    fn promises_of_hundreds_of_providers_are_listed_and_read_right(session) {
        session.allow(Duration::from_secs(if is_full() { 300 } else { 60 }));
        let providers = if is_full() { 500 } else { 50 };
        let before = lasting_descriptors(&mut session);
        let publisher = Publisher::of(&session);
        let mut present = Vec::new();
        let mut promises: Vec<(PathBuf, Tree)> = Vec::new();
        for _ in 0..providers {
            let provider = publisher.register().unwrap();
            for _ in 0..PROMISES_OF_EACH {
                let tree = tree(promises.len());
                promises.push((publisher.publish(&provider, &tree).unwrap(), tree));
            }
            present.push(provider);
        }
        assert_eq!(gauge(&session, "providers"), providers as u64);
        assert_eq!(gauge(&session, "promises"), promises.len() as u64);
        let paths = promises.iter().map(|(path, _)| path.file_name().unwrap().to_owned());
        assert_eq!(names(&session.mount()), paths.collect());
        for (path, tree) in promises.iter().step_by(SAMPLE) {
            check(path, tree);
        }
        // Half of the providers leave, and take nothing of the others with them.
        let (gone, left) = promises.split_at(promises.len() / 2);
        present.drain(..providers / 2).for_each(|provider| provider.unregister());
        assert_eq!(names(&session.mount()).len(), left.len());
        assert!(gone.iter().all(|(path, _)| !path.exists()));
        for (path, tree) in left.iter().step_by(SAMPLE) {
            check(path, tree);
        }
        drop(present);
        publisher.context.close();
        await_zero(&session, &OF_PROMISES);
        await_zero(&session, &OF_READS);
        await_zero(&session, &["lookups"]);
        await_descriptors(&mut session, &before);
    }

    fn promises_that_come_and_go_leave_nothing(session) {
        session.allow(Duration::from_secs(if is_full() { 500 } else { 80 }));
        let count = if is_full() { 50_000 } else { 2000 };
        let publisher = Publisher::of(&session);
        let provider = publisher.register().unwrap();
        let mut last = (0, 0);
        let mut before = None;
        for number in 0..WARM_UP + count {
            let path = publisher.publish(&provider, &tree(number)).unwrap();
            let next = identity(&path);
            assert!(next.0 > last.0 && next.1 > last.1, "{next:?} after {last:?}");
            last = next;
            if number % SAMPLE == 0 {
                check(&path, &tree(number));
            }
            publisher.context.destroy(path.as_os_str()).unwrap();
            assert!(!path.exists());
            if number == WARM_UP {
                let open = lasting_descriptors(&mut session);
                before = Some((open, memory(&mut session)));
            }
        }
        assert_eq!(names(&session.mount()).len(), 0);
        let (open, held) = before.unwrap();
        await_descriptors(&mut session, &open);
        wait_until_right(|| {
            let now = memory(&mut session);
            (now > held + STILL_KIBIBYTES).then(|| format!("{now} KiB, {held} before"))
        });
        provider.unregister();
        await_zero(&session, &OF_PROMISES);
        await_zero(&session, &OF_READS);
        await_zero(&session, &["lookups"]);
    }

    fn a_restarted_daemon_uses_no_number_again(session) {
        let publisher = Publisher::of(&session);
        let provider = publisher.register().unwrap();
        let path = publisher.publish(&provider, &tree(0)).unwrap();
        let mut last = (identity(&path), provider.number().unwrap());
        for is_crash in [false, true, false] {
            if is_crash {
                session.signal_daemon(Signal::KILL);
                session.wait_daemon_end();
            } else {
                session.stop_daemon();
            }
            session.start_daemon();
            // The library registers it again.
            let path = publisher.publish(&provider, &tree(1)).unwrap();
            let next = (identity(&path), provider.number().unwrap());
            assert!(next.0.0 > last.0.0 && next.0.1 > last.0.1, "{next:?} after {last:?}");
            assert!(next.1 > last.1, "{next:?} after {last:?}");
            check(&path, &tree(1));
            last = next;
        }
    }
}
