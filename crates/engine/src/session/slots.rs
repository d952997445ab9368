//! Which slots of a session's arena are free.
//!
//! The last slot freed is the first one taken, so that a provider with one
//! reader touches the pages of one slot only. Pages of slots that were used are
//! given back once the session has been idle for a while.

use fuse_promise_core::limits;
use fuse_promise_wire::{Arena, Geometry, Slot};

/// Slots a session gets beyond those its concurrent reads need: the next
/// requests are then already in its channel when it finishes one, which saves a
/// wake-up of the daemon per read. Seven more let eight readers of a provider
/// that reads one at a time wait in the channel instead of in the queue.
pub(crate) const LARGE_AHEAD: u32 = 7;
/// Small slots cost the pages that were touched, often one, so there are more of
/// them: one for each of as many readers as a desktop has cores.
const SMALL_AHEAD: u32 = 15;
/// Bytes of a large slot: the largest READ the kernel sends.
pub(crate) const LARGE_LEN: u32 = limits::READ_LEN_MAX;

/// The arena layout for a provider that runs `concurrent` reads at a time.
pub(crate) fn geometry(concurrent: u32) -> Geometry {
    Geometry {
        small_len: limits::SMALL_READ_LEN_MAX,
        small_count: concurrent
            .saturating_add(SMALL_AHEAD)
            .min(limits::SLOTS_PER_SIZE_MAX),
        large_len: LARGE_LEN,
        large_count: concurrent
            .saturating_add(LARGE_AHEAD)
            .min(limits::SLOTS_PER_SIZE_MAX),
    }
}

/// Reads of one kind that a provider with `concurrent` callbacks can have under
/// way without any of them waiting for a slot.
pub(super) fn reads_at_once(concurrent: u32) -> u32 {
    geometry(concurrent).large_count
}

/// The free lists of one arena.
pub(crate) struct Slots {
    arena: Arena,
    geometry: Geometry,
    small: Vec<u32>,
    large: Vec<u32>,
    touched: Vec<bool>,
    in_use: u32,
}

impl Slots {
    pub(crate) fn new(arena: Arena, geometry: Geometry) -> Self {
        let count = geometry.small_count + geometry.large_count;
        Self {
            arena,
            geometry,
            small: (0..geometry.small_count).rev().collect(),
            large: (geometry.small_count..count).rev().collect(),
            touched: vec![false; count as usize],
            in_use: 0,
        }
    }

    /// A free slot for a short read; one of the large ones only if `spare_large`.
    pub(crate) fn take_small(&mut self, spare_large: bool) -> Option<Slot> {
        let large = || spare_large.then(|| self.large.pop()).flatten();
        let index = self.small.pop().or_else(large)?;
        Some(self.take(index))
    }

    /// A free slot for a read of any length.
    pub(crate) fn take_large(&mut self) -> Option<Slot> {
        let index = self.large.pop()?;
        Some(self.take(index))
    }

    /// Whether a read has a slot if it may take one of the large ones.
    pub(crate) fn has_free(&self, small: bool) -> bool {
        !self.large.is_empty() || small && !self.small.is_empty()
    }

    fn take(&mut self, index: u32) -> Slot {
        self.touched[index as usize] = true;
        self.in_use += 1;
        let slot = self.arena.claim(index);
        slot.expect("a slot on the free list is claimed by nobody")
    }

    pub(crate) fn put_back(&mut self, slot: Slot) {
        let index = slot.index();
        drop(slot);
        self.in_use -= 1;
        if index < self.geometry.small_count {
            self.small.push(index);
        } else {
            self.large.push(index);
        }
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Whether slots hold pages that could be given back.
    pub(crate) fn has_pages(&self) -> bool {
        self.touched.contains(&true)
    }

    /// Gives the pages of all free slots back to the system.
    pub(crate) fn give_back_pages(&mut self) {
        for index in self.small.iter().chain(&self.large) {
            if std::mem::take(&mut self.touched[*index as usize]) {
                // A refusal costs memory only, and the next idle time tries again.
                let given = self.arena.give_back_pages(*index);
                self.touched[*index as usize] = given.is_err();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_end_at_their_limit_whatever_was_asked_for() {
        let most = limits::SLOTS_PER_SIZE_MAX;
        let below = geometry(most - LARGE_AHEAD - 1);
        assert_eq!((below.large_count, below.small_count), (most - 1, most));
        let counts = |concurrent| {
            let geometry = geometry(concurrent);
            (geometry.small_count, geometry.large_count)
        };
        for concurrent in [
            most - LARGE_AHEAD,
            most - LARGE_AHEAD + 1,
            limits::CONCURRENT_READS_MAX,
        ] {
            assert_eq!(counts(concurrent), (most, most));
            assert_eq!(geometry(concurrent).check(), Ok(()));
        }
    }
}
