//! What `stat` and extended attributes tell of a node.

mod support;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use fuse_promise_core::{NodeAttr, Record};
use fuse_promise_testkit::fixture::check::assert_attributes;
use fuse_promise_testkit::process::run;
use fuse_promise_testkit::{Session, Tree, both_shapes};
use rustix::fs::{getxattr, getxattr_query, listxattr};
use rustix::io::Errno;
use support::{attribute, errno};

const LARGEST: u64 = i64::MAX as u64;

fn attr(mode: u32, size: u64, mtime_nsec: i64) -> NodeAttr {
    NodeAttr {
        mode,
        size,
        mtime_nsec,
    }
}

/// Files of every kind of mode, size and time.
fn varied() -> Tree {
    let modes = [0o644, 0o400, 0o777, 0o4755, 0o2711, 0o1666, 0o7777, 0];
    let sizes = [0, 1, 511, 512, 513, 1 << 40, LARGEST];
    let times = [
        0,
        1,
        999_999_999,
        1_000_000_000,
        1_700_000_000_123_456_789,
        i64::MAX,
    ];
    let mut tree = Tree::new().file("dir/sub/deep", 5);
    for (number, mode) in modes.into_iter().enumerate() {
        for (size, time) in sizes.into_iter().zip(times.into_iter().cycle()) {
            let name = format!("{number}-{size}");
            tree = tree.file_with(&name, attr(mode, size, time), &name);
        }
    }
    for time in times {
        let name = format!("dir/at-{time}");
        tree = tree.file_with(&name, attr(0o600, 3, time), &name);
    }
    tree
}

/// Every path of a promise, its own directory first.
fn every_path(promise: &Path) -> Vec<PathBuf> {
    let mut paths = vec![promise.to_owned()];
    let mut next = 0;
    while next < paths.len() {
        if paths[next].is_dir() {
            let entries = fs::read_dir(&paths[next]).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    paths
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

both_shapes! {
    /// > Sizes, permission bits and modification times are shown as declared, to the nanosecond;
    /// > owner and group are those of the daemon.
    fn attributes_are_shown_as_declared(session) {
        let tree = varied();
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        for node in tree.nodes() {
            assert_attributes(&promise.join(&node.path), node);
        }
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        for path in every_path(&promise.path) {
            let shown = fs::symlink_metadata(&path).unwrap();
            assert_eq!((shown.uid(), shown.gid()), (uid.as_raw(), gid.as_raw()));
        }
        let directory = Record::new("dir").field("path", "d").field("id", "d");
        let directory = directory.field("mode", 0o2705).field("size", 0).field("mtime_nsec", 7);
        provider.ask(&Record::new("begin")).unwrap();
        provider.ask(&directory).unwrap();
        provider.ask(&Record::new("commit")).unwrap();
        let shown = fs::metadata(session.promised("promise-2/d")).unwrap();
        assert_eq!((shown.mode(), shown.mtime(), shown.mtime_nsec()), (0o042705, 0, 7));
    }

    /// > A file with declared mode 0 cannot be opened.
    fn a_file_that_its_owner_may_not_read_cannot_be_opened(session) {
        let tree = Tree::new()
            .file_with("nobody's", attr(0, 10, 0), "1")
            .file_with("others'", attr(0o077, 10, 0), "2")
            .file_with("ours", attr(0o400, 10, 0), "3");
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        assert_eq!(errno(fs::read(promise.join("nobody's"))), Some(Errno::ACCESS));
        assert_eq!(errno(fs::File::open(promise.join("others'"))), Some(Errno::ACCESS));
        assert_eq!(fs::read(promise.join("ours")).unwrap().len(), 10);
    }

    /// > Access and change time equal the modification time.
    fn all_times_are_the_modification_time(session) {
        let tree = varied();
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        fs::read(promise.join("dir/sub/deep")).unwrap();
        for path in every_path(&promise.path) {
            let shown = fs::symlink_metadata(&path).unwrap();
            let modified = (shown.mtime(), shown.mtime_nsec());
            assert_eq!((shown.atime(), shown.atime_nsec()), modified, "{path:?}");
            assert_eq!((shown.ctime(), shown.ctime_nsec()), modified, "{path:?}");
        }
    }

    /// > The inode number of a node never changes and is never given to another node in the same
    /// > session.
    fn inode_numbers_are_for_ever(session) {
        let tree = Tree::new().files("dir/f", 50, 1).file("dir/sub/a", 1).file("b", 1);
        let mut seen = HashSet::from([inode(&session.mount())]);
        for _ in 0..2 {
            let mut provider = session.provider();
            for _ in 0..3 {
                let promise = provider.publish(&tree);
                let paths = every_path(&promise.path);
                let before: Vec<u64> = paths.iter().map(|path| inode(path)).collect();
                disturb(&promise.path);
                let after: Vec<u64> = paths.iter().map(|path| inode(path)).collect();
                assert_eq!(after, before);
                for (path, number) in paths.iter().zip(&before) {
                    assert!(seen.insert(*number), "{path:?} has inode {number} of another");
                }
                for entry in fs::read_dir(promise.join("dir")).unwrap() {
                    let entry = entry.unwrap();
                    assert_eq!(entry.ino(), inode(&entry.path()));
                }
                assert_listed_inodes(&session, &promise.path);
            }
            provider.unregister();
        }
        session.stop_daemon();
        session.start_daemon();
        let mut provider = session.provider();
        let next = provider.publish(&tree);
        for path in every_path(&next.path) {
            assert!(seen.insert(inode(&path)), "{path:?}");
        }
    }

    /// > A file has one link; a directory has two and one more for each directory in it.
    fn links_are_counted(session) {
        let tree = Tree::new().file("a/b/c", 1).file("a/d/e/f", 1).file("a/g", 1).dir("empty");
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        provider.publish(&Tree::new());
        let links = |path: &Path| fs::metadata(path).unwrap().nlink();
        let directories = [("", 4), ("a", 4), ("a/b", 2), ("a/d", 3), ("empty", 2)];
        let files = [("a/b/c", 1), ("a/g", 1)];
        for (path, count) in directories.into_iter().chain(files) {
            assert_eq!(links(&promise.join(path)), count, "{path}");
        }
        assert_eq!(links(&session.mount()), 4);
        provider.unregister();
        assert_eq!(links(&session.mount()), 2);
    }

    /// > `st_blocks` covers the whole size, so that no program takes a promised file for a sparse
    /// > one.
    fn blocks_cover_the_size(session) {
        let tree = varied();
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        for node in tree.file_nodes() {
            let shown = fs::metadata(promise.join(&node.path)).unwrap();
            assert_eq!(shown.blocks(), node.attr.size.div_ceil(512), "{}", node.path);
            assert!(shown.blksize().is_power_of_two());
            // One read of a program that reads block by block is one trip to the provider.
            assert_eq!(shown.blksize(), 128 << 10);
        }
        let content = Tree::new().file("copied", 300_000);
        let promise = provider.publish(&content);
        let copy = session.dirs().home().join("copied");
        let mut command = session.command("cp");
        run(command.arg("--sparse=auto").arg(promise.join("copied")).arg(&copy)).ok();
        fuse_promise_testkit::fixture::check::assert_content(&copy, &content.nodes()[0]);
    }

    /// > Looking, listing and asking for attributes never asks a provider.
    fn looking_asks_no_provider(session) {
        let tree = Tree::new().files("dir/f", 300, 5000).file("dir/sub/deep/a", 1 << 30);
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        let script = "cd \"$1\"; ls -laR; find . -printf '%p %s %m %i'; stat dir/*; du -a; df .; \
            test -r dir/f1; test -x dir/f1; realpath dir/f1; ls missing; true";
        let mut command = session.command("sh");
        let shown = run(command.args(["-c", script, "sh"]).arg(&promise.path));
        assert!(shown.ok().contains("dir/f299"));
        for path in every_path(&promise.path) {
            assert!(attribute_names(&path).is_empty());
            assert!(attribute(&path, "user.fuse-promise.state").is_ok());
        }
        drop(fs::File::open(promise.join("dir/f7")).unwrap());
        assert_eq!(provider.counters().requests, 0);
        fs::read(promise.join("dir/f7")).unwrap();
        assert_eq!(provider.counters().requests, 1);
    }

    /// > Each node has the extended attributes `user.fuse-promise.state`,
    /// > `user.fuse-promise.promise` and `user.fuse-promise.provider`, which are not listed, so
    /// > that no program copies them.
    fn extended_attributes_tell_whose_a_node_is(session) {
        session.provider().publish(&Tree::new());
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 1));
        let names = ["state", "promise", "provider"];
        let names = names.map(|name| format!("user.fuse-promise.{name}"));
        for path in every_path(&promise.path) {
            assert!(attribute_names(&path).is_empty());
            let values = names.each_ref().map(|name| attribute(&path, name).unwrap());
            assert_eq!(values, ["available", "promise-2", "2"], "{path:?}");
            assert_eq!(attribute(&path, "user.other"), Err(Errno::NODATA));
            let short = getxattr(&path, names[0].as_str(), &mut [0; 3]);
            assert_eq!(short, Err(Errno::RANGE));
            assert_eq!(getxattr_query(&path, names[0].as_str()), Ok(9));
        }
        assert!(attribute_names(&session.mount()).is_empty());
        let copy = session.runtime_dir().join("copied");
        let mut command = session.command("cp");
        run(command.arg("-a").arg(promise.join("dir/a")).arg(&copy)).ok();
        assert_eq!(attribute(&copy, &names[0]), Err(Errno::NODATA));
    }
}

/// What could make a file system that makes its numbers up make up new ones.
fn disturb(promise: &Path) {
    for number in 0..500 {
        assert!(!promise.join(format!("dir/missing-{number}")).exists());
    }
    assert!(fs::rename(promise.join("b"), promise.join("c")).is_err());
    assert!(fs::remove_file(promise.join("b")).is_err());
    let held = fs::File::open(promise.join("dir/sub/a")).unwrap();
    assert_eq!(
        held.metadata().unwrap().ino(),
        inode(&promise.join("dir/sub/a"))
    );
    every_path(promise);
}

/// `fpctl list` names the numbers that programs see.
#[track_caller]
fn assert_listed_inodes(session: &Session, promise: &Path) {
    let id = promise.file_name().unwrap().as_encoded_bytes();
    let listed = session.fpctl(&["list"]).ok();
    let nodes = listed.lines().filter_map(Record::parse);
    let of_promise = |line: &Record| line.word() == "node" && line.get("promise") == Some(id);
    let nodes: Vec<Record> = nodes.filter(of_promise).collect();
    assert!(nodes.len() > 50, "{listed}");
    for node in nodes {
        let text = |key| std::str::from_utf8(node.get(key).unwrap()).unwrap();
        assert_eq!(
            text("inode"),
            inode(&promise.join(text("path"))).to_string()
        );
    }
}

fn attribute_names(path: &Path) -> Vec<String> {
    let mut names = [0; 1000];
    let length = listxattr(path, &mut names).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    names.split_terminator('\0').map(str::to_owned).collect()
}
