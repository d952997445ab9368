//! The names and attributes the kernel asks for. Everything here is answered
//! from images in memory; no provider is ever asked.
//!
//! Errors of this file are errno values, since the kernel is the only caller.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::Node;
use fuse_promise_core::limits::NAME_LEN_MAX;
use rustix::io::Errno;

use crate::engine::Engine;
use crate::promise::Promise;

/// What `stat` shows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    pub inode: Inode,
    pub kind: NodeKind,
    /// Permission bits, at most 07777.
    pub mode: u16,
    pub nlink: u32,
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes. GNU cp takes a file with fewer for sparse and reads
    /// holes into it, so this always covers the size.
    pub blocks: u64,
    pub mtime: SystemTime,
}

/// What `df` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Declared sizes of all listed files, saturating.
    pub bytes: u64,
    pub nodes: u64,
    pub promises: u64,
}

/// One name of a directory.
pub struct Entry {
    /// Where a listing continues after this entry.
    pub next_offset: u64,
    pub name: Vec<u8>,
    pub attr: Attr,
}

/// A directory as it was when the listing was made: `.`, `..`, then the
/// children in the order of their name bytes; promises in the order of their
/// numbers. Offsets are stable: 1 and 2 follow the dots, then each child has
/// its own.
pub struct Listing<'a> {
    source: Source<'a>,
    lasts: bool,
}

enum Source<'a> {
    Root(&'a Engine),
    Directory(Arc<Promise>, Row),
}

/// Permission bits of the mount's root: the session's user and nobody else.
const ROOT_MODE: u16 = 0o700;

/// Offsets below this belong to the dots.
const DOTS: u64 = 2;

impl Engine {
    /// Finds a name and counts that the kernel now remembers it.
    pub fn lookup(&self, parent: Inode, name: &[u8]) -> Result<Attr, i32> {
        // The kernel itself lets longer names of a FUSE mount pass.
        if name.len() > NAME_LEN_MAX {
            return Err(Errno::NAMETOOLONG.raw_os_error());
        }
        if parent == Inode::ROOT {
            let name = str::from_utf8(name).map_err(|_| Errno::NOENT.raw_os_error())?;
            let number = PromiseNumber::parse(name).ok_or(Errno::NOENT.raw_os_error())?;
            let promise = self.catalog.listed(number);
            let promise = promise.ok_or(Errno::NOENT.raw_os_error())?;
            promise.count_lookup();
            return node_attr(&promise, Row(0));
        }
        let (promise, row) = self.find(parent)?;
        // Whoever has a directory of it open finds nothing in it any more.
        if self.catalog.listed(promise.number).is_none() {
            return Err(Errno::NOENT.raw_os_error());
        }
        let child = promise.view().lookup(row, name);
        let child = child.ok_or(Errno::NOENT.raw_os_error())?;
        promise.count_lookup();
        node_attr(&promise, child)
    }

    /// Counts an entry handed out with attributes by a listing (readdirplus).
    pub fn remember(&self, inode: Inode) {
        if let Ok((promise, _)) = self.find(inode) {
            promise.count_lookup();
        }
    }

    /// The kernel dropped `count` references to the inode.
    pub fn forget(&self, inode: Inode, count: u64) {
        if let Ok((promise, _)) = self.find(inode) {
            promise.forget(count);
        }
    }

    pub fn attr(&self, inode: Inode) -> Result<Attr, i32> {
        if inode == Inode::ROOT {
            return Ok(self.root_attr());
        }
        let (promise, row) = self.find(inode)?;
        node_attr(&promise, row)
    }

    /// The listing of a directory; cheap enough to be made per readdir call.
    pub fn list(&self, directory: Inode) -> Result<Listing<'_>, i32> {
        if directory == Inode::ROOT {
            return Ok(Listing {
                source: Source::Root(self),
                lasts: true,
            });
        }
        let (promise, row) = self.find(directory)?;
        let node = promise.view().row(row).ok_or(Errno::NOENT.raw_os_error())?;
        if node.kind != NodeKind::Directory {
            return Err(Errno::NOTDIR.raw_os_error());
        }
        Ok(Listing {
            lasts: self.catalog.listed(promise.number).is_some(),
            source: Source::Directory(promise, row),
        })
    }

    pub fn totals(&self) -> Totals {
        self.catalog.totals()
    }

    /// The promise and row behind an inode other than the root; ENOENT for one
    /// that is gone.
    pub(crate) fn find(&self, inode: Inode) -> Result<(Arc<Promise>, Row), i32> {
        let (number, row) = inode.split().ok_or(Errno::NOENT.raw_os_error())?;
        let promise = self.catalog.get(number);
        let promise = promise.ok_or(Errno::NOENT.raw_os_error())?;
        if row.0 >= promise.view().node_count() {
            return Err(Errno::NOENT.raw_os_error());
        }
        Ok((promise, row))
    }

    fn root_attr(&self) -> Attr {
        let promises = self.catalog.totals().promises;
        Attr {
            inode: Inode::ROOT,
            kind: NodeKind::Directory,
            mode: ROOT_MODE,
            nlink: u32::try_from(promises + 2).unwrap_or(u32::MAX),
            size: 0,
            blocks: 0,
            mtime: self.catalog.changed(),
        }
    }
}

impl Listing<'_> {
    /// Whether what is named here is found by its name. A promise that was taken out of
    /// the mount is only listed on, for those in the middle of it.
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// The entry at an offset: 0 for the first, then each `next_offset`. None at
    /// the end. An offset whose promise has gone continues with the next one.
    pub fn entry(&self, offset: u64) -> Option<Entry> {
        match &self.source {
            Source::Root(engine) => root_entry(engine, offset),
            Source::Directory(promise, row) => directory_entry(promise, *row, offset),
        }
    }
}

fn root_entry(engine: &Engine, offset: u64) -> Option<Entry> {
    if offset < DOTS {
        return Some(dot(offset, engine.root_attr(), engine.root_attr()));
    }
    let from = u32::try_from(offset - DOTS + 1).ok()?;
    let promise = engine.catalog.listed_from(from)?;
    Some(Entry {
        next_offset: u64::from(promise.number.0) + DOTS,
        name: promise.number.id().into_bytes(),
        attr: node_attr(&promise, Row(0)).ok()?,
    })
}

fn directory_entry(promise: &Promise, row: Row, offset: u64) -> Option<Entry> {
    let view = promise.view();
    if offset < DOTS {
        let own = node_attr(promise, row).ok()?;
        let parent = match row {
            Row(0) => Attr {
                inode: Inode::ROOT,
                ..own
            },
            _ => node_attr(promise, view.row(row)?.parent).ok()?,
        };
        return Some(dot(offset, own, parent));
    }
    let children = view.children(row);
    let child = u64::from(children.start).checked_add(offset - DOTS)?;
    let child = u32::try_from(child)
        .ok()
        .filter(|row| children.contains(row))?;
    Some(Entry {
        next_offset: offset + 1,
        name: view.row(Row(child))?.name.to_vec(),
        attr: node_attr(promise, Row(child)).ok()?,
    })
}

fn dot(offset: u64, own: Attr, parent: Attr) -> Entry {
    let (name, attr) = if offset == 0 {
        (&b"."[..], own)
    } else {
        (&b".."[..], parent)
    };
    Entry {
        next_offset: offset + 1,
        name: name.to_vec(),
        attr,
    }
}

fn node_attr(promise: &Promise, row: Row) -> Result<Attr, i32> {
    let view = promise.view();
    let node = view.row(row).ok_or(Errno::NOENT.raw_os_error())?;
    Ok(attr_of(promise.inode(row), &node))
}

fn attr_of(inode: Inode, node: &Node<'_>) -> Attr {
    // Checked at commit: the mode has at most 12 bits and mtime is not negative.
    let mtime = UNIX_EPOCH + Duration::from_nanos(node.attr.mtime_nsec.unsigned_abs());
    Attr {
        inode,
        kind: node.kind,
        mode: (node.attr.mode & 0o7777) as u16,
        nlink: node.nlink,
        size: node.attr.size,
        blocks: node.attr.size.div_ceil(512),
        mtime,
    }
}
