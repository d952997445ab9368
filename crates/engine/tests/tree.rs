//! Names, attributes and listings as the kernel asks for them.

mod support;

use std::sync::{Arc, Mutex};

use fuse_promise_core::attr::{NodeAttr, NodeKind};
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{Attr, CommitOptions, Engine, Kernel};
use rustix::io::Errno;
use support::{FakeProvider, Rig, node};

fn names(engine: &Engine, directory: Inode, from: u64) -> Vec<(String, u64)> {
    let listing = engine.list(directory).unwrap();
    let mut offset = from;
    let mut names = Vec::new();
    while let Some(entry) = listing.entry(offset) {
        names.push((String::from_utf8(entry.name).unwrap(), entry.attr.inode.0));
        offset = entry.next_offset;
    }
    names
}

fn only_names(engine: &Engine, directory: Inode) -> Vec<String> {
    let all = names(engine, directory, 0);
    all.into_iter().map(|(name, _)| name).collect()
}

fn nested(rig: &Rig, provider: &FakeProvider) -> PromiseNumber {
    let mut builder = TreeBuilder::new(PathRule::Utf8);
    let dir = NodeAttr {
        mode: 0o750,
        size: 0,
        mtime_nsec: 1_500_000_000_000_000_001,
    };
    let file = NodeAttr {
        mode: 0o4711,
        size: 1025,
        mtime_nsec: 3,
    };
    builder.add_dir(b"d", dir, b"d").unwrap();
    builder.add_dir(b"d/e", dir, b"e").unwrap();
    builder.add_file(b"d/z", file, b"z").unwrap();
    builder.add_file(b"d/a", file, b"a").unwrap();
    builder.add_file(b"top", file, b"top").unwrap();
    let image = fuse_promise_wire::image::seal(&builder).unwrap();
    rig.engine
        .commit(
            provider.number,
            &provider.token,
            image,
            CommitOptions::default(),
        )
        .unwrap()
}

#[test]
fn the_root_lists_promises_in_the_order_of_their_numbers() {
    let rig = Rig::new();
    let provider = rig.provider();
    assert_eq!(only_names(&rig.engine, Inode::ROOT), [".", ".."]);
    let promises: Vec<_> = (0..11)
        .map(|_| rig.commit(&provider, &[("a", 1)]))
        .collect();
    let mut expected = vec![".".to_owned(), "..".to_owned()];
    expected.extend(promises.iter().map(|promise| promise.id()));
    assert_eq!(only_names(&rig.engine, Inode::ROOT), expected);
    assert_eq!(rig.engine.attr(Inode::ROOT).unwrap().nlink, 13);
    // A listing goes on where it was, though a promise before it has gone.
    let listing = rig.engine.list(Inode::ROOT).unwrap();
    let third = listing.entry(2 + 2).unwrap();
    assert_eq!(third.name, b"promise-3");
    rig.engine.destroy(promises[3]).unwrap();
    assert_eq!(listing.entry(third.next_offset).unwrap().name, b"promise-5");
}

#[test]
fn a_directory_lists_its_children_by_name_bytes_and_is_seekable() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = nested(&rig, &provider);
    let root = node(promise, 0);
    assert_eq!(only_names(&rig.engine, root), [".", "..", "d", "top"]);
    let d = rig.engine.lookup(root, b"d").unwrap();
    assert_eq!(only_names(&rig.engine, d.inode), [".", "..", "a", "e", "z"]);
    assert_eq!(names(&rig.engine, d.inode, 3).len(), 2);
    assert_eq!(names(&rig.engine, d.inode, 1 << 40).len(), 0);
    let dots = names(&rig.engine, d.inode, 0);
    assert_eq!((dots[0].1, dots[1].1), (d.inode.0, root.0));
    assert_eq!(names(&rig.engine, root, 0)[1].1, Inode::ROOT.0);
    let a = rig.engine.lookup(d.inode, b"a").unwrap();
    let listed = rig.engine.list(a.inode).err();
    assert_eq!(listed, Some(Errno::NOTDIR.raw_os_error()));
}

#[test]
fn attributes_are_as_declared() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = nested(&rig, &provider);
    let root = rig.engine.attr(node(promise, 0)).unwrap();
    assert_eq!((root.mode, root.nlink), (0o755, 3));
    assert_eq!(root.mtime, std::time::UNIX_EPOCH);
    let d = rig.engine.lookup(root.inode, b"d").unwrap();
    assert_eq!((d.kind, d.mode, d.nlink), (NodeKind::Directory, 0o750, 3));
    let since = d.mtime.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_nanos(), 1_500_000_000_000_000_001);
    let z = rig.engine.lookup(d.inode, b"z").unwrap();
    assert_eq!((z.kind, z.mode, z.nlink), (NodeKind::File, 0o4711, 1));
    assert_eq!((z.size, z.blocks), (1025, 3));
    assert_eq!(rig.engine.attr(z.inode), Ok(z));
    let missing = rig.engine.lookup(d.inode, b"nope");
    assert_eq!(missing, Err(Errno::NOENT.raw_os_error()));
    let too_long = rig.engine.lookup(d.inode, &[b'x'; 256]);
    assert_eq!(too_long, Err(Errno::NAMETOOLONG.raw_os_error()));
}

#[test]
fn opening_is_refused_with_the_right_errno() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = nested(&rig, &provider);
    let root = node(promise, 0);
    let top = rig.engine.lookup(root, b"top").unwrap().inode;
    let errno = |errno: Errno| Err(errno.raw_os_error());
    assert_eq!(rig.engine.open(root, false), errno(Errno::ISDIR));
    assert_eq!(rig.engine.open(top, true), errno(Errno::ROFS));
    let unknown = Inode::new(promise, Row(1000));
    assert_eq!(rig.engine.open(unknown, false), errno(Errno::NOENT));
    assert_eq!(rig.engine.gauges().opens, 0);
    let opened = rig.engine.open(top, false).unwrap();
    assert!(opened.direct_io && !opened.keep_cache);
    rig.engine.release_directory(top);
    assert_eq!(rig.engine.gauges().opens, 0);
}

#[test]
fn attributes_name_state_promise_and_provider() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = nested(&rig, &provider);
    let inode = node(promise, 1);
    let value = |name: &str| {
        let name = format!("user.fuse-promise.{name}");
        rig.engine.xattr(inode, name.as_bytes())
    };
    assert_eq!(value("state"), Ok(b"available".to_vec()));
    assert_eq!(value("promise"), Ok(promise.id().into_bytes()));
    let number = provider.number.0.to_string();
    assert_eq!(value("provider"), Ok(number.into_bytes()));
    assert_eq!(rig.engine.xattr_names(inode), Ok(vec![]));
    let nodata = Err(Errno::NODATA.raw_os_error());
    assert_eq!(value("other"), nodata);
    assert_eq!(rig.engine.xattr(inode, b"\xff"), nodata);
}

#[test]
fn totals_follow_commit_and_destroy() {
    let rig = Rig::new();
    let provider = rig.provider();
    assert_eq!(rig.engine.totals().bytes, 0);
    let small = rig.commit(&provider, &[("a", 100), ("b", 200)]);
    let huge = rig.commit(&provider, &[("a", i64::MAX as u64), ("b", i64::MAX as u64)]);
    let totals = rig.engine.totals();
    assert_eq!((totals.nodes, totals.promises), (6, 2));
    assert_eq!(totals.bytes, u64::MAX);
    rig.engine.destroy(huge).unwrap();
    assert_eq!(rig.engine.totals().bytes, 300);
    rig.engine.destroy(small).unwrap();
    assert_eq!(rig.engine.totals().nodes, 0);
}

#[test]
fn a_path_that_does_not_fit_commits_nothing() {
    let rig = Rig::new();
    let provider = rig.provider();
    let path = rig.engine.promise_path(PromiseNumber(1));
    let needed = path.as_os_str().len() as u64 + 1;
    let options = |capacity| CommitOptions {
        path_capacity: Some(capacity),
        ..CommitOptions::default()
    };
    let refused = rig.try_commit(&provider, &[("a", 1)], options(needed - 1));
    let refused = refused.unwrap_err();
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(refused.message.contains(&needed.to_string()), "{refused}");
    assert_eq!(rig.engine.promises(), []);
    let fits = rig.try_commit(&provider, &[("a", 1)], options(needed));
    assert_eq!(fits, Ok(PromiseNumber(1)));
}

#[test]
fn a_commit_that_expired_takes_no_number() {
    let rig = Rig::new();
    let provider = rig.provider();
    let commit = |expires| {
        let options = CommitOptions {
            expires: Some(expires),
            ..CommitOptions::default()
        };
        rig.try_commit(&provider, &[("a", 1)], options)
    };
    assert_eq!(commit(1).unwrap_err().status, Status::Timeout);
    assert_eq!(rig.engine.promises(), []);
    assert_eq!(commit(u64::MAX), Ok(PromiseNumber(1)));
}

#[test]
fn lookups_are_counted_until_they_are_forgotten() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = nested(&rig, &provider);
    let root = rig
        .engine
        .lookup(Inode::ROOT, promise.id().as_bytes())
        .unwrap();
    let top = rig.engine.lookup(root.inode, b"top").unwrap();
    rig.engine.remember(top.inode);
    assert_eq!(rig.engine.gauges().lookups, 3);
    rig.engine.forget(top.inode, 2);
    rig.engine.forget(root.inode, 1);
    assert_eq!(rig.engine.gauges().lookups, 0);
}

#[test]
fn a_hundred_thousand_files_are_an_ordinary_promise() {
    let rig = Rig::new();
    let provider = rig.provider();
    let files: Vec<_> = (0..100_000).map(|n| format!("file-{n:06}")).collect();
    let files: Vec<_> = files.iter().map(|name| (&name[..], 10)).collect();
    let promise = rig.commit(&provider, &files);
    let listed = names(&rig.engine, node(promise, 0), 2);
    assert_eq!(listed.len(), 100_000);
    assert!(listed.is_sorted());
    let last = rig.engine.lookup(node(promise, 0), b"file-099999").unwrap();
    assert_eq!(last.inode.0, listed[99_999].1);
}

/// A kernel that keeps the root's attributes until it is told that they are stale.
#[derive(Default)]
struct Keeping(Mutex<Option<Attr>>);

impl Keeping {
    fn root(&self, engine: &Engine) -> Attr {
        let mut kept = self.0.lock().unwrap();
        *kept.get_or_insert_with(|| engine.attr(Inode::ROOT).unwrap())
    }
}

impl Kernel for Keeping {
    fn attributes_stale(&self, inode: Inode) {
        assert_eq!(inode, Inode::ROOT);
        *self.0.lock().unwrap() = None;
    }

    fn entry_gone(&self, _: Inode, _: &[u8]) {}
    fn pages_stale(&self, _: Inode) {}
}

#[test]
fn the_kernel_never_keeps_attributes_of_the_root_that_are_stale() {
    let rig = Rig::with(|options| options.linger = std::time::Duration::ZERO);
    let kernel = Arc::new(Keeping::default());
    let provider = rig.provider();
    kernel.root(&rig.engine);
    // What came before the kernel was known is told then.
    let first = rig.commit(&provider, &[("a", 1)]);
    rig.engine.set_kernel(kernel.clone());
    let assert_right = |promises: u32| {
        let shown = kernel.root(&rig.engine);
        assert_eq!(shown.nlink, 2 + promises);
        assert_eq!(Ok(shown), rig.engine.attr(Inode::ROOT));
    };
    assert_right(1);
    let second = rig.commit(&provider, &[("a", 1)]);
    assert_right(2);
    rig.engine.destroy(first).unwrap();
    assert_right(1);
    let (number, token) = (provider.number, &provider.token);
    rig.engine.unregister(number, token).unwrap();
    assert_right(0);
    assert!(rig.engine.promise(second).is_none());
    // One whose provider dies goes by itself.
    let dying = rig.provider();
    rig.commit(&dying, &[("a", 1)]);
    assert_right(1);
    drop(dying);
    rig.settle("still listed", |gauges| gauges.promises == 0);
    rig.settle("still told", |_| kernel.root(&rig.engine).nlink == 2);
}
