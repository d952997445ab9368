//! The baseline of the benchmark: one process that mounts a file system and answers every read
//! out of its own memory, on one thread. What it reaches is what FUSE through fuser costs on this
//! machine; a read through a promise is measured as a share of that.
//!
//! `bench-baseline MOUNTPOINT BYTES direct|keep-cache` has any number of files, all with the same
//! content, and opens them for direct I/O or for the kernel's page cache. For each line of its
//! standard input it prints the path of one that nobody has opened, and it unmounts when that ends.
//! `bench-baseline MOUNTPOINT BYTES first` mounts, opens a file itself and prints how many
//! nanoseconds after its own start it had the first byte.

#![forbid(unsafe_code)]

mod content;
mod memory;
mod word;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, ReplyOpen, Request,
};

/// Files are called by this and a number, which is their inode's too.
const FILE_PREFIX: &str = "data-";
/// Inode 1 is the directory.
const FIRST_FILE: u64 = 2;
/// Nothing here ever changes.
const TTL: Duration = Duration::from_secs(3600);

struct Files {
    memory: memory::Memory,
    size: u64,
    open: FopenFlags,
}

impl Files {
    fn number(name: &OsStr) -> Option<u64> {
        let number = name.to_str()?.strip_prefix(FILE_PREFIX)?.parse().ok()?;
        (number >= FIRST_FILE).then_some(number)
    }

    fn attr(&self, inode: INodeNo) -> FileAttr {
        let directory = inode == INodeNo::ROOT;
        let size = if directory { 0 } else { self.size };
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

impl Filesystem for Files {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match Self::number(name).filter(|_| parent == INodeNo::ROOT) {
            Some(number) => reply.entry(&TTL, &self.attr(INodeNo(number)), Generation(0)),
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
        reply.attr(&TTL, &self.attr(inode));
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

fn mount(files: Files, mount_point: &PathBuf) -> io::Result<fuser::BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::DefaultPermissions,
        MountOption::FSName("bench-baseline".into()),
    ];
    config.n_threads = Some(1);
    fuser::Session::new(files, mount_point, &config)?.spawn()
}

fn main() -> io::Result<()> {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage =
        || io::Error::other("usage: bench-baseline MOUNTPOINT BYTES direct|keep-cache|first");
    let [mount_point, size, mode] = &arguments[..] else {
        return Err(usage());
    };
    let size = size.parse().map_err(|_| usage())?;
    let mount_point = PathBuf::from(mount_point);
    let files = Files {
        memory: memory::Memory::new(),
        size,
        open: match mode.as_str() {
            "direct" | "first" => FopenFlags::FOPEN_DIRECT_IO,
            "keep-cache" => FopenFlags::FOPEN_KEEP_CACHE,
            _ => return Err(usage()),
        },
    };
    let session = mount(files, &mount_point)?;
    let path = |number| mount_point.join(format!("{FILE_PREFIX}{number}"));
    if mode == "first" {
        File::open(path(FIRST_FILE))?.read_exact_at(&mut [0], 0)?;
        writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
        return session.umount_and_join();
    }
    for (number, line) in (FIRST_FILE..).zip(io::stdin().lock().lines()) {
        line?;
        writeln!(io::stdout(), "1 {size} 0 {}", path(number).display())?;
    }
    session.umount_and_join()
}
