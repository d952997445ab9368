//! What is true after a materialize: the copy serves, and nothing is kept for it
//! that should go.

mod support;

use std::fs::Metadata;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use fuse_promise_core::words::{ConflictPolicy, NodeState};
use support::served::{Served, honest, listing, status_of};
use support::{Rig, bytes, node};

#[test]
fn what_was_materialized_serves_after_the_provider_has_gone_until_it_is_changed() {
    let served = Served::new(&[("a", 5000), ("b", 10)], honest);
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), None);
    let engine = &served.rig.engine;
    let state = || engine.promise(served.promise).unwrap().state;
    assert_eq!(state(), NodeState::Materialized);
    let asked = served.asked.load(Ordering::SeqCst);
    let (a, b) = (node(served.promise, 1), node(served.promise, 2));
    assert_eq!(
        served.rig.read(a, 100, 300).answer(),
        Ok(bytes(1, 100, 300))
    );
    assert_eq!(served.asked.load(Ordering::SeqCst), asked);
    // An edit of the same length, with the old time put back: only the change time tells, where
    // times are coarse after a while.
    let path = served.path("promise-1/a");
    let old = std::fs::metadata(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let changed = |now: &Metadata| (now.ctime(), now.ctime_nsec());
    while changed(&file.metadata().unwrap()) == changed(&old) {
        file.write_all_at(b"edited", 100).unwrap();
        file.set_modified(old.modified().unwrap()).unwrap();
    }
    assert_eq!(
        served.rig.read(a, 100, 300).answer(),
        Ok(bytes(1, 100, 300))
    );
    assert_eq!(served.asked.load(Ordering::SeqCst), asked + 1);
    assert_eq!(state(), NodeState::Available);
    let xattr = engine.xattr(b, b"user.fuse-promise.state");
    assert_eq!(xattr, Ok(b"materialized".to_vec()));
    std::fs::rename(served.path("promise-1/b"), served.path("moved")).unwrap();
    assert_eq!(served.rig.read(b, 0, 10).answer(), Ok(bytes(2, 0, 10)));
    assert_eq!(served.asked.load(Ordering::SeqCst), asked + 2);
}

#[test]
fn a_partly_materialized_promise_goes_with_its_lost_provider() {
    let rig = Rig::with(|options| options.linger = std::time::Duration::from_millis(50));
    // The byte at the end of `fatal` is the provider's last.
    let tree = support::tree(&[("a", 5000), ("fatal", 1)]);
    let served = Served::on(rig, &tree, |provider, read| match read.row {
        2 => provider.channel.shutdown(),
        _ => provider.answer(read),
    });
    let engine = &served.rig.engine;
    let other = served.rig.provider();
    let lost = served.rig.commit(&other, &[("b", 1)]);
    assert_eq!(status_of(&served.copy("a", ConflictPolicy::Fail)), None);
    let eio = Err(rustix::io::Errno::IO.raw_os_error());
    let fatal = served.rig.read(node(served.promise, 2), 0, 1);
    assert_eq!(fatal.answer(), eio);
    drop(other);
    served
        .rig
        .settle("lost promises stay", |gauges| gauges.providers == 0);
    assert!(engine.promise(lost).is_none() && engine.promise(served.promise).is_none());
}

#[test]
fn a_promise_that_was_materialized_whole_stays_longer() {
    let rig = Rig::with(|options| options.linger = std::time::Duration::from_millis(50));
    let served = Served::on(rig, &support::tree(&[("a", 5000)]), honest);
    let engine = &served.rig.engine;
    let other = served.rig.provider();
    let lost = served.rig.commit(&other, &[("b", 1)]);
    assert_eq!(status_of(&served.copy("", ConflictPolicy::Fail)), None);
    served.lose_provider();
    drop(other);
    // The other provider was lost after this one, and its promise goes all the same.
    served
        .rig
        .settle("lost promises stay", |_| engine.promise(lost).is_none());
    let state = engine.promise(served.promise).unwrap().state;
    assert_eq!(state, NodeState::Materialized);
    let a = node(served.promise, 1);
    assert_eq!(served.rig.read(a, 0, 10).answer(), Ok(bytes(1, 0, 10)));
    // It is here for its copy's sake alone, and goes with it, and the session with both.
    std::fs::remove_file(served.path("promise-1/a")).unwrap();
    let eio = Err(rustix::io::Errno::IO.raw_os_error());
    assert_eq!(served.rig.read(a, 0, 10).answer(), eio);
    assert!(engine.promise(served.promise).is_none());
    assert_eq!(engine.gauges().providers, 0);
}

#[test]
fn a_promise_that_is_destroyed_meanwhile_is_copied_to_the_end_and_then_freed() {
    let files: Vec<_> = (0..40).map(|n| format!("f{n:02}")).collect();
    let files: Vec<_> = files.iter().map(|name| (&name[..], 1 << 20)).collect();
    let served = Served::new(&files, honest);
    let job = served.start("", ConflictPolicy::Fail).unwrap();
    served.rig.engine.destroy(served.promise).unwrap();
    let done = served.finish(job);
    assert_eq!(status_of(&done), None);
    assert_eq!(listing(&served.path("promise-1")).len(), 40);
    // Nothing of it is held any more: no image, no share of its provider's limits.
    served
        .rig
        .settle("the promise stays", |gauges| gauges.image_bytes == 0);
    let provider = served.rig.engine.providers()[0];
    served.rig.settle("the charge stays", |_| {
        served.rig.engine.provider(provider).unwrap().promises == 0
    });
}

#[test]
fn a_removed_copy_is_not_kept_open() {
    let served = Served::new(&[("a", 5000)], honest);
    served.copy("", ConflictPolicy::Fail);
    let a = node(served.promise, 1);
    assert_eq!(served.rig.read(a, 0, 5).answer(), Ok(bytes(1, 0, 5)));
    std::fs::remove_file(served.path("promise-1/a")).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let ours = |path: &PathBuf| path.starts_with(served.target.path());
    let deleted = open
        .filter(ours)
        .filter(|path| path.to_string_lossy().contains("(deleted)"));
    assert_eq!(deleted.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    assert_eq!(served.rig.read(a, 0, 5).answer(), Ok(bytes(1, 0, 5)));
}
