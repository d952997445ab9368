use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode};
use tempfile::TempDir;

use super::*;

fn scanned(directory: &Path) -> Tree {
    let root = fs::File::open(directory).unwrap();
    scan(root.as_fd(), None).unwrap()
}

fn paths<'a>(found: impl Iterator<Item = &'a Vec<u8>>) -> Vec<String> {
    found
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

fn skipped(tree: &Tree) -> Vec<(String, &str)> {
    let of = |skipped: &Skipped| String::from_utf8_lossy(&skipped.path).into_owned();
    tree.skipped
        .iter()
        .map(|skipped| (of(skipped), skipped.why.as_str()))
        .collect()
}

#[test]
fn directories_come_before_what_is_in_them_and_names_in_order() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("b/c")).unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    for name in ["z", "b/y", "b/c/x", "a/w"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let tree = scanned(folder.path());
    assert_eq!(
        paths(tree.directories.iter().map(|d| &d.path)),
        ["a", "b", "b/c"]
    );
    assert_eq!(
        paths(tree.files.iter().map(|f| &f.path)),
        ["z", "a/w", "b/y", "b/c/x"]
    );
    assert_eq!(tree.skipped, []);
}

#[test]
fn attributes_are_the_files_own() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let attr = scanned(folder.path()).files[0].attr;
    let wanted = NodeAttr {
        mode: 0o640,
        size: 5,
        mtime_nsec: 1_700_000_000_123_456_789,
    };
    assert_eq!(attr, wanted);
}

#[test]
fn a_time_before_1970_becomes_1970() {
    let folder = TempDir::new().unwrap();
    let file = fs::File::create(folder.path().join("old")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_secs(10))
        .unwrap();
    assert_eq!(scanned(folder.path()).files[0].attr.mtime_nsec, 0);
}

#[test]
fn what_is_no_file_and_no_directory_is_skipped_with_why() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    symlink("inside", folder.path().join("link")).unwrap();
    symlink("nowhere", folder.path().join("broken")).unwrap();
    rustix::fs::mkfifoat(CWD, folder.path().join("pipe"), Mode::RWXU).unwrap();
    let _listener = UnixListener::bind(folder.path().join("inside/socket")).unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let tree = scanned(folder.path());
    assert_eq!(
        skipped(&tree),
        [
            ("broken".into(), "is a symbolic link"),
            ("link".into(), "is a symbolic link"),
            ("pipe".into(), "is a FIFO"),
            ("\u{fffd}".into(), "its name is not UTF-8"),
            ("inside/socket".into(), "is a socket"),
        ]
    );
    assert!(tree.files.is_empty());
}

#[test]
fn what_lies_on_the_promise_mount_is_skipped() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("fuse-promise")).unwrap();
    let device = rustix::fs::stat(folder.path()).unwrap().st_dev;
    let root = fs::File::open(folder.path()).unwrap();
    let tree = scan(root.as_fd(), Some(device)).unwrap();
    assert_eq!(
        skipped(&tree),
        [("fuse-promise".into(), "is the promise mount itself")]
    );
}

#[test]
fn a_directory_is_published_only_once_it_was_listed() {
    let folder = TempDir::new().unwrap();
    let root = fs::File::open(folder.path()).unwrap();
    // Gone between the look at it and the attempt to list it.
    let mut tree = Tree::default();
    let mut waiting = VecDeque::new();
    fs::create_dir(folder.path().join("gone")).unwrap();
    let (opened, names) = list(root.as_fd(), b"").unwrap();
    tree.sort_in(&opened, b"", names, None, &mut waiting);
    assert_eq!(waiting.len(), 1);
    assert!(tree.directories.is_empty());
    fs::remove_dir(folder.path().join("gone")).unwrap();
    assert_eq!(list(root.as_fd(), b"gone").unwrap_err(), Errno::NOENT);
}

#[test]
fn a_path_that_could_not_be_opened_is_skipped() {
    let folder = TempDir::new().unwrap();
    // Deep enough that the last names lie beyond PATH_LEN_MAX, made step by step.
    let name = "d".repeat(NAME_LEN_MAX);
    let mut parent = OwnedFd::from(fs::File::open(folder.path()).unwrap());
    for _ in 0..=PATH_LEN_MAX / NAME_LEN_MAX {
        rustix::fs::mkdirat(&parent, &name, Mode::RWXU).unwrap();
        parent = rustix::fs::openat(&parent, &name, OFlags::RDONLY, Mode::empty()).unwrap();
    }
    let tree = scanned(folder.path());
    assert_eq!(tree.skipped.len(), 1);
    assert_eq!(tree.skipped[0].why, "its path is too long");
    assert!(
        tree.directories
            .iter()
            .all(|directory| directory.path.len() < PATH_LEN_MAX)
    );
}
