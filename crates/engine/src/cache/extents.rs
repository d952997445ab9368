//! The byte ranges held of one file.
//!
//! Extents are kept by their start and never overlap. The sum of their lengths
//! says whether the file is held whole. Short extents that touch are merged as a
//! binary counter does: a new one takes in the neighbours that are not longer
//! than itself, so that sequential short reads leave few extents and each byte
//! is copied few times.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::buffer::Buffer;
use super::disk::Room;

/// What one extent costs in the tables, with a map of its file of its own.
pub(super) const OVERHEAD: u64 = 1024;

/// Bytes of a file, in memory, on disk, or in both while they wait to be written.
pub(super) struct Extent {
    pub(super) len: u64,
    pub(super) memory: Option<Arc<Buffer>>,
    pub(super) room: Option<Arc<Room>>,
    /// Bytes to be read before that counts as a use: many short reads of a long
    /// extent are one.
    pub(super) unread: u64,
    /// Read ahead: not used at all so far.
    pub(super) ahead: bool,
    /// Outside the policy: not evicted.
    pub(super) pinned: bool,
}

impl Extent {
    pub(super) fn new(memory: Arc<Buffer>, room: Option<Arc<Room>>, ahead: bool) -> Self {
        let len = memory.len() as u64;
        Self {
            len,
            memory: Some(memory),
            room,
            unread: len,
            ahead,
            pinned: false,
        }
    }

    /// What it takes of the limit. That does not change while it lives.
    pub(super) fn weight(&self) -> u64 {
        let bytes = match (&self.room, &self.memory) {
            (Some(room), _) => room.len(),
            (None, Some(memory)) => memory.capacity() as u64,
            (None, None) => 0,
        };
        bytes + OVERHEAD
    }

    /// Notes that `length` bytes were read, and says what that is.
    pub(super) fn read(&mut self, length: u64) -> Use {
        if length < self.unread {
            self.unread -= length;
            return Use::Part;
        }
        self.unread = self.len;
        if std::mem::take(&mut self.ahead) {
            Use::First
        } else {
            Use::Again
        }
    }
}

/// What reading some of an extent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Part,
    First,
    Again,
}

/// Where an extent starts and its bytes.
pub(super) type Neighbour = (u64, Arc<Buffer>);

/// An extent to be: a gap of the file and the neighbours merged with it.
pub(super) struct Part {
    /// What is missing and will be held.
    pub(super) gap: Range<u64>,
    /// The neighbours, in order.
    pub(super) merged: Vec<Neighbour>,
}

impl Part {
    pub(super) fn start(&self) -> u64 {
        match self.merged.first() {
            Some((start, _)) => self.gap.start.min(*start),
            None => self.gap.start,
        }
    }

    /// The merged neighbours before and after the gap.
    pub(super) fn around_gap(&self) -> (&[Neighbour], &[Neighbour]) {
        let is_before = |(start, _): &Neighbour| *start < self.gap.start;
        let before = self.merged.partition_point(is_before);
        self.merged.split_at(before)
    }
}

pub(super) struct FileExtents {
    size: u64,
    held: u64,
    extents: BTreeMap<u64, Extent>,
}

impl FileExtents {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            held: 0,
            extents: BTreeMap::new(),
        }
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn is_whole(&self) -> bool {
        self.held == self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    pub(super) fn get_mut(&mut self, start: u64) -> Option<&mut Extent> {
        self.extents.get_mut(&start)
    }

    pub(super) fn insert(&mut self, start: u64, extent: Extent) {
        self.held += extent.len;
        self.extents.insert(start, extent);
    }

    pub(super) fn remove(&mut self, start: u64) -> Option<Extent> {
        let extent = self.extents.remove(&start)?;
        self.held -= extent.len;
        Some(extent)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Extent)> {
        self.extents.iter().map(|(start, extent)| (*start, extent))
    }

    pub(super) fn into_extents(self) -> impl Iterator<Item = (u64, Extent)> {
        self.extents.into_iter()
    }

    /// The extents that have bytes of the range, in order.
    pub(super) fn overlapping(
        &mut self,
        range: &Range<u64>,
    ) -> impl Iterator<Item = (u64, &mut Extent)> {
        let from = self.first_overlapping(range);
        self.extents
            .range_mut(from..range.end.max(from))
            .map(|(start, extent)| (*start, extent))
    }

    /// What of the range is not held, in order.
    pub(super) fn gaps(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let from = self.first_overlapping(&range);
        let held = self
            .extents
            .range(from..range.end.max(from))
            .map(|(start, extent)| *start..*start + extent.len);
        let mut at = range.start;
        held.chain(std::iter::once(range.end..range.end))
            .filter_map(move |held| {
                let gap = at..held.start;
                at = held.end;
                (gap.start < gap.end).then_some(gap)
            })
    }

    /// Where the first extent with bytes at or after the start of the range
    /// starts, or the start of the range.
    fn first_overlapping(&self, range: &Range<u64>) -> u64 {
        match self.extents.range(..=range.start).next_back() {
            Some((start, extent)) if start + extent.len > range.start => *start,
            _ => range.start,
        }
    }

    /// The extent that a gap should become: it takes in neighbours that are in
    /// memory and not longer than itself, up to `merged_max` bytes.
    pub(super) fn part(&self, gap: Range<u64>, merged_max: u64) -> Part {
        let mut whole = gap.clone();
        let mut merged = Vec::new();
        loop {
            let len = whole.end - whole.start;
            let longest = len.min(merged_max.saturating_sub(len));
            let short = |extent: &Extent| {
                let bytes = extent.memory.as_ref()?;
                (extent.len <= longest).then(|| Arc::clone(bytes))
            };
            let before = self.extents.range(..whole.start).next_back();
            let before = before.filter(|(start, extent)| *start + extent.len == whole.start);
            if let Some((start, bytes)) =
                before.and_then(|(at, extent)| Some((*at, short(extent)?)))
            {
                merged.push((start, bytes));
                whole.start = start;
            } else if let Some(bytes) = self.extents.get(&whole.end).and_then(short) {
                let start = whole.end;
                whole.end += bytes.len() as u64;
                merged.push((start, bytes));
            } else {
                break;
            }
        }
        merged.sort_unstable_by_key(|(start, _)| *start);
        Part { gap, merged }
    }

    /// Whether the file still is as it was when the part was planned.
    pub(super) fn fits(&self, part: &Part) -> bool {
        let is_missing = self.gaps(part.gap.clone()).eq([part.gap.clone()]);
        is_missing
            && part.merged.iter().all(|(start, bytes)| {
                let extent = self.extents.get(start);
                let memory = extent.and_then(|extent| extent.memory.as_ref());
                memory.is_some_and(|memory| Arc::ptr_eq(memory, bytes))
            })
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::super::buffer::Buffers;
    use super::*;

    fn file(extents: &[Range<u64>]) -> FileExtents {
        let buffers = Arc::new(Buffers::default());
        let mut file = FileExtents::new(100);
        for range in extents {
            let len = range.end - range.start;
            let bytes = buffers.copy(&[&vec![0; usize::try_from(len).unwrap()]]);
            file.insert(range.start, Extent::new(bytes, None, false));
        }
        file
    }

    fn gaps(file: &FileExtents, range: Range<u64>) -> Vec<Range<u64>> {
        file.gaps(range).collect()
    }

    #[test]
    fn a_use_is_as_many_bytes_as_there_are() {
        let buffers = Arc::new(Buffers::default());
        let mut extent = Extent::new(buffers.copy(&[&[0; 100]]), None, true);
        let uses = [60, 39, 1, 100, 60, 60, 60].map(|length| extent.read(length));
        let (part, again) = (Use::Part, Use::Again);
        assert_eq!(uses, [part, part, Use::First, again, part, again, part]);
    }

    #[test]
    fn gaps_are_what_lies_between_the_extents() {
        let file = file(&[10..20, 30..40, 40..50]);
        assert_eq!(gaps(&file, 0..100), [0..10, 20..30, 50..100]);
        assert_eq!(gaps(&file, 15..35), std::slice::from_ref(&(20..30)));
        assert_eq!(gaps(&file, 20..30), std::slice::from_ref(&(20..30)));
        assert_eq!(gaps(&file, 10..20), []);
        assert_eq!(gaps(&file, 45..45), []);
        assert_eq!(gaps(&file, 60..60), []);
    }

    #[test]
    fn a_gap_takes_in_neighbours_that_are_not_longer() {
        let file = file(&[1..8, 8..10, 12..15, 15..50]);
        let part = file.part(10..12, 64);
        let starts: Vec<_> = part.merged.iter().map(|(start, _)| *start).collect();
        // The one after it makes it long enough for the first; the last is longer.
        assert_eq!(starts, [1, 8, 12]);
        assert_eq!(part.start(), 1);
        assert!(file.fits(&part));
        let part = file.part(10..12, 5);
        let starts: Vec<_> = part.merged.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [8]);
    }

    #[test]
    fn sequential_short_extents_become_few() {
        let buffers = Arc::new(Buffers::default());
        let mut file = FileExtents::new(1 << 20);
        let mut copied = 0;
        for index in 0..256_u64 {
            let part = file.part(index * 4096..(index + 1) * 4096, 64 << 10);
            let len: u64 = 4096 + part.merged.iter().map(|(_, m)| m.len() as u64).sum::<u64>();
            for (start, _) in &part.merged {
                file.remove(*start);
            }
            let bytes = buffers.copy(&[&vec![0; usize::try_from(len).unwrap()]]);
            file.insert(part.start(), Extent::new(bytes, None, false));
            copied += len;
        }
        assert!(file.is_whole());
        assert_eq!(file.extents.len(), 16);
        assert!(copied <= 5 << 20, "{copied} bytes copied for a MiB");
    }
}
