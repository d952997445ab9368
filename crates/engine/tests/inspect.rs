//! What can be asked about one node, and what it says after reads that failed.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fuse_promise_core::attr::{NodeAttr, NodeKind};
use fuse_promise_core::ids::PromiseNumber;
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::{CachePolicy, ConflictPolicy, NodeState, ProviderState};
use fuse_promise_engine::{CommitOptions, NodeSnapshot, ProviderConfig, ReadError};
use support::cached::{self, KIB, answer_all};
use support::served::{Served, honest};
use support::{FakeProvider, Rig, node};

/// Files, with the directories that they lie in.
fn nested(files: &[(&str, u64)]) -> TreeBuilder {
    let mut builder = TreeBuilder::new(PathRule::Utf8);
    let attr = |mode, size| NodeAttr {
        mode,
        size,
        mtime_nsec: 7,
    };
    let mut known = BTreeSet::new();
    for (path, size) in files {
        for (end, _) in path.match_indices('/') {
            let directory = &path.as_bytes()[..end];
            if known.insert(directory) {
                builder
                    .add_dir(directory, attr(0o755, 0), directory)
                    .unwrap();
            }
        }
        let id = format!("id of {path}");
        let added = builder.add_file(path.as_bytes(), attr(0o644, *size), id.as_bytes());
        added.unwrap();
    }
    builder
}

fn commit(rig: &Rig, provider: &FakeProvider, files: &[(&str, u64)]) -> PromiseNumber {
    let image = fuse_promise_wire::image::seal(&nested(files)).unwrap();
    let options = CommitOptions::default();
    let engine = &rig.engine;
    let promise = engine.commit(provider.number, &provider.token, image, options);
    // The daemon's word that it has been committed.
    provider.frame();
    promise.unwrap()
}

fn inspect(rig: &Rig, below: &str) -> NodeSnapshot {
    let path = rig.engine.promise_path(PromiseNumber(1));
    let path = path.join(below).into_os_string().into_encoded_bytes();
    rig.engine.inspect(&path).unwrap()
}

#[track_caller]
fn assert_recent(error: &ReadError, since: SystemTime) {
    assert!(error.at >= since && error.at <= SystemTime::now());
}

#[test]
fn a_node_is_told_as_it_was_declared_and_who_serves_it() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = commit(&rig, &provider, &[("dir/a", 5000), ("b", 7)]);
    let a = inspect(&rig, "dir/a");
    assert_eq!((a.promise, a.path.as_slice()), (promise, &b"dir/a"[..]));
    assert_eq!(a.inode, node(promise, a.row.0));
    assert_eq!(
        (a.kind, a.node_id.as_slice()),
        (NodeKind::File, &b"id of dir/a"[..])
    );
    assert_eq!(
        (a.attr.size, a.attr.mode, a.attr.mtime_nsec),
        (5000, 0o644, 7)
    );
    assert_eq!(
        (a.provider, a.provider_pid),
        (provider.number, std::process::id())
    );
    assert_eq!(a.provider_program, "fake");
    assert_eq!(
        (a.provider_state, a.state),
        (ProviderState::Live, NodeState::Available)
    );
    assert_eq!(a.cache_policy, CachePolicy::NoCache);
    let zeros = [
        a.cached_bytes,
        a.materialized_bytes,
        a.reads,
        a.errors,
        a.node_errors,
    ];
    assert_eq!((zeros, a.opens), ([0; 5], 0));
    assert!(a.last_error.is_none() && a.promise_last_error.is_none());
    for path in ["", "dir", "dir/"] {
        let directory = inspect(&rig, path);
        assert_eq!(directory.kind, NodeKind::Directory);
        assert_eq!(directory.path, path.trim_end_matches('/').as_bytes());
    }
    assert_eq!(inspect(&rig, "").inode, node(promise, 0));
}

#[test]
fn only_what_is_in_a_promise_can_be_inspected() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 5000)]);
    let mount = rig.engine.promise_path(promise);
    let mount = mount.parent().unwrap().to_str().unwrap();
    let refused = |path: &str| rig.engine.inspect(path.as_bytes()).unwrap_err();
    for path in [mount.to_owned(), format!("{mount}/"), format!("{mount}/.")] {
        let refused = refused(&path);
        assert_eq!(refused.status, Status::InvalidArgument, "{refused}");
        assert!(refused.message.contains("root of the mount"), "{refused}");
    }
    for path in ["", "promise-1/a", "/", "/etc/passwd"] {
        let refused = refused(path);
        assert_eq!(refused.status, Status::InvalidArgument, "{refused}");
        assert!(refused.message.contains(mount), "{refused}");
    }
    for name in ["promise-1/b", "promise-1/a/b", "promise-2"] {
        let refused = refused(&format!("{mount}/{name}"));
        assert_eq!(refused.status, Status::NotFound, "{refused}");
        assert!(refused.message.contains(name), "{refused}");
    }
    let other = refused(&format!("{mount}/other"));
    assert_eq!(other.status, Status::InvalidArgument, "{other}");
}

#[test]
fn opens_are_those_of_the_node() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 5000), ("b", 7)]);
    let opened = [1, 1, 2].map(|row| rig.engine.open(node(promise, row), false).unwrap());
    rig.engine.open_directory(node(promise, 0)).unwrap();
    let opens = || ["a", "b", ""].map(|path| inspect(&rig, path).opens);
    assert_eq!(opens(), [2, 1, 1]);
    rig.engine.release(node(promise, 1), opened[0].handle);
    rig.engine.release_directory(node(promise, 0));
    assert_eq!(opens(), [1, 1, 0]);
}

#[test]
fn what_the_cache_holds_is_told_of_files_and_of_what_they_lie_in() {
    let rig = cached::rig();
    let provider = rig.provider();
    let files = [
        ("one/a", 100 * KIB),
        ("one/deep/b", 50 * KIB),
        ("two/c", 30 * KIB),
    ];
    commit(&rig, &provider, &files);
    let read = |path: &str, length: u64| {
        let inode = inspect(&rig, path).inode;
        let opened = rig.engine.open(inode, false).unwrap();
        let reader = rig.read_as(inode, opened.handle, 0, length as u32);
        answer_all(&provider, &reader).0.unwrap();
        // The bytes are kept behind the answer.
        rig.settle("the bytes kept", |gauges| gauges.cache_fetches == 0);
        rig.engine.release(inode, opened.handle);
    };
    read("one/a", 40 * KIB);
    read("one/deep/b", 50 * KIB);
    let held = |path: &str| inspect(&rig, path).cached_bytes / KIB;
    let all = ["one/a", "one/deep/b", "two/c", "one", "one/deep", "two", ""].map(held);
    assert_eq!(all, [40, 50, 0, 90, 50, 0, 90]);
    let a = inspect(&rig, "one/a");
    assert_eq!(
        (a.state, a.cache_policy),
        (NodeState::Available, CachePolicy::ReadThrough)
    );
    assert_eq!(inspect(&rig, "one/deep/b").state, NodeState::Cached);
    assert_eq!((a.reads, a.served_bytes, a.errors), (2, 90 * KIB, 0));
}

#[test]
fn what_a_copy_serves_is_told_until_the_copy_is_found_changed() {
    let served = Served::of(&nested(&[("dir/a", 5000), ("dir/b", 10), ("c", 3)]), honest);
    served.copy("dir", ConflictPolicy::Fail);
    let rig = &served.rig;
    let copied = |path: &str| inspect(rig, path).materialized_bytes;
    assert_eq!(["dir/a", "c", "dir", ""].map(copied), [5000, 0, 5010, 5010]);
    assert_eq!(inspect(rig, "dir/a").state, NodeState::Materialized);
    std::fs::remove_file(served.path("dir/a")).unwrap();
    let a = inspect(rig, "dir/a").inode;
    rig.read(a, 0, 10).answer().unwrap();
    assert_eq!(["dir/a", "dir"].map(copied), [0, 10]);
}

/// Reads 10 bytes at 20 of the file, which fail, and tells what is said of it.
fn failed_read(rig: &Rig, fail: impl FnOnce()) -> NodeSnapshot {
    let since = SystemTime::now();
    let before = inspect(rig, "a");
    let reader = rig.read(before.inode, 20, 10);
    fail();
    reader.answer().unwrap_err();
    let after = inspect(rig, "a");
    assert_eq!(after.errors, before.errors + 1);
    assert_eq!(after.node_errors, before.node_errors + 1);
    let error = after.last_error.as_ref().unwrap();
    assert_eq!((error.offset, error.length), (20, 10));
    assert_recent(error, since);
    let of_promise = (b"a".to_vec(), error.clone());
    assert_eq!(after.promise_last_error.as_ref(), Some(&of_promise));
    after
}

fn reason(node: &NodeSnapshot) -> (Status, &str) {
    let error = node.last_error.as_ref().unwrap();
    (error.status, &error.reason)
}

#[test]
fn a_refusal_is_remembered_with_what_the_provider_said() {
    let rig = Rig::new();
    let provider = rig.provider();
    rig.commit(&provider, &[("a", 5000), ("b", 5000)]);
    for status in [Status::Permission, Status::NotFound, Status::Timeout] {
        let node = failed_read(&rig, || {
            let read = provider.asked();
            provider.done(&read, status.code(), 0);
        });
        let said = format!("provider 1 refused the read: {}", status.text());
        assert_eq!(reason(&node), (status, said.as_str()));
    }
    // Nothing of it is the other's.
    let b = inspect(&rig, "b");
    assert_eq!((b.node_errors, b.errors, b.last_error), (0, 3, None));
    assert!(b.promise_last_error.is_some());
    // A read that succeeds changes nothing about the last that did not.
    let reader = rig.read(node(b.promise, 1), 0, 30);
    provider.answer(&provider.asked());
    reader.answer().unwrap();
    let a = inspect(&rig, "a");
    assert_eq!((a.reads, a.served_bytes, a.node_errors), (1, 30, 3));
    assert_eq!(
        a.last_error.map(|error| error.status),
        Some(Status::Timeout)
    );
}

#[test]
fn a_timeout_is_remembered() {
    let rig = Rig::new();
    let config = ProviderConfig {
        read_timeout: Some(Duration::from_millis(20)),
        ..ProviderConfig::default()
    };
    let provider = rig.provider_with(config);
    rig.commit(&provider, &[("a", 5000)]);
    let node = failed_read(&rig, || ());
    assert_eq!(
        reason(&node),
        (Status::Timeout, "provider 1 did not answer a read in time")
    );
}

#[test]
fn the_end_of_a_provider_is_remembered_and_so_is_what_fails_after_it() {
    type End = fn(&Rig, &FakeProvider);
    let ends: [(End, &str); 3] = [
        (
            |_, provider| provider.channel.shutdown(),
            "provider 1 closed its channel before it answered",
        ),
        (
            |_, provider| provider.send_bytes(&[0xff; 64]),
            "the session of provider 1 was closed: it ",
        ),
        (
            |rig, _| rig.engine.stop(),
            "the daemon was stopped before an answer came",
        ),
    ];
    for (end, said) in ends {
        let rig = Rig::new();
        let provider = rig.provider();
        rig.commit(&provider, &[("a", 5000)]);
        let node = failed_read(&rig, || {
            provider.asked();
            end(&rig, &provider);
        });
        let (status, reason) = reason(&node);
        assert_eq!(status, Status::ProviderGone);
        assert!(reason.starts_with(said), "{reason}");
    }
}

#[test]
fn a_read_and_an_open_after_the_end_say_that_the_provider_is_gone() {
    let served = Served::new(&[("a", 5000)], honest);
    served.lose_provider();
    let rig = &served.rig;
    rig.settle("the promise is lost", |_| {
        inspect(rig, "a").state == NodeState::ProviderGone
    });
    let gone = (Status::ProviderGone, "provider 1 is gone");
    let node = failed_read(rig, || ());
    assert_eq!(reason(&node), gone);
    assert_eq!(node.provider_state, ProviderState::Disconnected);
    rig.engine.open(node.inode, false).unwrap_err();
    let node = inspect(rig, "a");
    assert_eq!(reason(&node), gone);
    assert_eq!((node.node_errors, node.opens), (2, 0));
    assert_eq!(node.last_error.map(|error| error.length), Some(0));
}

#[test]
fn a_read_through_the_cache_is_remembered_once_whoever_asked_for_it() {
    let rig = cached::rig();
    let provider = rig.provider();
    rig.commit(&provider, &[("a", 5000)]);
    let inode = inspect(&rig, "a").inode;
    let opened = rig.engine.open(inode, false).unwrap();
    for (count, offset) in [(1, 0), (2, 100)] {
        let reader = rig.read_as(inode, opened.handle, offset, 10);
        let answer = provider.serve(&reader, |read| {
            provider.done(&read, Status::Permission.code(), 0);
        });
        answer.unwrap_err();
        let node = inspect(&rig, "a");
        assert_eq!((node.errors, node.node_errors), (count, count));
        let error = node.last_error.unwrap();
        assert_eq!((error.offset, error.length), (offset, 10));
        assert_eq!(
            error.reason,
            "provider 1 refused the read: permission denied"
        );
    }
    // The content ends at once, though 5000 bytes were declared.
    let reader = rig.read_as(inode, opened.handle, 200, 10);
    let answer = provider.serve(&reader, |read| provider.done(&read, 0, 0));
    answer.unwrap_err();
    let node = inspect(&rig, "a");
    let said = "the provider's content ends before the declared size";
    assert_eq!(reason(&node), (Status::Io, said));
    assert_eq!(node.node_errors, 3);
    rig.engine.release(inode, opened.handle);
}
