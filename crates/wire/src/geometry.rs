//! How an arena is cut into slots.
//!
//! Small slots come first, then large ones, then the rings; a slot's number tells its place and its capacity. Each
//! has one page more than its length, because its bytes do not begin with its first page. The
//! geometry travels in the hello frame, so the receiver checks it before it maps anything.

use std::ops::Range;

use fuse_promise_core::limits::{ARENA_LEN_MAX, READ_LEN_MAX};
use fuse_promise_core::{Failure, Result};

use crate::ring::RINGS_LEN;

/// How far into its first page a slot's bytes begin.
///
/// Some processors copy at a third of their speed when the target begins 1 to 31 bytes further
/// into its page than the source. Readers' buffers begin with a page, or 16 bytes into it if they
/// come from malloc, and the page cache that a provider reads from begins with a page. Half a KiB
/// is clear of both in both directions, and still a whole disk block for direct I/O.
const LEAD: u64 = 512;

/// Lengths in bytes, whole pages; a class with count 0 has no slots, whatever its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub small_len: u32,
    pub small_count: u32,
    pub large_len: u32,
    pub large_count: u32,
}

impl Geometry {
    /// Refuses slots that are not whole pages or over the largest read, and arenas that are empty
    /// or too large.
    pub fn check(&self) -> Result<()> {
        let page = rustix::param::page_size();
        for len in [self.small_len, self.large_len] {
            let whole_pages = len > 0 && (len as usize).is_multiple_of(page);
            // A page of 64 KiB still has to fit, whatever the largest read is.
            if !whole_pages || len > READ_LEN_MAX.max(page as u32) {
                return Err(Failure::invalid(format!(
                    "slots of {len} bytes; they must be whole pages of {page}, up to {READ_LEN_MAX}"
                )));
            }
        }
        if self.slots_len() == 0 || self.total_len() > ARENA_LEN_MAX {
            return Err(Failure::invalid(format!(
                "an arena of {} bytes; it must have 1 to {ARENA_LEN_MAX}",
                self.total_len()
            )));
        }
        Ok(())
    }

    #[must_use]
    pub fn slot_count(&self) -> u32 {
        self.small_count.saturating_add(self.large_count)
    }

    /// Bytes of the whole arena: all slots, and the rings behind them.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        let page = rustix::param::page_size() as u64;
        self.slots_len()
            .saturating_add(RINGS_LEN.next_multiple_of(page))
    }

    /// Where the rings lie in the arena.
    #[must_use]
    pub fn rings(&self) -> Range<u64> {
        let start = self.slots_len();
        start..start + RINGS_LEN
    }

    /// Products of two 32-bit numbers and their sum: no overflow in 64 bits but for the absurd,
    /// which saturates and is refused.
    fn slots_len(&self) -> u64 {
        let small = with_lead(self.small_len) * u64::from(self.small_count);
        let large = with_lead(self.large_len) * u64::from(self.large_count);
        small.saturating_add(large)
    }

    /// Where a slot's bytes lie in the arena.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<Range<u64>> {
        let len = if slot < self.small_count {
            self.small_len
        } else {
            self.large_len
        };
        let start = self.pages(slot)?.start + LEAD;
        Some(start..start + u64::from(len))
    }

    /// The pages that are the slot's alone; its bytes lie in them.
    #[must_use]
    pub fn pages(&self, slot: u32) -> Option<Range<u64>> {
        let small = with_lead(self.small_len);
        let (before, place, len) = if slot < self.small_count {
            (0, slot, small)
        } else {
            let before = small * u64::from(self.small_count);
            (before, slot - self.small_count, with_lead(self.large_len))
        };
        if slot >= self.slot_count() {
            return None;
        }
        let start = before + u64::from(place) * len;
        Some(start..start + len)
    }
}

/// What a slot of this length takes of the arena.
fn with_lead(len: u32) -> u64 {
    u64::from(len) + rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::limits::CONCURRENT_READS_MAX;

    use super::*;

    const GOOD: Geometry = Geometry {
        small_len: 128 << 10,
        small_count: 3,
        large_len: 1 << 20,
        large_count: 2,
    };

    #[test]
    fn slots_lie_one_behind_the_other() {
        assert_eq!(GOOD.check(), Ok(()));
        let mut end = 0;
        for slot in 0..GOOD.slot_count() {
            let pages = GOOD.pages(slot).expect("within the count");
            let bytes = GOOD.slot(slot).expect("within the count");
            assert_eq!(pages.start, end);
            assert!(pages.start < bytes.start && bytes.end < pages.end);
            end = pages.end;
        }
        assert_eq!(end, GOOD.rings().start);
        assert!(GOOD.rings().end <= GOOD.total_len());
        assert_eq!(GOOD.slot(GOOD.slot_count()), None);
        assert_eq!(GOOD.slot(u32::MAX), None);
    }

    #[test]
    fn one_class_may_be_empty_but_not_both() {
        for (small_count, large_count, fine) in [(0, 1, true), (1, 0, true), (0, 0, false)] {
            let geometry = Geometry {
                small_count,
                large_count,
                ..GOOD
            };
            assert_eq!(geometry.check().is_ok(), fine);
        }
    }

    #[test]
    fn lengths_that_no_read_needs_are_refused() {
        for small_len in [0, 1, 4095, 4097, 2 << 20, u32::MAX] {
            let geometry = Geometry { small_len, ..GOOD };
            assert!(geometry.check().is_err(), "{small_len}");
        }
        for large_len in [0, 100, (1 << 20) + 4096, u32::MAX] {
            let geometry = Geometry { large_len, ..GOOD };
            let refused = geometry.check().unwrap_err().message;
            for number in [large_len, READ_LEN_MAX] {
                assert!(refused.contains(&number.to_string()), "{refused}");
            }
        }
    }

    #[test]
    fn an_arena_ends_at_its_limit() {
        let with = |large_count| Geometry {
            large_count,
            ..GOOD
        };
        let slot = with(2).total_len() - with(1).total_len();
        let most = (ARENA_LEN_MAX - with(0).total_len()) / slot;
        let most = u32::try_from(most).expect("some thousands");
        assert!(most > CONCURRENT_READS_MAX);
        assert_eq!(with(most).check(), Ok(()));
        let over = with(most + 1);
        let refused = over.check().unwrap_err().message;
        for number in [over.total_len(), ARENA_LEN_MAX] {
            assert!(refused.contains(&number.to_string()), "{refused}");
        }
    }

    #[test]
    fn counts_that_overflow_are_refused() {
        for small_count in [1 << 20, u32::MAX] {
            let geometry = Geometry {
                small_count,
                ..GOOD
            };
            assert!(geometry.check().is_err(), "{small_count}");
        }
        let absurd = Geometry {
            small_len: u32::MAX,
            small_count: u32::MAX,
            large_len: u32::MAX,
            large_count: u32::MAX,
        };
        assert!(absurd.check().is_err());
    }
}
