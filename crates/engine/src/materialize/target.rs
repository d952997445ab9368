//! The file system under a target directory.
//!
//! Every step is relative to an open directory and follows no symlink, so another
//! process that swaps a directory for a symlink in the meantime makes a step fail
//! and never sends it elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::status::Status;
use fuse_promise_wire as wire;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, Timespec, Timestamps,
};
use rustix::io::Errno;

use super::partial::Identity;

/// No symlink on the way, no way up, no other mount's magic links.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// What lies at a name of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Present {
    Nothing,
    /// A regular file; modification time in nanoseconds since 1970.
    File {
        mtime_nsec: i128,
    },
    Directory,
    /// A symlink, a device, a socket: never followed, never replaced.
    Other,
}

/// An open directory of the target. Clones share the descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Directory(Arc<OwnedFd>);

impl Directory {
    /// The target directory as its caller opened it (an `O_PATH` descriptor will do).
    pub(crate) fn open(target: &OwnedFd) -> Result<Self> {
        Self::open_in(target.as_fd(), OsStr::new("."))
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens a directory in this one.
    pub(crate) fn enter(&self, name: &[u8]) -> Result<Self> {
        Self::open_in(self.as_fd(), OsStr::from_bytes(name))
    }

    fn open_in(directory: BorrowedFd<'_>, name: &OsStr) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = rustix::fs::openat2(directory, name, flags, Mode::empty(), BENEATH);
        let opened = opened.map_err(|errno| failed("open directory", name.as_bytes(), errno))?;
        Ok(Self(Arc::new(opened)))
    }

    /// Makes a directory that only its owner can use until it is finished.
    pub(crate) fn make(&self, name: &[u8]) -> Result<Self> {
        rustix::fs::mkdirat(self.as_fd(), name, Mode::RWXU)
            .map_err(|errno| failed("make directory", name, errno))?;
        self.enter(name).inspect_err(|_| {
            // Nobody else will remember it.
            let _ = self.remove_directory(name);
        })
    }

    /// Opens a regular file below this directory for reading.
    pub(super) fn open_file(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        rustix::fs::openat2(self.as_fd(), path, flags, Mode::empty(), BENEATH)
    }

    /// Brings the names in it to disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(self.as_fd()).map_err(|errno| failed("sync", b".", errno))
    }

    pub(crate) fn look(&self, name: &[u8]) -> Result<Present> {
        let stat = match self.stat(name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Present::Nothing),
            Err(errno) => return Err(failed("look at", name, errno)),
        };
        Ok(match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::RegularFile => Present::File {
                mtime_nsec: i128::from(stat.stx_mtime.tv_sec) * 1_000_000_000
                    + i128::from(stat.stx_mtime.tv_nsec),
            },
            FileType::Directory => Present::Directory,
            _ => Present::Other,
        })
    }

    fn stat(&self, name: &[u8]) -> rustix::io::Result<Statx> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statx(self.as_fd(), name, flags, StatxFlags::BASIC_STATS)
    }

    /// Gives a finished directory its mode and times.
    pub(crate) fn finish(&self, mode: u32, mtime_nsec: i64, sync: bool) -> Result<()> {
        finish(self.as_fd(), mode, mtime_nsec, sync)
            .map_err(|errno| failed("finish", b"directory", errno))
    }

    pub(crate) fn remove_file(&self, name: &[u8]) -> Result<()> {
        rustix::fs::unlinkat(self.as_fd(), name, AtFlags::empty())
            .map_err(|errno| failed("remove", name, errno))
    }

    /// Removes a file that is still what we wrote.
    pub(super) fn remove_if(&self, name: &[u8], written: Identity) -> Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let now = rustix::fs::openat(self.as_fd(), name, flags, Mode::empty())
            .and_then(Identity::of)
            .map_err(|errno| failed("look at", name, errno))?;
        if now != written {
            let name = String::from_utf8_lossy(name);
            return Err(Failure::io(format!("{name:?} was changed since, it stays")));
        }
        self.remove_file(name)
    }

    pub(crate) fn remove_directory(&self, name: &[u8]) -> Result<()> {
        rustix::fs::unlinkat(self.as_fd(), name, AtFlags::REMOVEDIR)
            .map_err(|errno| failed("remove directory", name, errno))
    }
}

/// Mode, then modification time (the access time stays), then, if asked, to disk.
pub(super) fn finish(
    fd: BorrowedFd<'_>,
    mode: u32,
    mtime_nsec: i64,
    sync: bool,
) -> rustix::io::Result<()> {
    let since_1970 = Duration::from_nanos(mtime_nsec.unsigned_abs());
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: since_1970.as_secs() as i64,
            tv_nsec: since_1970.subsec_nanos().into(),
        },
    };
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode & 0o7777))?;
    rustix::fs::futimens(fd, &times)?;
    if sync {
        rustix::fs::fsync(fd)?;
    }
    Ok(())
}

/// A failure of the target's file system, with what was tried on which name.
pub(super) fn failed(what: &str, name: &[u8], errno: Errno) -> Failure {
    let status = match errno {
        Errno::EXIST | Errno::NOTEMPTY => Status::AlreadyExists,
        Errno::ROFS => Status::Permission,
        // A symlink or a file where a directory was: somebody swapped it.
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NAMETOOLONG => Status::InvalidArgument,
        // More than a file of that file system can hold.
        Errno::FBIG => Status::InvalidArgument,
        _ => wire::errno::failed("", errno).status,
    };
    let name = String::from_utf8_lossy(name);
    let why = std::io::Error::from(errno);
    Failure::new(status, format!("{what} {name:?} in the target: {why}"))
}
