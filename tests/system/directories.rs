//! Listings: what they contain, in which order, and how to go on in one.

mod support;

use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use fuse_promise_testkit::fixture::check::assert_attributes;
use fuse_promise_testkit::{Tree, both_shapes};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use support::balance::gauge;
use support::errno;

/// One name as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    name: String,
    inode: u64,
    kind: FileType,
    /// Where the listing continues after it, as telldir would say.
    after: i64,
}

fn open(directory: &Path) -> Dir {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened: OwnedFd = openat(CWD, directory, flags, Mode::empty()).unwrap();
    Dir::new(opened).unwrap()
}

fn next(listing: &mut Dir) -> Option<Name> {
    let entry = listing.read()?.unwrap();
    let text = |name: &CStr| name.to_str().unwrap().to_owned();
    Some(Name {
        name: text(entry.file_name()),
        inode: entry.ino(),
        kind: entry.file_type(),
        after: entry.offset(),
    })
}

/// All names, the dots included.
fn list(directory: &Path) -> Vec<Name> {
    let mut listing = open(directory);
    std::iter::from_fn(|| next(&mut listing)).collect()
}

fn only_names(directory: &Path) -> Vec<String> {
    list(directory).into_iter().map(|name| name.name).collect()
}

const MANY: usize = 3000;

/// Enough names for many buffers of getdents.
fn large() -> Tree {
    Tree::new().files("large/name-of-some-length-", MANY, 77)
}

both_shapes! {
    /// > Names of a directory come in the order of their bytes, promises in the order of their
    /// > numbers, and a position from telldir stays valid as long as the directory is open.
    fn names_come_in_the_order_of_their_bytes(session) {
        let names = [
            "B", "Z", "a", "a b", "a-b", "a.b", "aa", "b", "~", "é", "日本語", "\u{1f600}",
        ];
        let mut tree = Tree::new();
        // Added backwards, directories and files in turn.
        for (number, name) in names.iter().rev().enumerate() {
            tree = if number % 2 == 0 { tree.file(name, 1) } else { tree.dir(name) };
        }
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        let mut expected = vec![".", ".."];
        expected.extend(names);
        // The first listing comes from the daemon, the next from the kernel's own memory.
        for _ in 0..3 {
            assert_eq!(only_names(&promise.path), expected);
        }
        let large = provider.publish(&large());
        let listed = only_names(&large.join("large"));
        assert_eq!(listed.len(), MANY + 2);
        assert!(listed.is_sorted());
    }

    fn a_position_stays_valid(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&large());
        let mut listing = open(&promise.join("large"));
        let all: Vec<Name> = std::iter::from_fn(|| next(&mut listing)).collect();
        assert_eq!(all.len(), MANY + 2);
        assert_eq!(next(&mut listing), None);
        // Each position once, in an order with great strides in both directions.
        for step in 0..all.len() {
            let at = step * 1999 % all.len();
            listing.seek(all[at].after).unwrap();
            assert_eq!(next(&mut listing).as_ref(), all.get(at + 1), "after {:?}", all[at]);
        }
        listing.rewind();
        assert_eq!(next(&mut listing).as_ref(), all.first());
        // Another listing of the same directory continues at the same positions.
        let mut other = open(&promise.join("large"));
        other.seek(all[1000].after).unwrap();
        assert_eq!(next(&mut other).as_ref(), all.get(1001));
    }

    fn a_listing_of_the_root_goes_on_when_promises_go_and_come(session) {
        let mut providers: Vec<_> = (0..12).map(|_| session.provider()).collect();
        for provider in &mut providers {
            provider.publish(&Tree::new());
        }
        let ids = |numbers: &[u32]| -> Vec<String> {
            numbers.iter().map(|number| format!("promise-{number}")).collect()
        };
        let expected = [vec![".".into(), "..".into()], ids(&(1..=12).collect::<Vec<_>>())].concat();
        assert_eq!(only_names(&session.mount()), expected);
        let mut listing = open(&session.mount());
        let all: Vec<Name> = std::iter::from_fn(|| next(&mut listing)).collect();
        assert_eq!(all[5].name, "promise-4");
        for gone in [3, 4, 10] {
            providers[gone - 1].unregister();
        }
        providers[0].publish(&Tree::new());
        // Positions after a promise that is still there and after two that have gone.
        for (at, rest) in [
            (3, &[5, 6, 7, 8, 9, 11, 12, 13][..]),
            (5, &[5, 6, 7, 8, 9, 11, 12, 13]),
            (11, &[11, 12, 13]),
        ] {
            listing.seek(all[at].after).unwrap();
            let names = std::iter::from_fn(|| next(&mut listing)).map(|name| name.name);
            assert_eq!(names.collect::<Vec<_>>(), ids(rest), "after {}", all[at].name);
        }
    }

    fn a_listing_tells_kind_and_inode(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/sub/a", 1).file("dir/b", 1));
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        let told = |directory: &str| -> Vec<(String, u64, FileType)> {
            let names = list(&promise.join(directory));
            names.into_iter().map(|name| (name.name, name.inode, name.kind)).collect()
        };
        let dots = |own: &str, parent: u64| {
            let own = inode(&promise.join(own));
            [(".".into(), own, FileType::Directory), ("..".into(), parent, FileType::Directory)]
        };
        let mut expected = dots("dir", inode(&promise.path)).to_vec();
        expected.push(("b".into(), inode(&promise.join("dir/b")), FileType::RegularFile));
        expected.push(("sub".into(), inode(&promise.join("dir/sub")), FileType::Directory));
        assert_eq!(told("dir"), expected);
        assert_eq!(told("")[..2], dots("", inode(&session.mount())));
        assert_eq!(told("dir/sub")[..2], dots("dir/sub", inode(&promise.join("dir"))));
    }

    /// Attributes come along with the names if the kernel wants them; either way they are the same.
    fn names_alone_and_names_with_attributes_agree(session) {
        // Thousands of files are opened and read, one after the other.
        session.allow(Duration::from_secs(180));
        let mut provider = session.provider();
        let promise = provider.publish(&large());
        let directory = promise.join("large");
        assert_eq!(list(&directory).len(), MANY + 2);
        // The kernel asked for attributes along with the first names, and for names alone when it
        // saw that nobody wanted more. Two lookups were of the promise and the directory.
        let remembered = gauge(&session, "lookups") - 2;
        assert!((1..MANY as u64).contains(&remembered), "{remembered}");
        let again = provider.publish(&large());
        for promise in [&promise, &again] {
            for node in promise.tree.nodes() {
                assert_attributes(&promise.join(&node.path), node);
            }
        }
        let other = provider.publish(&large());
        // ls asks for the attributes of each name as it reads it.
        let mut command = session.command("ls");
        command.arg("-lU").arg(other.join("large"));
        assert_eq!(fuse_promise_testkit::process::run(&mut command).ok().lines().count(), MANY + 1);
        other.check();
        assert!(gauge(&session, "lookups") >= 3 * MANY as u64);
    }

    fn what_is_not_there_and_what_is_no_directory(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 1));
        let looked = |path: &str| rustix::fs::stat(promise.join(path)).err();
        assert_eq!(looked("b"), Some(Errno::NOENT));
        assert_eq!(looked("dir/b"), Some(Errno::NOENT));
        assert_eq!(looked("dir/a/b"), Some(Errno::NOTDIR));
        assert_eq!(looked(&"x".repeat(255)), Some(Errno::NOENT));
        assert_eq!(looked(&"x".repeat(256)), Some(Errno::NAMETOOLONG));
        assert_eq!(looked("dir/a"), None);
        assert_eq!(errno(fs::read_dir(promise.join("dir/a"))), Some(Errno::NOTDIR));
        assert_eq!(errno(fs::read(promise.join("dir"))), Some(Errno::ISDIR));
    }
}
