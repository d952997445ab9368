//! Serving reads from what was materialized.
//!
//! A file of a copy answers for its node only as long as device, inode, size,
//! modification and change time are what they were when it was written; after
//! that it is as if the copy had never been made. Files are opened beneath the
//! directory that was held since the job, one per thread, by threads of their own:
//! reading a disk may wait, and nobody waits on the kernel's side.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use fuse_promise_core::ids::Row;
use fuse_promise_core::image::ImageView;

use rustix::io::Errno;

use super::partial::Identity;
use super::paths::CopyPaths;
use super::target::Directory;
use crate::engine::Engine;
use crate::promise::Promise;
use crate::read::{ReadReply, ReadRequest};
use crate::sync::Mutex;

/// Copies of one promise that can serve; an older one is given up for a newer.
const COPIES: usize = 4;

/// What one job wrote.
pub(crate) struct LocalCopy {
    target: Directory,
    paths: CopyPaths,
    /// In the order of their rows.
    files: Vec<(Row, Identity)>,
    /// Files that were changed, moved or removed since.
    stale: Mutex<HashSet<Row>>,
}

impl LocalCopy {
    pub(super) fn new(
        target: Directory,
        paths: CopyPaths,
        mut files: Vec<(Row, Identity)>,
    ) -> Self {
        files.sort_unstable_by_key(|(row, _)| *row);
        Self {
            target,
            paths,
            files,
            stale: Mutex::default(),
        }
    }

    fn identity(&self, row: Row) -> Option<Identity> {
        let found = self
            .files
            .binary_search_by_key(&row, |(row, _)| *row)
            .ok()?;
        (!self.stale.lock().contains(&row)).then_some(self.files[found].1)
    }

    fn mark_stale(&self, row: Row) {
        self.stale.lock().insert(row);
    }

    fn open(&self, view: &ImageView<'_>, row: Row) -> rustix::io::Result<OwnedFd> {
        self.target.open_file(&self.paths.relative(view, row))
    }
}

/// The copies of one promise, newest first.
#[derive(Default)]
pub(crate) struct LocalCopies(Mutex<VecDeque<Arc<LocalCopy>>>);

impl LocalCopies {
    pub(crate) fn keep(&self, copy: LocalCopy) {
        let mut copies = self.0.lock();
        copies.push_front(Arc::new(copy));
        copies.truncate(COPIES);
    }

    /// The newest copy that holds the node.
    pub(crate) fn of(&self, row: Row) -> Option<Arc<LocalCopy>> {
        let copies = self.0.lock();
        let holds = copies.iter().find(|copy| copy.identity(row).is_some());
        holds.cloned()
    }

    /// Every file that one of them holds.
    pub(crate) fn rows(&self) -> BTreeSet<Row> {
        let copies = self.0.lock();
        let files = copies.iter().flat_map(|copy| {
            let stale = copy.stale.lock();
            let rows = copy.files.iter().map(|(row, _)| *row);
            rows.filter(|row| !stale.contains(row)).collect::<Vec<_>>()
        });
        files.collect()
    }

    /// Whether one of them holds all files, of which there are `files`.
    pub(crate) fn cover(&self, files: usize) -> bool {
        let copies = self.0.lock();
        let whole = |copy: &Arc<LocalCopy>| copy.files.len() - copy.stale.lock().len() >= files;
        files > 0 && copies.iter().any(whole)
    }
}

/// A read that a copy is to answer.
pub(crate) struct LocalRead {
    pub(crate) promise: Arc<Promise>,
    pub(crate) row: Row,
    pub(crate) copy: Arc<LocalCopy>,
    pub(crate) request: ReadRequest,
    pub(crate) reply: Box<dyn ReadReply>,
}

/// What became of a read of a copy.
enum Tried {
    Read,
    /// The file is no longer what was written.
    Changed,
    /// It could not be read this time.
    Failed(Errno),
}

impl Engine {
    /// Answers from the copy, or, if that cannot be done, from the provider.
    pub(crate) fn answer_locally(self: &Arc<Self>, read: LocalRead, buffer: &mut [u8]) {
        let length = read.request.length as usize;
        let path = || read.promise.display_path(read.row);
        match read_copy(&read, &mut buffer[..length]) {
            Tried::Read => return read.reply.data(&buffer[..length]),
            Tried::Changed => {
                read.copy.mark_stale(read.row);
                tracing::info!(
                    path = path(),
                    "the materialized copy was changed, moved or removed; it no longer serves"
                );
                self.copy_lost(&read.promise);
                return self.read_node(read.request, read.promise, read.row, read.reply);
            }
            Tried::Failed(errno) => {
                tracing::warn!(path = path(), "the materialized copy is not read: {errno}");
            }
        }
        self.read_without_copy(read.request, read.promise, read.row, read.reply);
    }
}

/// Fills the buffer from the copy. Looked at before and after, so that bytes of a
/// file that changes meanwhile are not taken.
fn read_copy(read: &LocalRead, buffer: &mut [u8]) -> Tried {
    let Some(written) = read.copy.identity(read.row) else {
        return Tried::Changed;
    };
    let file = match read.copy.open(&read.promise.view(), read.row) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Tried::Changed,
        Err(errno) => return Tried::Failed(errno),
    };
    let as_written = || Identity::of(&file).map(|now| now == written);
    let done = as_written().and_then(|same| match same {
        true => read_whole(&file, read.request.offset, buffer).and_then(|()| as_written()),
        false => Ok(false),
    });
    match done {
        Ok(true) => Tried::Read,
        Ok(false) => Tried::Changed,
        Err(errno) => Tried::Failed(errno),
    }
}

/// Fills the buffer; a file that is too short by now is found changed afterwards.
fn read_whole(file: &OwnedFd, offset: u64, buffer: &mut [u8]) -> rustix::io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(file, &mut buffer[done..], offset + done as u64) {
            Ok(0) => return Ok(()),
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
