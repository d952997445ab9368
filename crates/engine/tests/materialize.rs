//! Materialize through the engine: a provider that answers by itself, a real
//! target directory.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::ids::{JobNumber, PromiseNumber};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::{ConflictPolicy, NodeState};
use fuse_promise_engine::{CommitOptions, JobSnapshot, MaterializeOptions, Outcome};
use fuse_promise_wire::{ReadFrame, ToProvider};
use rustix::fs::{Mode, OFlags};
use support::{FakeProvider, HANG, Rig, bytes, node};

/// How the provider treats one read.
type Manner = fn(&FakeProvider, &ReadFrame);

struct Served {
    rig: Rig,
    promise: PromiseNumber,
    asked: Arc<AtomicU64>,
    target: tempfile::TempDir,
    server: Option<JoinHandle<()>>,
}

impl Served {
    fn new(files: &[(&str, u64)], manner: Manner) -> Self {
        Self::of(&support::tree(files), manner)
    }

    fn of(tree: &TreeBuilder, manner: Manner) -> Self {
        Self::on(Rig::new(), tree, manner)
    }

    fn on(rig: Rig, tree: &TreeBuilder, manner: Manner) -> Self {
        let provider = rig.provider();
        let image = fuse_promise_wire::image::seal(tree).unwrap();
        let options = CommitOptions::default();
        let engine = &rig.engine;
        let promise = engine.commit(provider.number, &provider.token, image, options);
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let server = std::thread::spawn(move || {
            while let Some(frame) = provider.next_frame() {
                if let ToProvider::Read(read) = frame {
                    counted.fetch_add(1, Ordering::SeqCst);
                    manner(&provider, &read);
                }
            }
        });
        Self {
            promise: promise.unwrap(),
            rig,
            asked,
            target: tempfile::tempdir().unwrap(),
            server: Some(server),
        }
    }

    fn source(&self, below: &str) -> Vec<u8> {
        let path = self.rig.engine.promise_path(self.promise).join(below);
        path.into_os_string().into_encoded_bytes()
    }

    fn start(&self, below: &str, policy: ConflictPolicy) -> Result<JobNumber, Status> {
        let target = rustix::fs::open(
            self.target.path(),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        );
        let options = MaterializeOptions {
            policy,
            sync: false,
            detach: false,
            confirm: false,
            expires: None,
        };
        let engine = &self.rig.engine;
        let job = engine.materialize(&self.source(below), target.unwrap(), options);
        job.map_err(|failure| failure.status)
    }

    fn finish(&self, job: JobNumber) -> JobSnapshot {
        let end = std::time::Instant::now() + HANG;
        loop {
            let now = self.rig.engine.job(job).unwrap();
            if now.report.is_some() {
                return now;
            }
            assert!(std::time::Instant::now() < end, "{now:?}");
            std::thread::yield_now();
        }
    }

    fn copy(&self, below: &str, policy: ConflictPolicy) -> JobSnapshot {
        let job = self.start(below, policy).unwrap();
        self.finish(job)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.target.path().join(below)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.rig.engine.stop();
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

fn honest(provider: &FakeProvider, read: &ReadFrame) {
    provider.answer(read);
}

fn status_of(snapshot: &JobSnapshot) -> Option<Status> {
    let report = snapshot.report.as_ref().unwrap();
    report.failure.as_ref().map(|failure| failure.status)
}

/// Every name below a directory.
fn listing(root: &Path) -> BTreeMap<PathBuf, std::fs::Metadata> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                open.push(path.clone());
            }
            all.insert(path.strip_prefix(root).unwrap().to_owned(), metadata);
        }
    }
    all
}

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
    // An edit of the same length, with the old time put back: only the change time tells.
    let path = served.path("promise-1/a");
    let old = std::fs::metadata(&path).unwrap().modified().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"edited", 100).unwrap();
    file.set_modified(old).unwrap();
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
    let served = Served::on(rig, &support::tree(&[("a", 5000)]), |provider, read| {
        provider.answer(read);
        provider.channel.shutdown();
    });
    let engine = &served.rig.engine;
    let other = served.rig.provider();
    let lost = served.rig.commit(&other, &[("b", 1)]);
    assert_eq!(status_of(&served.copy("", ConflictPolicy::Fail)), None);
    drop(other);
    // The other provider was lost after this one, and its promise goes all the same.
    served
        .rig
        .settle("lost promises stay", |_| engine.promise(lost).is_none());
    let state = engine.promise(served.promise).unwrap().state;
    assert_eq!(state, NodeState::Materialized);
    let a = node(served.promise, 1);
    assert_eq!(served.rig.read(a, 0, 10).answer(), Ok(bytes(1, 0, 10)));
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
fn a_file_too_large_for_the_target_fails_alone() {
    let served = Served::new(&[("a", i64::MAX as u64), ("b", 5)], honest);
    let done = served.copy("", ConflictPolicy::Fail);
    assert_eq!(status_of(&done), Some(Status::InvalidArgument));
    let names: Vec<_> = listing(&served.path("promise-1")).into_keys().collect();
    assert_eq!(names, [PathBuf::from("b")]);
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
