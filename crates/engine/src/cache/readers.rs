//! The open files that are read through the cache: what each is likely to want
//! next, and what has been asked for on its behalf.
//!
//! The state of a reader is soft: one that is unknown (its file was opened under a
//! daemon before this one) begins anew with its next read.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_core::ids::ProviderNumber;

use super::FileKey;
use super::fetch::Fetch;
use super::window::{Limits, Window};
use crate::sync::Mutex;

/// An open file, as its handle names it; 0 is none.
pub(crate) type ReaderNumber = u64;

#[derive(Default)]
pub(super) struct Readers {
    last: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    readers: HashMap<ReaderNumber, Reader>,
    /// Who has something to ask a provider for, in the order of their turns.
    turns: HashMap<ProviderNumber, VecDeque<ReaderNumber>>,
}

struct Reader {
    file: FileKey,
    provider: ProviderNumber,
    window: Window,
    /// To be asked for as soon as the provider has room.
    backlog: VecDeque<Range<u64>>,
    /// It stands in the order of turns.
    queued: bool,
    /// How often it was found that something is not wanted any more.
    changes: u64,
    /// Asked for on this reader's behalf.
    under_way: Vec<Arc<Fetch>>,
}

impl Reader {
    /// Takes a range out of the backlog.
    fn drop_range(&mut self, unwanted: &Range<u64>) {
        self.changes += 1;
        let backlog = std::mem::take(&mut self.backlog);
        for range in backlog {
            let before = range.start..range.end.min(unwanted.start);
            let behind = range.start.max(unwanted.end)..range.end;
            let left = [before, behind].into_iter().filter(|part| !part.is_empty());
            self.backlog.extend(left);
        }
    }
}

/// One step of prefetching.
pub(super) struct Turn {
    pub(super) reader: ReaderNumber,
    pub(super) file: FileKey,
    pub(super) range: Range<u64>,
    /// What the reader wanted when it was its turn.
    changes: u64,
}

impl Readers {
    pub(super) fn next_number(&self) -> ReaderNumber {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes a read, and what it makes likely. What was asked for already comes and is
    /// kept even if it is not wanted any more: its provider may be at it.
    pub(super) fn note(
        &self,
        reader: ReaderNumber,
        (file, provider): (FileKey, ProviderNumber),
        read: Range<u64>,
        file_size: u64,
        limits: &Limits,
    ) {
        let mut table = self.table.lock();
        let table = &mut *table;
        let begin = || Reader {
            file,
            provider,
            window: Window::new(),
            backlog: VecDeque::new(),
            queued: false,
            changes: 0,
            under_way: Vec::new(),
        };
        let state = table.readers.entry(reader).or_insert_with(begin);
        // A number of an earlier daemon may be another file's.
        if state.file != file {
            *state = begin();
        }
        let length = read.end - read.start;
        let wanted = state.window.read(read.start, length, file_size, limits);
        while let Some(range) = state.window.unwanted() {
            state.drop_range(&range);
        }
        if let Some(range) = wanted {
            if !std::mem::replace(&mut state.queued, true) {
                table.turns.entry(provider).or_default().push_back(reader);
            }
            state.backlog.push_back(range);
        }
    }

    /// Forgets a reader; what was prefetched for it and is not wanted any more.
    pub(super) fn close(&self, reader: ReaderNumber) -> Vec<Arc<Fetch>> {
        let closed = self.table.lock().readers.remove(&reader);
        closed.map_or_else(Vec::new, |closed| closed.under_way)
    }

    /// Whose turn it is with a provider, and at most `most` bytes of what it wants. A
    /// range that needs several requests is cut at multiples of `most` in the file, so
    /// that requests of different readers fit together.
    pub(super) fn next(&self, provider: ProviderNumber, most: u64) -> Option<Turn> {
        let mut table = self.table.lock();
        let table = &mut *table;
        let turns = table.turns.get_mut(&provider)?;
        while let Some(number) = turns.pop_front() {
            let Some(reader) = table.readers.get_mut(&number) else {
                continue;
            };
            reader.queued = false;
            let Some(range) = reader.backlog.pop_front() else {
                continue;
            };
            let end = match range.end - range.start > most {
                true => (range.start / most + 1) * most,
                false => range.end,
            };
            if end < range.end {
                reader.backlog.push_front(end..range.end);
            }
            if !reader.backlog.is_empty() {
                reader.queued = true;
                turns.push_back(number);
            }
            return Some(Turn {
                reader: number,
                file: reader.file,
                range: range.start..end,
                changes: reader.changes,
            });
        }
        table.turns.remove(&provider);
        None
    }

    /// The provider has no room: the reader keeps its turn, unless it may not want all of
    /// it any more. What it wants all the same it then reads without help.
    pub(super) fn put_back(&self, provider: ProviderNumber, turn: Turn) {
        let mut table = self.table.lock();
        let Some(reader) = table.readers.get_mut(&turn.reader) else {
            return;
        };
        if (reader.file, reader.changes) != (turn.file, turn.changes) {
            return;
        }
        reader.backlog.push_front(turn.range);
        if !std::mem::replace(&mut reader.queued, true) {
            table
                .turns
                .entry(provider)
                .or_default()
                .push_front(turn.reader);
        }
    }

    /// Notes what was asked for on a reader's behalf. False if it has gone meanwhile.
    pub(super) fn note_asked(&self, reader: ReaderNumber, fetch: &Arc<Fetch>) -> bool {
        let mut table = self.table.lock();
        let Some(reader) = table.readers.get_mut(&reader) else {
            return false;
        };
        reader.under_way.push(Arc::clone(fetch));
        true
    }

    /// A fetch has come back.
    pub(super) fn note_done(&self, reader: ReaderNumber, fetch: &Arc<Fetch>) {
        if let Some(reader) = self.table.lock().readers.get_mut(&reader) {
            reader.under_way.retain(|other| !Arc::ptr_eq(other, fetch));
        }
    }

    pub(super) fn forget_provider(&self, provider: ProviderNumber) {
        let mut table = self.table.lock();
        table.turns.remove(&provider);
        let own = table.readers.values_mut();
        for reader in own.filter(|reader| reader.provider == provider) {
            reader.backlog.clear();
            reader.changes += 1;
            reader.queued = false;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.lock().readers.len()
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use fuse_promise_core::ids::{PromiseNumber, Row};

    use super::*;

    const READER: ReaderNumber = 1;
    const PROVIDER: ProviderNumber = ProviderNumber(1);
    const STEP: u64 = 128 << 10;
    const FILE: FileKey = FileKey {
        promise: PromiseNumber(1),
        row: Row(1),
    };

    fn note(readers: &Readers, at: u64) {
        let limits = Limits { depth: 8 << 20 };
        let read = at..at + STEP;
        readers.note(READER, (FILE, PROVIDER), read, 1 << 30, &limits);
    }

    /// A reader that was read in sequence, and its turn.
    fn turn() -> (Readers, Turn) {
        let readers = Readers::default();
        note(&readers, 0);
        note(&readers, STEP);
        let turn = readers.next(PROVIDER, 1 << 20).unwrap();
        (readers, turn)
    }

    fn next(readers: &Readers) -> Option<Range<u64>> {
        readers.next(PROVIDER, 1 << 20).map(|turn| turn.range)
    }

    #[test]
    fn a_turn_that_finds_no_room_is_the_next_one() {
        let (readers, turn) = turn();
        let range = turn.range.clone();
        readers.put_back(PROVIDER, turn);
        assert_eq!(next(&readers), Some(range));
        assert_eq!(next(&readers), None);
    }

    #[test]
    fn a_turn_is_not_put_back_once_its_range_is_not_wanted_any_more() {
        let (readers, turn) = turn();
        // Two reads elsewhere end the run.
        note(&readers, 512 << 20);
        note(&readers, 768 << 20);
        readers.put_back(PROVIDER, turn);
        assert_eq!(next(&readers), None);
    }

    #[test]
    fn a_turn_is_not_put_back_once_its_provider_is_gone() {
        let (readers, turn) = turn();
        readers.forget_provider(PROVIDER);
        readers.put_back(PROVIDER, turn);
        assert!(readers.table.lock().turns.is_empty());
        assert_eq!(next(&readers), None);
    }
}
