//! Reads of the published files, each checked against what the file was when it was published.
//!
//! A file is opened for one read and closed after it, so that however many files there are, no
//! more descriptors are held than reads run. It is opened beneath the directory's own descriptor
//! with no symbolic link followed, and compared on the opened descriptor before and after the
//! read. The kernel sets a file's times before it changes its bytes, so bytes read between two
//! equal looks are the bytes that were published. (Writes through a mapping are the exception:
//! their time may be set later. Nobody can see those from outside.)

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use fuse_promise_core::Status;

use super::identity::Identity;

/// A rename anywhere in the system makes the kernel give up on a lookup beneath a directory; more
/// tries than this in a row mean that something else is wrong.
const LOOKUP_TRIES: u32 = 128;

/// Why a read was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Vanished,
    /// The rest of a sentence that begins with the file's path.
    Changed(String),
    Failed(Errno),
}

impl Refusal {
    /// What the reader of the promise gets to see.
    pub fn status(&self) -> Status {
        match self {
            Self::Vanished => Status::NotFound,
            Self::Failed(Errno::ACCESS | Errno::PERM) => Status::Permission,
            Self::Changed(_) | Self::Failed(_) => Status::Io,
        }
    }

    /// The rest of a sentence that begins with the file's path.
    pub fn reason(&self) -> String {
        match self {
            Self::Vanished => "is gone".into(),
            Self::Changed(how) => how.clone(),
            Self::Failed(errno) => format!("cannot be read: {errno}"),
        }
    }
}

/// Opens `path` beneath `root`, following no symbolic link.
pub fn open_beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < LOOKUP_TRIES => tries += 1,
            opened => return opened,
        }
    }
}

/// A published file, open for one read and known to be the right one.
pub struct Source<'a> {
    file: OwnedFd,
    identity: &'a Identity,
}

impl<'a> Source<'a> {
    pub fn open(
        root: BorrowedFd<'_>,
        path: &[u8],
        identity: &'a Identity,
    ) -> Result<Self, Refusal> {
        // Not blocking: should a FIFO lie there now, opening it must not wait for a writer.
        let file = open_beneath(root, path, OFlags::NONBLOCK).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => Refusal::Vanished,
            Errno::LOOP => Refusal::Changed("leads through a symbolic link now".into()),
            Errno::NXIO => Refusal::Changed("is no regular file any more".into()),
            errno => Refusal::Failed(errno),
        })?;
        let source = Self { file, identity };
        source.check()?;
        Ok(source)
    }

    /// Fills `buffer` from `offset` on, as far as the file goes.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::pread(&self.file, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Refusal::Failed(errno)),
            }
        }
        self.check()?;
        Ok(filled)
    }

    fn check(&self) -> Result<(), Refusal> {
        let stat = rustix::fs::fstat(self.file.as_fd()).map_err(Refusal::Failed)?;
        if stat.st_nlink == 0 {
            return Err(Refusal::Vanished);
        }
        self.identity
            .change(&stat)
            .map_or(Ok(()), |how| Err(Refusal::Changed(how)))
    }
}

#[cfg(test)]
mod tests;
