//! One file on its way to its name.
//!
//! It is written without a name where the file system can do that, else under a
//! name of ours that the journal remembers. It gets mode and times, and then its
//! name in one step: whole, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::failure::{Failure, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags, StatxFlags};
use rustix::io::Errno;

use super::journal::{Journal, PARTIAL_PREFIX};
use super::target::{Directory, Present, failed, finish};

/// What tells a file apart from every other, and from itself after any change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: (u32, u32),
    inode: u64,
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
}

impl Identity {
    pub(crate) fn of(file: impl AsFd) -> rustix::io::Result<Self> {
        let flags = AtFlags::EMPTY_PATH;
        let stat = rustix::fs::statx(file, c"", flags, StatxFlags::BASIC_STATS)?;
        Ok(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            size: stat.stx_size,
            mtime: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            ctime: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        })
    }
}

/// What may be in the way of the final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Nothing: the name must be free.
    New,
    /// A regular file, which is replaced; nothing else is.
    Replace,
}

/// A file being written.
pub(crate) struct Partial {
    file: OwnedFd,
    directory: Directory,
    /// Set while the file has a temporary name.
    temporary: Option<Vec<u8>>,
    journal: Arc<Journal>,
}

/// Tells temporary names of one daemon apart.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl Partial {
    pub(crate) fn create(directory: &Directory, journal: &Arc<Journal>) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let unnamed = rustix::fs::openat(directory.as_fd(), c".", flags | OFlags::TMPFILE, mode);
        let partial = |file, temporary| Self {
            file,
            directory: directory.clone(),
            temporary,
            journal: Arc::clone(journal),
        };
        match unnamed {
            Ok(file) => return Ok(partial(file, None)),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(failed("create a file", b".", errno)),
        }
        let name = temporary_name();
        journal.note(directory)?;
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(directory.as_fd(), &name[..], flags, mode)
            .map_err(|errno| failed("create", &name, errno))?;
        Ok(partial(file, Some(name)))
    }

    /// Reserves the room, so that a full disk shows before the bytes are asked for.
    pub(crate) fn reserve(&self, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, size) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(()),
            Err(errno) => Err(failed("reserve room for", b"a file", errno)),
        }
    }

    pub(crate) fn write(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.file, bytes, offset) {
                Ok(0) => return Err(failed("write", b"a file", Errno::IO)),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed("write", b"a file", errno)),
            }
        }
        Ok(())
    }

    /// Gives the whole file its mode, times and name.
    pub(crate) fn publish(
        mut self,
        name: &[u8],
        attr: &NodeAttr,
        sync: bool,
        how: Publish,
    ) -> Result<Identity> {
        finish(self.file.as_fd(), attr.mode, attr.mtime_nsec, sync)
            .map_err(|errno| failed("finish", name, errno))?;
        match how {
            Publish::New => self.take_name(name)?,
            Publish::Replace => self.replace(name)?,
        }
        // Only now: getting a name changes the change time.
        Identity::of(&self.file).map_err(|errno| failed("look at", name, errno))
    }

    /// Takes a free name.
    fn take_name(&mut self, name: &[u8]) -> Result<()> {
        let directory = self.directory.as_fd();
        let Some(temporary) = self.temporary.clone() else {
            return self
                .link(name)
                .map_err(|errno| failed("create", name, errno));
        };
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(directory, &temporary[..], directory, name, flags) {
            // NFS, FAT and others know no such rename.
            Err(Errno::INVAL | Errno::NOSYS) => self.take_name_in_two_steps(&temporary, name)?,
            renamed => renamed.map_err(|errno| failed("create", name, errno))?,
        }
        self.temporary = None;
        Ok(())
    }

    /// A second name, then not the first; where files have one name only, a look
    /// before the rename has to do.
    fn take_name_in_two_steps(&self, temporary: &[u8], name: &[u8]) -> Result<()> {
        let directory = self.directory.as_fd();
        let flags = AtFlags::empty();
        match rustix::fs::linkat(directory, temporary, directory, name, flags) {
            Ok(()) => self.directory.remove_file(temporary),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                if self.directory.look(name)? != Present::Nothing {
                    return Err(failed("create", name, Errno::EXIST));
                }
                rustix::fs::renameat(directory, temporary, directory, name)
                    .map_err(|errno| failed("create", name, errno))
            }
            Err(errno) => Err(failed("create", name, errno)),
        }
    }

    fn link(&self, name: &[u8]) -> rustix::io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let directory = self.directory.as_fd();
        rustix::fs::linkat(
            rustix::fs::CWD,
            own,
            directory,
            name,
            AtFlags::SYMLINK_FOLLOW,
        )
    }

    /// Exchanges the new file with the old one, looks at what it got, and puts it
    /// back unless it is a regular file: whatever was swapped in at the last moment
    /// is still there then.
    fn replace(&mut self, name: &[u8]) -> Result<()> {
        let temporary = self.under_temporary_name()?;
        let directory = self.directory.as_fd();
        let exchange =
            |flags| rustix::fs::renameat_with(directory, &temporary[..], directory, name, flags);
        match exchange(RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // Removed in the meantime: the name is free.
            Err(Errno::NOENT) => return self.take_name(name),
            // A file system that cannot exchange: look first, then replace.
            Err(Errno::INVAL | Errno::NOSYS) => return self.replace_looked_at(name, &temporary),
            Err(errno) => return Err(failed("replace", name, errno)),
        }
        // What lies under the temporary name now is not ours.
        self.temporary = None;
        match self.directory.look(&temporary) {
            Ok(Present::File { .. }) => self.directory.remove_file(&temporary),
            _ => {
                exchange(RenameFlags::EXCHANGE).map_err(|errno| failed("put back", name, errno))?;
                self.temporary = Some(temporary);
                Err(not_a_file(name))
            }
        }
    }

    /// For file systems without exchange, such as NFS: between the look and the
    /// rename a symlink could be swapped in, and would be replaced, not followed.
    fn replace_looked_at(&mut self, name: &[u8], temporary: &[u8]) -> Result<()> {
        match self.directory.look(name)? {
            Present::File { .. } | Present::Nothing => {}
            _ => return Err(not_a_file(name)),
        }
        let directory = self.directory.as_fd();
        rustix::fs::renameat(directory, temporary, directory, name)
            .map_err(|errno| failed("replace", name, errno))?;
        self.temporary = None;
        Ok(())
    }

    fn under_temporary_name(&mut self) -> Result<Vec<u8>> {
        if let Some(name) = &self.temporary {
            return Ok(name.clone());
        }
        let name = temporary_name();
        self.journal.note(&self.directory)?;
        self.link(&name)
            .map_err(|errno| failed("create", &name, errno))?;
        self.temporary = Some(name.clone());
        Ok(name)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary
            && let Err(failure) = self.directory.remove_file(name)
        {
            tracing::warn!("a partial file stays behind: {failure}");
        }
    }
}

fn not_a_file(name: &[u8]) -> Failure {
    Failure::already_exists(format!(
        "{:?} in the target is no regular file; it is left as it is",
        String::from_utf8_lossy(name)
    ))
}

fn temporary_name() -> Vec<u8> {
    let count = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    format!("{PARTIAL_PREFIX}{}-{count}", std::process::id()).into_bytes()
}
