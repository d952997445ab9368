//! What of a directory can be published: one walk that writes down every directory and regular
//! file with what fstat says about it, and every other entry with why it is left out.
//!
//! Each directory is opened beneath the first one's descriptor and closed before the next, so the
//! depth of the tree costs no descriptors and no entry is reached through a symbolic link.

use std::collections::VecDeque;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use fuse_promise_core::NodeAttr;
use fuse_promise_core::limits::{NAME_LEN_MAX, PATH_LEN_MAX};

use super::identity::Identity;
use super::source::open_beneath;

/// Paths are relative to the directory that is published.
#[derive(Debug, Default)]
pub struct Tree {
    /// Parents before what is in them.
    pub directories: Vec<Directory>,
    pub files: Vec<File>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug)]
pub struct Directory {
    pub path: Vec<u8>,
    pub attr: NodeAttr,
}

#[derive(Debug)]
pub struct File {
    pub path: Vec<u8>,
    pub attr: NodeAttr,
    pub identity: Identity,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: Vec<u8>,
    pub why: String,
}

/// Walks the directory `root`. What lies on the device `mount` is the promise mount itself and is
/// left out. Fails only if `root` cannot be listed.
pub fn scan(root: BorrowedFd<'_>, mount: Option<u64>) -> Result<Tree, Errno> {
    let mut tree = Tree::default();
    let (opened, entries) = list(root, b"")?;
    let mut waiting = VecDeque::new();
    tree.sort_in(&opened, b"", entries, mount, &mut waiting);
    while let Some(directory) = waiting.pop_front() {
        match list(root, &directory.path) {
            Ok((opened, entries)) => {
                tree.sort_in(&opened, &directory.path, entries, mount, &mut waiting);
                tree.directories.push(directory);
            }
            Err(errno) => tree.skipped.push(Skipped {
                path: directory.path,
                why: format!("cannot be listed: {errno}"),
            }),
        }
    }
    Ok(tree)
}

impl Tree {
    /// Takes the entries of the directory `parent`; its own directories are still to be listed.
    fn sort_in(
        &mut self,
        opened: &OwnedFd,
        parent: &[u8],
        names: Vec<Vec<u8>>,
        mount: Option<u64>,
        waiting: &mut VecDeque<Directory>,
    ) {
        for name in names {
            let path = join(parent, &name);
            match look(opened, &name, &path, mount) {
                Look::Directory(attr) => waiting.push_back(Directory { path, attr }),
                Look::File(attr, identity) => self.files.push(File {
                    path,
                    attr,
                    identity,
                }),
                Look::Skip(why) => self.skipped.push(Skipped { path, why }),
            }
        }
    }
}

enum Look {
    Directory(NodeAttr),
    File(NodeAttr, Identity),
    Skip(String),
}

fn look(directory: &OwnedFd, name: &[u8], path: &[u8], mount: Option<u64>) -> Look {
    if str::from_utf8(name).is_err() {
        return Look::Skip("its name is not UTF-8".into());
    }
    if name.len() > NAME_LEN_MAX || path.len() >= PATH_LEN_MAX {
        return Look::Skip("its path is too long".into());
    }
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(errno) => return Look::Skip(format!("cannot be read: {errno}")),
    };
    if mount == Some(stat.st_dev) {
        return Look::Skip("is the promise mount itself".into());
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Look::Directory(attr(&stat, 0)),
        FileType::RegularFile => match readable(directory, name) {
            Ok(()) => Look::File(
                attr(&stat, stat.st_size.unsigned_abs()),
                Identity::of(&stat),
            ),
            Err(errno) => Look::Skip(format!("cannot be read: {errno}")),
        },
        FileType::Symlink => Look::Skip("is a symbolic link".into()),
        FileType::Fifo => Look::Skip("is a FIFO".into()),
        FileType::Socket => Look::Skip("is a socket".into()),
        FileType::CharacterDevice | FileType::BlockDevice => Look::Skip("is a device".into()),
        FileType::Unknown => Look::Skip("is of an unknown kind".into()),
    }
}

fn readable(directory: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::accessat(directory, name, Access::READ_OK, AtFlags::EACCESS)
}

fn attr(stat: &Stat, size: u64) -> NodeAttr {
    // The epoch for times before it, which a promise cannot carry.
    let nanoseconds = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    NodeAttr {
        mode: stat.st_mode & 0o7777,
        size,
        mtime_nsec: i64::try_from(nanoseconds.max(0)).unwrap_or(i64::MAX),
    }
}

/// Opens a directory and reads its names, sorted, without `.` and `..`.
fn list(root: BorrowedFd<'_>, path: &[u8]) -> Result<(OwnedFd, Vec<Vec<u8>>), Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let opened = open_beneath(root, path, OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok((opened, names))
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

#[cfg(test)]
mod tests;
