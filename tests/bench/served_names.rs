//! The names and attributes of a tree, as a file system made well by a single process tells them:
//! the kernel keeps names, attributes and listings for as long as it likes, and chooses whether a
//! listing comes with attributes. Files have lengths and no content.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, OpenFlags, ReplyAttr, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyOpen, Request,
};

use super::KEPT;
use super::attributes::Owner;
use super::table::{Kind, Table};

/// Listings begin with `.` and `..`.
const DOTS: usize = 2;

pub struct Names {
    pub table: Arc<Table>,
    pub owner: Owner,
}

/// The root is the node 0 and the inode 1.
fn node(inode: INodeNo) -> usize {
    (inode.0 as usize).wrapping_sub(1)
}

fn inode(node: usize) -> INodeNo {
    INodeNo(node as u64 + 1)
}

impl Names {
    fn attr(&self, number: usize) -> Option<FileAttr> {
        Some(match self.table.node(number)?.kind {
            Kind::File { size } => self.owner.file(inode(number), size),
            Kind::Directory { .. } => self.owner.directory(inode(number)),
        })
    }

    /// The entries of a directory from an offset on: each with the offset behind it.
    fn entries(
        &self,
        directory: INodeNo,
        offset: u64,
    ) -> Option<impl Iterator<Item = (u64, &str, FileAttr)>> {
        let directory = node(directory);
        let children = self.table.children(directory)?;
        let parent = self.table.node(directory)?.parent;
        let entry = move |position: usize| {
            let (name, number) = match position {
                0 => (".", directory),
                1 => ("..", parent),
                _ => {
                    let number = children.start + position - DOTS;
                    let child = children.contains(&number).then_some(number)?;
                    (&*self.table.node(child)?.name, child)
                }
            };
            Some((position as u64 + 1, name, self.attr(number)?))
        };
        Some((offset as usize..).map_while(entry))
    }
}

impl Filesystem for Names {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_PARALLEL_DIROPS;
        let offered = wanted & config.capabilities();
        config
            .add_capabilities(offered)
            .map_err(|_| io::Error::other("the kernel takes back what it offered"))
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let child = name.to_str();
        let child = child.and_then(|name| self.table.child(node(parent), name));
        match child.and_then(|child| self.attr(child)) {
            Some(attr) => reply.entry(&KEPT, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.attr(node(inode)) {
            Some(attr) => reply.attr(&KEPT, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn opendir(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        reply.opened(FileHandle(0), flags);
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let Some(entries) = self.entries(inode, offset) else {
            return reply.error(Errno::ENOTDIR);
        };
        for (next, name, attr) in entries {
            if reply.add(attr.ino, next, attr.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let Some(entries) = self.entries(inode, offset) else {
            return reply.error(Errno::ENOTDIR);
        };
        for (next, name, attr) in entries {
            if reply.add(attr.ino, next, name, &KEPT, &attr, Generation(0)) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}
