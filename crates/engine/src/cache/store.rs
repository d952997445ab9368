//! Bytes of promised files, up to a limit.
//!
//! What comes in is compared with what is there, and only what is missing is
//! copied: a part is planned under the lock, copied without it, and put in if the
//! file is still as it was planned for. Old extents are evicted for new ones. In
//! memory that is all; on disk each extent gets a room in a file and is read from
//! memory until the writing thread has put it there.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, Row};

use super::FileKey;
use super::buffer::{Buffer, Buffers};
use super::disk::{Backing, Disk, Room, Turn};
use super::extents::{Extent, Part};
use super::piece::{Found, Piece};
use super::pins::Pin;
use super::policy::Place;
use super::table::{Gone, Kept, Table, Usage, extent_max};
use super::unlinked::UnlinkedFile;
use crate::sync::Mutex;

/// Whether somebody has read the bytes that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A reader was answered with them: the next look is a second use.
    Now,
    /// They were asked for ahead of a reader: the next look is the first use.
    Later,
}

/// What an insert did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// All of the bytes were taken in or were there already.
    pub(crate) kept: bool,
    /// This insert made the file whole.
    pub(crate) whole: bool,
    /// Pinned promises that were let go, because they took too much of the limit.
    pub(crate) gave_up: Vec<PromiseNumber>,
    /// Files that were whole and have lost bytes, those of let go promises too.
    pub(crate) no_longer_whole: Vec<FileKey>,
}

/// What had to go for a pin.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// As in [`Inserted`]; may name the promise itself.
    pub(crate) gave_up: Vec<PromiseNumber>,
    pub(crate) no_longer_whole: Vec<FileKey>,
}

pub(crate) struct Store {
    shared: Arc<Shared>,
    buffers: Arc<Buffers>,
    disk: Option<Arc<Disk>>,
    /// 0 if the limit is too small for anything.
    extent_max: u64,
}

/// The bytes of an extent to be, and where on disk they will go.
struct Copied {
    memory: Arc<Buffer>,
    room: Option<(Arc<Room>, Turn)>,
}

/// What the writing thread needs too.
struct Shared {
    table: Mutex<Table>,
    /// Files that are no longer whole because the disk refused their bytes, until
    /// somebody is told.
    unwritten: Mutex<Vec<FileKey>>,
}

impl Store {
    pub(crate) fn in_memory(limit: u64) -> Self {
        let shared = Shared {
            table: Mutex::new(Table::new(limit)),
            unwritten: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            buffers: Arc::default(),
            disk: None,
            extent_max: extent_max(limit),
        }
    }

    /// Keeps the bytes in a file without a name in `directory`.
    pub(crate) fn on_disk(limit: u64, directory: &Path) -> Result<Self> {
        let file = UnlinkedFile::create(directory)?;
        Self::with_backing(limit, Box::new(file)).map_err(|error| {
            Failure::unavailable(format!("cannot start the thread of the cache: {error}"))
        })
    }

    fn with_backing(limit: u64, file: Box<dyn Backing>) -> io::Result<Self> {
        let mut store = Self::in_memory(limit);
        let shared = Arc::downgrade(&store.shared);
        let written = move |place, room: &Arc<Room>, wrote: io::Result<()>| {
            if let Some(shared) = shared.upgrade() {
                shared.written(place, room, wrote.is_ok());
            }
        };
        store.disk = Some(Disk::start(file, Box::new(written))?);
        Ok(store)
    }

    /// What is held of the range and what is missing. Counts as a use.
    pub(crate) fn look(&self, file: FileKey, range: Range<u64>) -> Found {
        self.shared.table.lock().look(file, range)
    }

    /// The pieces of the range if all of it is held. Only then it counts as a use.
    pub(crate) fn look_whole(&self, file: FileKey, range: Range<u64>) -> Option<Vec<Piece>> {
        let mut table = self.shared.table.lock();
        let is_whole = table.missing(file, range.clone()).is_empty();
        is_whole.then(|| table.look(file, range).pieces)
    }

    /// What is missing of the range, without counting as a use.
    pub(crate) fn missing(&self, file: FileKey, range: Range<u64>) -> Vec<Range<u64>> {
        self.shared.table.lock().missing(file, range)
    }

    /// Takes in what is missing of the bytes, which begin at `offset`. Nothing
    /// beyond the file's size is taken.
    pub(crate) fn insert(
        &self,
        file: FileKey,
        file_size: u64,
        offset: u64,
        bytes: &[u8],
        wanted: Wanted,
    ) -> Inserted {
        let mut inserted = Inserted::default();
        if self.extent_max == 0 {
            return inserted;
        }
        let mut gone = Gone::default();
        let end = offset.saturating_add(bytes.len() as u64).min(file_size);
        let mut at = offset;
        loop {
            let plan = self
                .shared
                .table
                .lock()
                .plan(file, at..end, self.extent_max);
            let Some(part) = plan else {
                inserted.kept = true;
                break;
            };
            let Some(copy) = self.copy(&part, offset, bytes) else {
                break;
            };
            match self.keep(file, file_size, &part, copy, wanted, &mut gone) {
                Kept::Yes { file_is_whole } => {
                    at = part.gap.end;
                    inserted.whole = file_is_whole;
                }
                // Another thread was faster with some of it; what is left is less.
                Kept::Outdated => {}
                Kept::Refused => break,
            }
            gone.extents.clear();
        }
        inserted.gave_up = gone.gave_up;
        inserted.no_longer_whole = gone.no_longer_whole;
        inserted.no_longer_whole.extend(self.take_unwritten());
        inserted
    }

    /// Copies the bytes of a planned part; `None` if the disk has no room for it.
    fn copy(&self, part: &Part, offset: u64, bytes: &[u8]) -> Option<Copied> {
        let index = |at: u64| usize::try_from(at - offset).expect("inside of the bytes");
        let gap = &bytes[index(part.gap.start)..index(part.gap.end)];
        let (before, after) = part.around_gap();
        let before = before.iter().map(|(_, bytes)| &bytes[..]);
        let after = after.iter().map(|(_, bytes)| &bytes[..]);
        let pieces: Vec<&[u8]> = before.chain([gap]).chain(after).collect();
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let room = match &self.disk {
            Some(disk) => Some(disk.reserve(len as u64)?),
            None => None,
        };
        let memory = self.buffers.copy(&pieces);
        Some(Copied { memory, room })
    }

    fn keep(
        &self,
        file: FileKey,
        file_size: u64,
        part: &Part,
        copied: Copied,
        wanted: Wanted,
        gone: &mut Gone,
    ) -> Kept {
        let Copied { memory, room } = copied;
        let its_room = room.as_ref().map(|(room, _)| Arc::clone(room));
        let extent = Extent::new(Arc::clone(&memory), its_room, wanted == Wanted::Later);
        let mut table = self.shared.table.lock();
        let kept = table.keep(file, file_size, part, extent, gone);
        drop(table);
        // Only now: the extent must be there when it is said to be written.
        if let (Kept::Yes { .. }, Some(disk), Some((room, turn))) = (&kept, &self.disk, room) {
            disk.write((file, part.start()), &room, memory, turn);
        }
        kept
    }

    /// Files that are no longer whole because their bytes could not be written to
    /// the disk. Each is told once, here or by the next insert.
    pub(crate) fn take_unwritten(&self) -> Vec<FileKey> {
        std::mem::take(&mut *self.shared.unwritten.lock())
    }

    /// Drops all bytes of a promise and its pin. What is inserted afterwards is
    /// held like that of any other.
    pub(crate) fn remove_promise(&self, promise: PromiseNumber) {
        self.change(|table, gone| {
            table.remove_promise(promise, gone);
        });
    }

    /// Files of the promise of which anything is held.
    pub(crate) fn rows(&self, promise: PromiseNumber) -> Vec<Row> {
        self.shared.table.lock().rows(promise)
    }

    pub(crate) fn remove_file(&self, file: FileKey) {
        self.change(|table, gone| table.remove_file(file, gone));
    }

    /// Drops the bytes of those files of a promise that are concerned. Its pin stays.
    pub(crate) fn remove_files(&self, promise: PromiseNumber, concerns: impl Fn(Row) -> bool) {
        self.change(|table, gone| {
            for row in table.rows(promise) {
                if concerns(row) {
                    table.remove_file(FileKey { promise, row }, gone);
                }
            }
        });
    }

    /// Every byte of the file is held, as of an empty file always.
    pub(crate) fn is_whole(&self, file: FileKey, file_size: u64) -> bool {
        file_size == 0 || self.shared.table.lock().is_whole(file)
    }

    /// How many files of the promise are held whole, empty ones not counted.
    pub(crate) fn whole_files(&self, promise: PromiseNumber) -> usize {
        let table = self.shared.table.lock();
        table.promises.get(&promise).map_or(0, |held| held.whole)
    }

    /// Bytes of the file that are held.
    pub(crate) fn held(&self, file: FileKey) -> u64 {
        self.shared.table.lock().held(file)
    }

    /// The files of the promise of which anything is held, and how many bytes.
    pub(crate) fn held_files(&self, promise: PromiseNumber) -> Vec<(Row, u64)> {
        let table = self.shared.table.lock();
        let promise = table.promises.get(&promise).into_iter();
        let files = promise.flat_map(|promise| &promise.files);
        files.map(|(row, file)| (*row, file.held())).collect()
    }

    /// From now on no byte of the promise is evicted, until it is let go as a
    /// whole because pinned promises take too much.
    pub(crate) fn pin(&self, promise: PromiseNumber) -> Lost {
        self.change(|table, gone| table.pin(promise, Pin::Pinned, gone))
    }

    /// As [`pin`](Self::pin), but it is never let go; what does not fit is not
    /// kept.
    pub(crate) fn pin_for_good(&self, promise: PromiseNumber) -> Lost {
        self.change(|table, gone| table.pin(promise, Pin::ForGood, gone))
    }

    pub(crate) fn usage(&self) -> Usage {
        self.shared.table.lock().usage
    }

    /// Changes the table; what leaves it is freed after the lock.
    fn change(&self, change: impl FnOnce(&mut Table, &mut Gone)) -> Lost {
        let mut gone = Gone::default();
        change(&mut self.shared.table.lock(), &mut gone);
        Lost {
            gave_up: gone.gave_up,
            no_longer_whole: gone.no_longer_whole,
        }
    }
}

impl Shared {
    fn written(&self, place: Place, room: &Arc<Room>, on_disk: bool) {
        let mut gone = Gone::default();
        let is_it = |extent: &Extent| {
            let its = extent.room.as_ref();
            its.is_some_and(|its| Arc::ptr_eq(its, room))
        };
        let mut table = self.table.lock();
        table.written(place, is_it, on_disk, &mut gone);
        drop(table);
        if !gone.no_longer_whole.is_empty() {
            self.unwritten.lock().append(&mut gone.no_longer_whole);
        }
    }
}

#[cfg(test)]
mod tests;
