//! The baseline of the benchmark: one process that mounts a file system and answers every read
//! out of its own memory, on one thread, with direct I/O. What it reaches is what FUSE through
//! fuser costs on this machine; a read through a promise is measured as a share of that.
//!
//! `bench-baseline MOUNTPOINT BYTES` prints the path of its one file when that can be opened, and
//! unmounts when its standard input ends.

#![forbid(unsafe_code)]

mod content;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, ReplyOpen, Request,
};

const FILE: INodeNo = INodeNo(2);
const FILE_NAME: &str = "data";
/// Nothing here ever changes.
const TTL: Duration = Duration::from_secs(3600);

struct Memory {
    bytes: content::Aligned,
}

impl Memory {
    fn new(size: usize) -> Self {
        let mut bytes = content::Aligned::new(size);
        content::fill(&mut bytes, 0);
        Self { bytes }
    }

    fn attr(&self, inode: INodeNo) -> FileAttr {
        let directory = inode == INodeNo::ROOT;
        let size = if directory {
            0
        } else {
            self.bytes.len() as u64
        };
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if directory {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if directory { 0o755 } else { 0o644 },
            nlink: if directory { 2 } else { 1 },
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Memory {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == FILE_NAME {
            reply.entry(&TTL, &self.attr(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        reply.attr(&TTL, &self.attr(inode));
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
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
        let end = self.bytes.len();
        let first = usize::try_from(offset).unwrap_or(end).min(end);
        let last = first.saturating_add(size as usize).min(end);
        reply.data(&self.bytes[first..last]);
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = || io::Error::other("usage: bench-baseline MOUNTPOINT BYTES");
    let mount_point = PathBuf::from(arguments.next().ok_or_else(usage)?);
    let size = arguments.next().ok_or_else(usage)?;
    let size = size.to_str().and_then(|text| text.parse().ok());

    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::DefaultPermissions,
        MountOption::FSName("bench-baseline".into()),
    ];
    config.n_threads = Some(1);
    let memory = Memory::new(size.ok_or_else(usage)?);
    let session = fuser::Session::new(memory, &mount_point, &config)?.spawn()?;
    writeln!(io::stdout(), "{}", mount_point.join(FILE_NAME).display())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    session.umount_and_join()
}
