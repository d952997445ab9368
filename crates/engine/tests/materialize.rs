//! Materialize through the engine: a provider that answers by itself, a real
//! target directory.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_engine::{MaterializeOptions, Outcome};
use rustix::fs::{Mode, OFlags};
use support::served::{Manner, Served, honest, listing, status_of};
use support::{HANG, Rig, bytes};

fn nested() -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let attr = |mode, size| NodeAttr {
        mode,
        size,
        mtime_nsec: 1_600_000_000_123_456_789,
    };
    tree.add_dir(b"read-only", attr(0o555, 0), b"r").unwrap();
    tree.add_dir(b"read-only/deep", attr(0o711, 0), b"d")
        .unwrap();
    tree.add_file(b"read-only/deep/big", attr(0o640, 3 << 20), b"b")
        .unwrap();
    tree.add_file(b"read-only/small", attr(0o4755, 10), b"s")
        .unwrap();
    tree.add_file(b"empty", attr(0o444, 0), b"e").unwrap();
    tree.add_file(b"secret", attr(0, 7), b"x").unwrap();
    tree
}

#[test]
fn a_whole_promise_becomes_files_with_content_modes_and_times() {
    let served = Served::of(&nested(), honest);
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), None);
    let root = served.path("promise-1");
    let modes = listing(&root);
    let expected = [
        ("empty", 0o444, 0),
        ("read-only", 0o555, 0),
        ("read-only/deep", 0o711, 0),
        ("read-only/deep/big", 0o640, 3 << 20),
        ("read-only/small", 0o4755, 10),
        ("secret", 0, 7),
    ];
    assert_eq!(modes.len(), expected.len());
    for (name, mode, size) in expected {
        let found = &modes[Path::new(name)];
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
        assert_eq!(
            (found.mtime(), found.mtime_nsec()),
            (1_600_000_000, 123_456_789)
        );
        assert!(found.is_dir() || found.len() == size, "{name}");
    }
    let view = served.rig.engine.promise_tree(served.promise).unwrap();
    let big = view.view().resolve(b"read-only/deep/big").unwrap();
    let copied = std::fs::read(root.join("read-only/deep/big")).unwrap();
    assert_eq!(copied, bytes(big.0, 0, 3 << 20));
    assert_eq!(std::fs::metadata(&root).unwrap().mtime(), 0);
    let progress = done.progress;
    assert_eq!((progress.entries_done, progress.entries_total), (7, 7));
    assert_eq!((progress.files_written, progress.files_total), (4, 4));
    assert_eq!(
        (progress.directories_created, progress.directories_total),
        (3, 3)
    );
    assert_eq!(
        (progress.bytes_written, progress.bytes_total),
        ((3 << 20) + 17, (3 << 20) + 17)
    );
    served.rig.assert_idle();
}

#[test]
fn one_file_becomes_one_file() {
    let served = Served::new(&[("a", 5), ("b", 1)], honest);
    served.copy("a", ConflictPolicy::Fail);
    assert_eq!(std::fs::read(served.path("a")).unwrap(), bytes(1, 0, 5));
    assert_eq!(listing(served.target.path()).len(), 1);
}

#[test]
fn fail_refuses_before_anything_is_asked_or_written() {
    let served = Served::new(&[("a", 5)], honest);
    std::fs::write(served.path("a"), "mine").unwrap();
    let refused = served.start("a", ConflictPolicy::Fail);
    assert_eq!(refused, Err(Status::AlreadyExists));
    assert_eq!(std::fs::read(served.path("a")).unwrap(), b"mine");
    assert_eq!(served.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn overwrite_replaces_files_and_reuses_directories_but_no_symlink() {
    let served = Served::new(&[("a", 5), ("b", 6), ("c", 7)], honest);
    let root = served.path("promise-1");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("a"), "old").unwrap();
    std::fs::write(root.join("mine"), "stays").unwrap();
    std::fs::write(served.path("elsewhere"), "untouched").unwrap();
    std::os::unix::fs::symlink(served.path("elsewhere"), root.join("b")).unwrap();
    let done = served.copy("", ConflictPolicy::Overwrite);
    assert_eq!(status_of(&done), Some(Status::AlreadyExists));
    let report = done.report.unwrap();
    assert_eq!((report.written, report.failed), (2, 1));
    let told: Vec<_> = report.entries.iter().map(|entry| &entry.path[..]).collect();
    assert!(told.contains(&&b"promise-1/b"[..]), "{report:?}");
    assert!(
        report
            .entries
            .iter()
            .any(|entry| entry.outcome == Outcome::Replaced)
    );
    assert_eq!(std::fs::read(root.join("a")).unwrap(), bytes(1, 0, 5));
    assert_eq!(std::fs::read(root.join("c")).unwrap(), bytes(3, 0, 7));
    assert_eq!(std::fs::read(root.join("mine")).unwrap(), b"stays");
    assert!(root.join("b").symlink_metadata().unwrap().is_symlink());
    assert_eq!(
        std::fs::read(served.path("elsewhere")).unwrap(),
        b"untouched"
    );
    assert_eq!(listing(&root).len(), 4);
}

#[test]
fn rename_skip_and_newer_leave_what_is_there() {
    let served = Served::new(&[("a.txt", 5)], honest);
    std::fs::write(served.path("a.txt"), "mine").unwrap();
    served.copy("a.txt", ConflictPolicy::Rename);
    assert_eq!(
        std::fs::read(served.path("a (1).txt")).unwrap(),
        bytes(1, 0, 5)
    );
    let skipped = served.copy("a.txt", ConflictPolicy::Skip);
    assert_eq!(skipped.report.unwrap().skipped, 1);
    let newer = served.copy("a.txt", ConflictPolicy::Newer);
    assert_eq!(newer.report.unwrap().skipped, 1);
    assert_eq!(std::fs::read(served.path("a.txt")).unwrap(), b"mine");
    let old = std::fs::File::open(served.path("a.txt")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    served.copy("a.txt", ConflictPolicy::Newer);
    assert_eq!(std::fs::read(served.path("a.txt")).unwrap(), bytes(1, 0, 5));
}

#[test]
fn a_refused_file_fails_alone() {
    let served = Served::new(
        &[("a", 5), ("b", 6), ("c", 7)],
        |provider, read| match read.row {
            2 => provider.done(read, Status::Permission.code(), 0),
            _ => provider.answer(read),
        },
    );
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), Some(Status::Permission));
    let names: Vec<_> = listing(&served.path("promise-1")).into_keys().collect();
    assert_eq!(names, [PathBuf::from("a"), PathBuf::from("c")]);
    let report = done.report.unwrap();
    let failed = &report.entries[0];
    assert_eq!(failed.path, b"promise-1/b");
    served.rig.assert_idle();
}

#[test]
fn content_that_ends_early_leaves_no_file() {
    let served = Served::new(&[("a", 5000)], |provider, read| {
        let left = 100u64.saturating_sub(read.offset) as u32;
        provider.answer_some(read, left.min(read.length));
    });
    let done = served.copy("a", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), Some(Status::Io));
    assert_eq!(listing(served.target.path()).len(), 0);
}

#[test]
fn content_that_ends_early_is_told_with_its_path_and_where_it_ends() {
    const END: u64 = (1 << 20) + 100;
    let ends: Manner = |provider, read| {
        let left = END.saturating_sub(read.offset).min(u64::from(read.length));
        provider.answer_some(read, left as u32);
    };
    for rig in [Rig::new(), support::cached::rig()] {
        let tree = support::tree(&[("a", END + 5000)]);
        let served = Served::on(rig, &tree, ends);
        let done = served.copy("a", ConflictPolicy::Fail);
        let failure = done.report.unwrap().failure.unwrap();
        assert_eq!(failure.status, Status::Io);
        let said = failure.message;
        assert!(said.contains("/a: "), "{said}");
        assert!(said.contains(&format!("ends at {END}")), "{said}");
        assert_eq!(listing(served.target.path()).len(), 0);
    }
}

#[test]
fn cancel_takes_away_what_was_made_and_keeps_what_was_replaced() {
    let files: Vec<_> = (0..200).map(|n| format!("f{n:03}")).collect();
    let files: Vec<_> = files.iter().map(|name| (&name[..], 3 << 20)).collect();
    let served = Served::new(&files, honest);
    let root = served.path("promise-1");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("f000"), "old").unwrap();
    let job = served.start("", ConflictPolicy::Overwrite).unwrap();
    let end = std::time::Instant::now() + HANG;
    while served.rig.engine.job(job).unwrap().progress.files_written < 3 {
        assert!(std::time::Instant::now() < end, "nothing is written");
        std::thread::yield_now();
    }
    served.rig.engine.cancel_job(job).unwrap();
    let done = served.finish(job);
    assert_eq!(status_of(&done), Some(Status::Cancelled));
    assert!(done.report.as_ref().unwrap().removed >= 2);
    let left: Vec<_> = listing(&root).into_keys().collect();
    assert_eq!(left, [PathBuf::from("f000")]);
    assert_eq!(std::fs::metadata(root.join("f000")).unwrap().len(), 3 << 20);
    served.rig.assert_idle();
}

#[test]
fn a_provider_that_dies_half_way_leaves_nothing_half_written() {
    let served = Served::new(&[("a", 20 << 20), ("b", 5)], |provider, read| {
        if read.offset > 5 << 20 {
            provider.channel.shutdown();
        } else {
            provider.answer(read);
        }
    });
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), Some(Status::ProviderGone));
    assert_eq!(listing(served.target.path()).len(), 0);
}

#[test]
fn sources_and_targets_that_cannot_be_are_refused() {
    let served = Served::new(&[("a", 5)], honest);
    let engine = &served.rig.engine;
    let target = || rustix::fs::open(served.target.path(), OFlags::PATH, Mode::empty()).unwrap();
    let options = MaterializeOptions {
        policy: ConflictPolicy::Fail,
        sync: true,
        detach: false,
        confirm: false,
        expires: None,
    };
    let status = |source: &[u8], target| {
        let refused = engine.materialize(source, target, options);
        refused.unwrap_err().status
    };
    assert_eq!(status(b"promise-1/a", target()), Status::InvalidArgument);
    assert_eq!(status(b"/etc/passwd", target()), Status::NotFound);
    assert_eq!(status(&served.source("nope"), target()), Status::NotFound);
    assert_eq!(
        status(&served.source("../promise-1"), target()),
        Status::InvalidArgument
    );
    std::fs::write(served.path("file"), "").unwrap();
    let file = rustix::fs::open(served.path("file"), OFlags::PATH, Mode::empty()).unwrap();
    assert_eq!(status(&served.source("a"), file), Status::InvalidArgument);
    let with = |options| {
        let refused = engine.materialize(&served.source("a"), target(), options);
        refused.unwrap_err().status
    };
    let unconfirmable = MaterializeOptions {
        detach: true,
        confirm: true,
        ..options
    };
    assert_eq!(with(unconfirmable), Status::InvalidArgument);
    let expired = MaterializeOptions {
        expires: Some(1),
        ..options
    };
    assert_eq!(with(expired), Status::Timeout);
    assert_eq!(engine.jobs(), []);
}

#[test]
fn a_file_too_large_for_the_target_fails_alone() {
    let served = Served::new(&[("a", i64::MAX as u64), ("b", 5)], honest);
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), Some(Status::InvalidArgument));
    let names: Vec<_> = listing(&served.path("promise-1")).into_keys().collect();
    assert_eq!(names, [PathBuf::from("b")]);
}
