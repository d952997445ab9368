//! Any number of files with the same content, answered out of memory.

use std::ffi::OsStr;

use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEntry, ReplyOpen, Request,
};

use super::KEPT;
use super::attributes::Owner;
use super::memory::Memory;

/// Files are called by this and a number, which is their inode's too.
pub const FILE_PREFIX: &str = "data-";
/// Inode 1 is the directory.
pub const FIRST_FILE: u64 = 2;

pub struct Files {
    pub memory: Memory,
    pub owner: Owner,
    pub size: u64,
    pub open: FopenFlags,
}

impl Files {
    fn number(name: &OsStr) -> Option<u64> {
        let number = name.to_str()?.strip_prefix(FILE_PREFIX)?.parse().ok()?;
        (number >= FIRST_FILE).then_some(number)
    }

    fn attr(&self, inode: INodeNo) -> FileAttr {
        if inode == INodeNo::ROOT {
            self.owner.directory(inode)
        } else {
            self.owner.file(inode, self.size)
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match Self::number(name).filter(|_| parent == INodeNo::ROOT) {
            Some(number) => reply.entry(&KEPT, &self.attr(INodeNo(number)), Generation(0)),
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
        reply.attr(&KEPT, &self.attr(inode));
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), self.open);
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let length = self.size.saturating_sub(offset).min(u64::from(size));
        reply.data(self.memory.piece(0, offset, length as usize));
    }
}
