//! The requests under way for bytes that are to be kept, so that nobody asks for a
//! byte that is on its way already.
//!
//! A fetch stays in the table until its bytes are in the store: a reader finds
//! them in the one or the other, and each byte is asked for once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use fuse_promise_core::ids::{PromiseNumber, Row};
use fuse_promise_core::status::Status;

use super::FileKey;
use super::assembly::Assembly;
use super::piece::Found;
use super::store::Store;
use crate::session::Session;
use crate::sync::Mutex;

/// One request to a provider, and who waits for it.
pub(crate) struct Fetch {
    pub(super) file: FileKey,
    pub(super) range: Range<u64>,
    /// Asked for before any reader wanted it.
    pub(super) ahead: bool,
    progress: Mutex<Progress>,
    /// Its provider has taken back what it brings. Locked while the bytes are kept, which
    /// is no longer than a copy of them takes.
    outdated: Mutex<bool>,
}

#[derive(Default)]
struct Progress {
    waiting: Vec<Arc<Assembly>>,
    /// Where it went, if it may be called off.
    request: Option<(Arc<Session>, u64)>,
    /// Nobody waits for it any more: it must not be sent.
    called_off: bool,
}

impl Fetch {
    fn new(file: FileKey, range: Range<u64>, ahead: bool) -> Arc<Self> {
        Arc::new(Self {
            file,
            range,
            ahead,
            progress: Mutex::default(),
            outdated: Mutex::default(),
        })
    }

    pub(super) fn length(&self) -> u32 {
        // Never more than was asked of us, or a slot holds.
        (self.range.end - self.range.start) as u32
    }

    /// Who waits for it.
    pub(super) fn take_waiting(&self) -> Vec<Arc<Assembly>> {
        std::mem::take(&mut self.progress.lock().waiting)
    }

    /// Notes where it was sent. False if it was called off before that was known.
    pub(super) fn note_sent(&self, session: &Arc<Session>, request: u64) -> bool {
        let mut progress = self.progress.lock();
        progress.request = Some((Arc::clone(session), request));
        !progress.called_off
    }

    /// Calls it off if nobody waits for it; where it is to be cancelled, if it was sent.
    pub(super) fn call_off(&self) -> Option<(Arc<Session>, u64)> {
        let mut progress = self.progress.lock();
        if !progress.waiting.is_empty() {
            return None;
        }
        progress.called_off = true;
        progress.request.take()
    }

    /// Keeps its bytes, unless they were taken back.
    pub(super) fn keep<T>(&self, keep: impl FnOnce() -> T) -> Option<T> {
        let outdated = self.outdated.lock();
        (!*outdated).then(keep)
    }

    /// Its bytes are not kept from now on.
    fn take_back(&self) {
        *self.outdated.lock() = true;
    }

    fn join(&self, assembly: &Arc<Assembly>) {
        self.progress.lock().waiting.push(Arc::clone(assembly));
    }
}

/// What a read that misses bytes waits for.
pub(super) struct Joined {
    /// What is held, to be copied.
    pub(super) found: Found,
    /// Requests that are to be sent for it.
    pub(super) new: Vec<Arc<Fetch>>,
    /// Requests of others that it waits for as well.
    pub(super) joined: usize,
}

/// All fetches, by file and by where they begin. They never overlap.
#[derive(Default)]
pub(super) struct Fetches(Mutex<HashMap<FileKey, BTreeMap<u64, Arc<Fetch>>>>);

impl Fetches {
    /// Finds what a read needs: held bytes, requests under way, and new requests for
    /// the rest. The assembly waits for each of those from now on.
    pub(super) fn join(&self, store: &Store, assembly: &Arc<Assembly>) -> Joined {
        let (file, range) = (assembly.file(), assembly.range());
        let mut table = self.0.lock();
        // Looked at under the lock: what left the table is in the store.
        let found = store.look(file, range);
        let under_way = table.entry(file).or_default();
        let mut fetches = Vec::new();
        let mut new = Vec::new();
        for missing in &found.missing {
            fetches.extend(overlapping(under_way, missing));
            for gap in gaps(under_way, missing) {
                new.push(Fetch::new(file, gap, false));
            }
        }
        for fetch in &new {
            under_way.insert(fetch.range.start, Arc::clone(fetch));
        }
        if under_way.is_empty() {
            table.remove(&file);
        }
        assembly.expect(fetches.len() + new.len());
        fetches
            .iter()
            .chain(&new)
            .for_each(|fetch| fetch.join(assembly));
        Joined {
            found,
            new,
            joined: fetches.len(),
        }
    }

    /// A new fetch for the first part of the range that is neither held nor under
    /// way, and what is left of the range behind it.
    pub(super) fn ahead(
        &self,
        store: &Store,
        file: FileKey,
        range: Range<u64>,
    ) -> Option<(Arc<Fetch>, Range<u64>)> {
        let mut table = self.0.lock();
        let missing = store.missing(file, range.clone());
        let under_way = table.entry(file).or_default();
        let gap = missing
            .iter()
            .find_map(|missing| gaps(under_way, missing).into_iter().next());
        let fetch = gap.map(|gap| Fetch::new(file, gap, true));
        if let Some(fetch) = &fetch {
            under_way.insert(fetch.range.start, Arc::clone(fetch));
        }
        if under_way.is_empty() {
            table.remove(&file);
        }
        fetch.map(|fetch| {
            let rest = fetch.range.end..range.end;
            (fetch, rest)
        })
    }

    /// Takes it out; who joined it to the last moment.
    pub(super) fn remove(&self, fetch: &Fetch) -> Vec<Arc<Assembly>> {
        let mut table = self.0.lock();
        if let Some(under_way) = table.get_mut(&fetch.file) {
            let start = fetch.range.start;
            let known = under_way.get(&start);
            if known.is_some_and(|known| std::ptr::eq(&**known, fetch)) {
                under_way.remove(&start);
            }
            if under_way.is_empty() {
                table.remove(&fetch.file);
            }
        }
        fetch.take_waiting()
    }

    /// Takes out what is under way for those files of a promise that are concerned:
    /// who waits for it gets it, and who comes asks anew. None of it is kept.
    pub(super) fn take_back(&self, promise: PromiseNumber, concerns: impl Fn(Row) -> bool) {
        let mut table = self.0.lock();
        let files = table.extract_if(|file, _| file.promise == promise && concerns(file.row));
        let files: Vec<_> = files.collect();
        // Bytes that are being kept are waited for, so not with the table locked.
        drop(table);
        let fetches = files
            .into_iter()
            .flat_map(|(_, fetches)| fetches.into_values());
        fetches.for_each(|fetch| fetch.take_back());
    }

    /// Requests under way.
    pub(super) fn len(&self) -> usize {
        self.0.lock().values().map(BTreeMap::len).sum()
    }
}

/// Those that have bytes of the range, in order.
fn overlapping(under_way: &BTreeMap<u64, Arc<Fetch>>, range: &Range<u64>) -> Vec<Arc<Fetch>> {
    let before = under_way.range(..range.start).next_back();
    let before = before.filter(|(_, fetch)| fetch.range.end > range.start);
    let inside = under_way.range(range.clone());
    let all = before.into_iter().chain(inside);
    all.map(|(_, fetch)| Arc::clone(fetch)).collect()
}

/// The parts of the range that none of them has.
fn gaps(under_way: &BTreeMap<u64, Arc<Fetch>>, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut from = range.start;
    for fetch in overlapping(under_way, range) {
        if from < fetch.range.start {
            gaps.push(from..fetch.range.start);
        }
        from = fetch.range.end;
    }
    if from < range.end {
        gaps.push(from..range.end);
    }
    gaps
}

/// What came of a fetch.
#[derive(Clone, Copy)]
pub(super) enum Fetched<'a> {
    /// Its bytes; fewer than asked only where the content ends.
    Bytes(&'a [u8]),
    Failed(Status),
    /// It was not sent, or called off, because nobody waited for it.
    CalledOff,
}
