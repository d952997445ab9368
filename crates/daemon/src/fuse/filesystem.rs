//! One method per request of the kernel.
//!
//! What the kernel assumes, and what follows from it:
//! - Each answer that carries an inode (lookup, listings with attributes) counts as one reference
//!   to it, which a later FORGET gives back. The dots of a listing are not counted.
//! - A name or attribute is kept for as long as the answer says. Nodes never change, so that is
//!   long; what does go is taken back explicitly, and so are the root's attributes whenever a
//!   promise comes or goes. (Every walk of an absolute path looks at them.) That a name is missing
//!   in the root is not kept, so that a new promise is there at once.
//! - The answer ENOSYS to some requests means "never ask again", and the kernel then does what is
//!   right for a file that is only read.
//! - READ of an open file that is cached must not be short except at the end of the file. The
//!   engine knows which are, from the handle it gave to the open.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use fuse_promise_core::ids::Inode;
use fuse_promise_engine::{Engine, Opened, ReadRequest};
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation,
    INodeNo, IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::attributes::{Owner, file_type, reply_totals};
use super::negotiation::Negotiated;
use super::reply::{ReadAnswer, errno, reply_xattr};

/// How long the kernel keeps what does not change. Any time is right, because nothing relies on
/// its end; a day keeps a session's ordinary work free of questions.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Inodes are never used again, so all are of the same generation.
const GENERATION: Generation = Generation(0);

/// Directories need no handle: an offset in a listing is enough to go on.
const NO_HANDLE: FileHandle = FileHandle(0);

const NOT_FOUND: i32 = rustix::io::Errno::NOENT.raw_os_error();

/// The engine as a file system.
pub struct PromiseFilesystem {
    engine: Arc<Engine>,
    owner: Owner,
    agreed: Arc<OnceLock<Negotiated>>,
}

impl PromiseFilesystem {
    /// What the kernel agrees to is left in `agreed`.
    pub fn new(engine: Arc<Engine>, agreed: Arc<OnceLock<Negotiated>>) -> Self {
        Self {
            engine,
            owner: Owner::of_process(),
            agreed,
        }
    }
}

fn file_flags(opened: Opened) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_DIRECT_IO, opened.direct_io);
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    flags
}

/// The kernel may keep the listing of every directory but the root's.
fn directory_flags(directory: Inode) -> FopenFlags {
    if directory == Inode::ROOT {
        FopenFlags::empty()
    } else {
        FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
    }
}

fn is_dot(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

impl Filesystem for PromiseFilesystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let agreed = Negotiated::settle(config);
        self.agreed
            .set(agreed)
            .map_err(|_| io::Error::other("a second INIT on one connection"))
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let parent = Inode(parent.0);
        match self.engine.lookup(parent, name.as_bytes()) {
            Ok(attr) => reply.entry(&KEPT, &self.owner.show(&attr), GENERATION),
            // A name that is missing inside a promise will always be missing.
            Err(number) if number == NOT_FOUND && parent != Inode::ROOT => {
                reply.entry(&KEPT, &self.owner.show_absence(), GENERATION);
            }
            Err(number) => reply.error(errno(number)),
        }
    }

    fn forget(&self, _: &Request, inode: INodeNo, count: u64) {
        self.engine.forget(Inode(inode.0), count);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let inode = Inode(inode.0);
        match self.engine.attr(inode) {
            Ok(attr) => reply.attr(&KEPT, &self.owner.show(&attr)),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let wants_write = flags.acc_mode() != OpenAccMode::O_RDONLY;
        match self.engine.open(Inode(inode.0), wants_write) {
            Ok(opened) => {
                let flags = file_flags(opened);
                reply.opened(FileHandle(opened.handle), flags);
            }
            Err(number) => reply.error(errno(number)),
        }
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let wanted = ReadRequest {
            inode: Inode(inode.0),
            handle: handle.0,
            offset,
            length,
            tid: request.pid(),
        };
        self.engine
            .read_and_poll(wanted, Box::new(ReadAnswer(reply)));
    }

    /// Nothing is buffered, so closing has nothing to wait for: never ask again.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.engine.release(Inode(inode.0), handle.0);
        reply.ok();
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let directory = Inode(inode.0);
        match self.engine.open_directory(directory) {
            Ok(()) => reply.opened(NO_HANDLE, directory_flags(directory)),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        mut offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listing = match self.engine.list(Inode(inode.0)) {
            Ok(listing) => listing,
            Err(number) => return reply.error(errno(number)),
        };
        while let Some(entry) = listing.entry(offset) {
            let (inode, kind) = (INodeNo(entry.attr.inode.0), file_type(entry.attr.kind));
            offset = entry.next_offset;
            if reply.add(inode, offset, kind, OsStr::from_bytes(&entry.name)) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        mut offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listing = match self.engine.list(Inode(inode.0)) {
            Ok(listing) => listing,
            Err(number) => return reply.error(errno(number)),
        };
        // A name that is kept is found without a lookup.
        let kept = if listing.lasts() {
            KEPT
        } else {
            Duration::ZERO
        };
        while let Some(entry) = listing.entry(offset) {
            let attr = self.owner.show(&entry.attr);
            let name = OsStr::from_bytes(&entry.name);
            offset = entry.next_offset;
            if reply.add(attr.ino, offset, name, &kept, &attr, GENERATION) {
                break;
            }
            if !is_dot(&entry.name) {
                self.engine.remember(entry.attr.inode);
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.engine.release_directory(Inode(inode.0));
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply_totals(self.engine.totals(), reply);
    }

    fn getxattr(&self, _: &Request, inode: INodeNo, name: &OsStr, room: u32, reply: ReplyXattr) {
        let value = self.engine.xattr(Inode(inode.0), name.as_bytes());
        reply_xattr(&value, room, reply);
    }

    fn listxattr(&self, _: &Request, inode: INodeNo, room: u32, reply: ReplyXattr) {
        let names = self.engine.xattr_names(Inode(inode.0));
        reply_xattr(&names, room, reply);
    }

    /// No promise has symbolic links so far, so the kernel has no reason to ask.
    fn readlink(&self, _: &Request, _: INodeNo, reply: ReplyData) {
        reply.error(Errno::EINVAL);
    }

    /// Never ask again: the kernel takes a file for one piece of data with a hole behind it.
    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(Errno::ENOSYS);
    }

    /// Never ask again: there is nothing to bring to a disk.
    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // Everything that writes. The mount is read-only, so the kernel answers before it comes here;
    // these hold for a mount that somebody made writable.

    fn setattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mknod(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EROFS);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::EROFS);
    }

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::EROFS);
    }
}
