//! Opening and releasing. A handle carries policy bits, and a number under which no
//! more than guesses are kept, so it means the same to a daemon that was started
//! after the open.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::ids::{Inode, Row};
use rustix::io::Errno;

use crate::cache::ReaderNumber;
use crate::engine::Engine;
use crate::promise::Promise;

/// How the kernel is to treat an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// What reads of this open file hand back to [`Engine::read`].
    pub handle: u64,
    /// Reads go straight to the provider, with the reader's own ranges.
    pub direct_io: bool,
    /// Pages the kernel already has of the file stay valid.
    pub keep_cache: bool,
}

/// Handle bit: the kernel keeps pages for this open file, so a READ must never
/// be answered short (it would cut the inode's size).
pub(crate) const HANDLE_CACHED: u64 = 1;
/// Handle bit: what is read is kept, and found again.
pub(crate) const HANDLE_STORE: u64 = 2;
/// Above the bits stands the number of the open file among those whose reads are
/// watched for what comes next; 0 for those whose are not.
const READER_SHIFT: u32 = 8;

/// The reader a handle stands for; 0 for none.
pub(crate) fn reader_of(handle: u64) -> ReaderNumber {
    handle >> READER_SHIFT
}

impl Engine {
    /// Opens a file for reading, and counts it.
    ///
    /// # Errors
    /// EROFS for anything but reading, EISDIR, ENOENT, and EIO if the provider
    /// is gone and nothing can serve the file.
    pub fn open(&self, inode: Inode, wants_write: bool) -> Result<Opened, i32> {
        let (promise, row) = self.count_open(inode)?;
        let refused = match promise.view().row(row).map(|node| node.kind) {
            Some(NodeKind::File) if wants_write => Some(Errno::ROFS),
            Some(NodeKind::File) if !can_serve(&promise, row) => {
                promise.note_failure(row, 0, 0, &promise.session.gone());
                Some(Errno::IO)
            }
            Some(NodeKind::File) => None,
            Some(NodeKind::Directory) => Some(Errno::ISDIR),
            Some(NodeKind::Symlink) => Some(Errno::LOOP),
            None => Some(Errno::NOENT),
        };
        if let Some(errno) = refused {
            self.count_release(&promise);
            return Err(errno.raw_os_error());
        }
        promise.note_opened(row);
        let keep_cache = promise.is_cached() && !promise.ends_early(row);
        // Where direct I/O would forbid mmap, the page cache stands in for it, and
        // is dropped at each open.
        let stands_in = !promise.ends_early(row) && !self.maps_direct_io.load(Ordering::Acquire);
        let cached = keep_cache || stands_in;
        Ok(Opened {
            handle: self.handle(cached, keep_cache),
            direct_io: !cached,
            keep_cache,
        })
    }

    /// Counts an open directory, so that a destroyed promise stays listable for
    /// those who are in the middle of it.
    pub fn open_directory(&self, inode: Inode) -> Result<(), i32> {
        if inode != Inode::ROOT {
            let (promise, row) = self.count_open(inode)?;
            promise.note_opened(row);
        }
        Ok(())
    }

    fn handle(&self, cached: bool, keeps: bool) -> u64 {
        match (cached, keeps) {
            (_, true) => HANDLE_CACHED | HANDLE_STORE | self.cache.open() << READER_SHIFT,
            (true, false) => HANDLE_CACHED,
            (false, false) => 0,
        }
    }

    /// Counts the close of a file, and calls off what was prefetched for it.
    pub fn release(self: &Arc<Self>, inode: Inode, handle: u64) {
        self.close_reader(reader_of(handle));
        self.release_directory(inode);
    }

    /// Counts the close of a directory.
    pub fn release_directory(&self, inode: Inode) {
        if let Ok((promise, row)) = self.find(inode) {
            promise.note_closed(row);
            self.count_release(&promise);
        }
    }

    fn count_open(&self, inode: Inode) -> Result<(Arc<Promise>, Row), i32> {
        let (number, row) = inode.split().ok_or(Errno::NOENT.raw_os_error())?;
        let promise = self.catalog.get_and_count_open(number);
        Ok((promise.ok_or(Errno::NOENT.raw_os_error())?, row))
    }

    pub(crate) fn count_release(&self, promise: &Promise) {
        if promise.count_release() {
            self.free_if_unused(promise.number);
        }
    }
}

/// Keeps a promise open for somebody inside the daemon, as a file handle would.
pub(crate) struct HeldOpen {
    engine: Arc<Engine>,
    promise: Arc<Promise>,
}

impl HeldOpen {
    /// None if the promise is gone.
    pub(crate) fn of(engine: &Arc<Engine>, promise: &Arc<Promise>) -> Option<Self> {
        engine.catalog.get_and_count_open(promise.number)?;
        Some(Self {
            engine: Arc::clone(engine),
            promise: Arc::clone(promise),
        })
    }
}

impl Drop for HeldOpen {
    fn drop(&mut self) {
        self.engine.count_release(&self.promise);
    }
}

/// Whether reads of the promise can have an answer other than an error.
fn can_serve(promise: &Promise, row: Row) -> bool {
    let provider_serves = !promise.has_lost_provider() && !promise.session.has_ended();
    provider_serves || promise.local_copy(row).is_some() || promise.holds(row)
}
