//! What is held, of which promises, and what it weighs.
//!
//! Every extent is in the index of its file and, unless it is pinned, in the
//! policy. The policy's capacity is the limit less what is pinned, so the weight
//! of everything stays within the limit without a look at anything but the
//! extents that come and go. Counters per file and promise know what is whole.
//! Bytes that leave are handed to the caller, to be freed outside the lock.

use std::collections::HashMap;
use std::ops::Range;

use fuse_promise_core::ids::{PromiseNumber, Row};

use super::FileKey;
use super::disk::BLOCK;
use super::extents::{Extent, FileExtents, OVERHEAD, Part, Use};
use super::piece::{Found, Piece};
use super::pins::Pin;
use super::policy::{Place, Policy};

/// The longest extent: the longest request.
const EXTENT_MAX: u64 = 1 << 20;
/// An extent is at most this part of the limit: a quarter of what the policy has
/// when as much is pinned as can be.
const LIMIT_PART: u64 = 16;
/// Extents are merged up to this length: few enough for a request of the longest
/// length, little enough to copy again.
const MERGED_MAX: u64 = 64 << 10;

/// What the store holds and what happened to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes held, with what the tables cost. Never over the limit.
    pub(crate) held: u64,
    pub(crate) limit: u64,
    /// Of the held bytes, those that cannot be evicted.
    pub(crate) pinned: u64,
    pub(crate) extents: u64,
    /// Since the start.
    pub(crate) evicted_extents: u64,
    pub(crate) evicted_bytes: u64,
    /// Extents lost because the disk refused them, since the start.
    pub(crate) unwritten_extents: u64,
}

pub(super) struct Table {
    pub(super) promises: HashMap<PromiseNumber, PromiseExtents>,
    pub(super) policy: Policy,
    pub(super) usage: Usage,
    /// Counts uses of promises: the greater, the later.
    pub(super) now: u64,
}

/// What is held of one promise.
#[derive(Default)]
pub(super) struct PromiseExtents {
    pub(super) files: HashMap<Row, FileExtents>,
    pub(super) whole: usize,
    pub(super) pin: Pin,
    /// Weight of its extents that are outside the policy.
    pub(super) pinned: u64,
    pub(super) used: u64,
}

/// What leaves the store in the course of one operation.
#[derive(Default)]
pub(super) struct Gone {
    /// Only held until the lock is free.
    pub(super) extents: Vec<Extent>,
    pub(super) gave_up: Vec<PromiseNumber>,
    pub(super) no_longer_whole: Vec<FileKey>,
}

/// What became of a part.
pub(super) enum Kept {
    Yes {
        file_is_whole: bool,
    },
    /// The file is not what it was when the part was planned.
    Outdated,
    /// Pinned bytes leave no room for it.
    Refused,
}

impl Table {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            promises: HashMap::new(),
            policy: Policy::new(limit),
            usage: Usage {
                limit,
                ..Usage::default()
            },
            now: 0,
        }
    }

    pub(super) fn look(&mut self, file: FileKey, range: Range<u64>) -> Found {
        let mut found = Found::default();
        if range.is_empty() {
            return found;
        }
        self.now += 1;
        let promise = self.promises.get_mut(&file.promise);
        let extents = promise.and_then(|promise| {
            promise.used = self.now;
            promise.files.get_mut(&file.row)
        });
        let Some(extents) = extents else {
            found.missing.push(range);
            return found;
        };
        found.missing.extend(extents.gaps(range.clone()));
        for (start, extent) in extents.overlapping(&range) {
            let Some(piece) = Piece::of(start, extent, &range) else {
                continue;
            };
            match extent.read(piece.range.end - piece.range.start) {
                Use::First => self.policy.used_first(&(file, start)),
                Use::Again => self.policy.used_again(&(file, start)),
                Use::Part => {}
            }
            found.pieces.push(piece);
        }
        found
    }

    pub(super) fn missing(&self, file: FileKey, range: Range<u64>) -> Vec<Range<u64>> {
        match self.file(file) {
            Some(extents) => extents.gaps(range).collect(),
            None => Vec::from_iter((!range.is_empty()).then_some(range)),
        }
    }

    /// The first part of the range that is missing.
    pub(super) fn plan(&self, file: FileKey, range: Range<u64>, extent_max: u64) -> Option<Part> {
        let extents = self.file(file);
        let mut gap = match extents {
            Some(extents) => extents.gaps(range).next()?,
            None if range.is_empty() => return None,
            None => range,
        };
        gap.end = gap.end.min(gap.start.saturating_add(extent_max));
        Some(match extents {
            Some(extents) => extents.part(gap, MERGED_MAX.min(extent_max)),
            None => Part {
                gap,
                merged: Vec::new(),
            },
        })
    }

    /// Puts a planned part in, if nothing came in between.
    pub(super) fn keep(
        &mut self,
        file: FileKey,
        file_size: u64,
        part: &Part,
        mut extent: Extent,
        gone: &mut Gone,
    ) -> Kept {
        if !self.fits(file, part) {
            gone.extents.push(extent);
            return Kept::Outdated;
        }
        let Some(pinned) = self.room_for(file.promise, extent.weight(), gone) else {
            gone.extents.push(extent);
            return Kept::Refused;
        };
        // Making room may have evicted a neighbour.
        if pinned && !self.fits(file, part) {
            gone.extents.push(extent);
            self.fit_policy(gone);
            return Kept::Outdated;
        }
        extent.pinned = pinned;
        for (start, _) in &part.merged {
            let merged = self.take((file, *start)).expect("it was there just now");
            extent.ahead |= merged.ahead;
            gone.extents.push(merged);
        }
        let place = (file, part.start());
        if !pinned {
            let evicted = self.policy.insert(place, extent.weight(), extent.ahead);
            self.evict(evicted, gone);
        }
        self.put(place, file_size, extent);
        let whole = self.file(file).is_some_and(FileExtents::is_whole);
        Kept::Yes {
            file_is_whole: whole,
        }
    }

    fn fits(&self, file: FileKey, part: &Part) -> bool {
        match self.file(file) {
            Some(extents) => extents.fits(part),
            None => part.merged.is_empty(),
        }
    }

    /// Into the index and the counters.
    fn put(&mut self, (file, start): Place, file_size: u64, extent: Extent) {
        self.now += 1;
        self.usage.held += extent.weight();
        self.usage.extents += 1;
        let promise = self.promises.entry(file.promise).or_default();
        promise.used = self.now;
        if extent.pinned {
            self.usage.pinned += extent.weight();
            promise.pinned += extent.weight();
        }
        let extents = promise
            .files
            .entry(file.row)
            .or_insert_with(|| FileExtents::new(file_size));
        extents.insert(start, extent);
        promise.whole += usize::from(extents.is_whole());
    }

    /// Out of the index, the counters and the policy.
    fn take(&mut self, place: Place) -> Option<Extent> {
        let extent = self.take_from_index(place)?;
        if !extent.pinned {
            self.policy.remove(&place);
        }
        Some(extent)
    }

    /// What the policy has let go leaves the index too.
    pub(super) fn evict(&mut self, evicted: Vec<Place>, gone: &mut Gone) {
        for place in evicted {
            let was_whole = self.is_whole(place.0);
            let Some(extent) = self.take_from_index(place) else {
                continue;
            };
            self.usage.evicted_extents += 1;
            self.usage.evicted_bytes += extent.len;
            gone.no_longer_whole.extend(was_whole.then_some(place.0));
            gone.extents.push(extent);
        }
    }

    fn take_from_index(&mut self, (file, start): Place) -> Option<Extent> {
        let promise = self.promises.get_mut(&file.promise)?;
        let extents = promise.files.get_mut(&file.row)?;
        let was_whole = extents.is_whole();
        let extent = extents.remove(start)?;
        promise.whole -= usize::from(was_whole);
        if extents.is_empty() {
            promise.files.remove(&file.row);
        }
        self.usage.held -= extent.weight();
        self.usage.extents -= 1;
        if extent.pinned {
            self.usage.pinned -= extent.weight();
            promise.pinned -= extent.weight();
        }
        self.forget_if_empty(file.promise);
        Some(extent)
    }

    pub(super) fn forget_if_empty(&mut self, promise: PromiseNumber) {
        let is_empty = |held: &PromiseExtents| held.files.is_empty() && held.pin == Pin::No;
        if self.promises.get(&promise).is_some_and(is_empty) {
            self.promises.remove(&promise);
        }
    }

    pub(super) fn remove_file(&mut self, file: FileKey, gone: &mut Gone) {
        let starts = match self.file(file) {
            Some(extents) => extents.iter().map(|(start, _)| start).collect(),
            None => Vec::new(),
        };
        let extents = starts.into_iter().filter_map(|at| self.take((file, at)));
        gone.extents.extend(extents);
        self.fit_policy(gone);
    }

    /// Takes a promise out with its pin, and returns which files were whole.
    pub(super) fn remove_promise(
        &mut self,
        promise: PromiseNumber,
        gone: &mut Gone,
    ) -> Vec<FileKey> {
        let Some(held) = self.promises.remove(&promise) else {
            return Vec::new();
        };
        let mut whole = Vec::new();
        self.usage.pinned -= held.pinned;
        for (row, extents) in held.files {
            let file = FileKey { promise, row };
            whole.extend(extents.is_whole().then_some(file));
            for (start, extent) in extents.into_extents() {
                self.usage.held -= extent.weight();
                self.usage.extents -= 1;
                if !extent.pinned {
                    self.policy.remove(&(file, start));
                }
                gone.extents.push(extent);
            }
        }
        self.fit_policy(gone);
        whole
    }

    /// An extent's bytes are on disk now, or will never be: then it is lost.
    pub(super) fn written(
        &mut self,
        place: Place,
        is_it: impl Fn(&Extent) -> bool,
        on_disk: bool,
        gone: &mut Gone,
    ) {
        let was_whole = self.is_whole(place.0);
        let promise = self.promises.get_mut(&place.0.promise);
        let extents = promise.and_then(|held| held.files.get_mut(&place.0.row));
        let extent = extents.and_then(|extents| extents.get_mut(place.1));
        let Some(extent) = extent.filter(|extent| is_it(extent)) else {
            return;
        };
        if on_disk {
            extent.memory = None;
            return;
        }
        gone.extents.extend(self.take(place));
        gone.no_longer_whole.extend(was_whole.then_some(place.0));
        self.usage.unwritten_extents += 1;
        self.fit_policy(gone);
    }

    /// The files of a promise of which something is held.
    pub(super) fn rows(&self, promise: PromiseNumber) -> Vec<Row> {
        let held = self.promises.get(&promise);
        held.map_or_else(Vec::new, |held| held.files.keys().copied().collect())
    }

    pub(super) fn file(&self, file: FileKey) -> Option<&FileExtents> {
        self.promises.get(&file.promise)?.files.get(&file.row)
    }

    pub(super) fn held(&self, file: FileKey) -> u64 {
        self.file(file).map_or(0, FileExtents::held)
    }

    pub(super) fn is_whole(&self, file: FileKey) -> bool {
        self.file(file).is_some_and(FileExtents::is_whole)
    }
}

/// The longest extent under a limit; 0 if nothing can be held.
pub(super) fn extent_max(limit: u64) -> u64 {
    let longest = (limit / LIMIT_PART).saturating_sub(OVERHEAD);
    (longest / BLOCK * BLOCK).min(EXTENT_MAX)
}
