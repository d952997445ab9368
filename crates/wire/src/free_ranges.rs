//! Which parts of a fixed length are free.
//!
//! Ranges are taken from the smallest place that has room, the first of those, and merge with
//! their neighbours when they come back, so what is given back whole can be taken whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

#[derive(Debug)]
pub struct FreeRanges {
    len: usize,
    /// End by start; no two touch.
    free: BTreeMap<usize, usize>,
    /// The same ranges as length and start: finds room without a walk over all of them.
    by_len: BTreeSet<(usize, usize)>,
}

impl FreeRanges {
    /// All of `0..len` is free.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self {
            len,
            free: BTreeMap::from([(0, len)]),
            by_len: BTreeSet::from([(len, 0)]),
        }
    }

    /// The smallest free range that holds `len`, cut to it; `None` if there is none.
    pub fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let (_, start) = *self.by_len.range((len, 0)..).next()?;
        let end = self.remove(start)?;
        if start + len < end {
            self.insert(start + len, end);
        }
        Some(start..start + len)
    }

    /// Takes a range back and returns the whole free range it is now part of.
    pub fn give_back(&mut self, range: Range<usize>) -> Range<usize> {
        let mut merged = range;
        if let Some((&start, &end)) = self.free.range(..merged.start).next_back()
            && end == merged.start
        {
            self.remove(start);
            merged.start = start;
        }
        if let Some(end) = self.remove(merged.end) {
            merged.end = end;
        }
        self.insert(merged.start, merged.end);
        merged
    }

    fn insert(&mut self, start: usize, end: usize) {
        self.free.insert(start, end);
        self.by_len.insert((end - start, start));
    }

    fn remove(&mut self, start: usize) -> Option<usize> {
        let end = self.free.remove(&start)?;
        self.by_len.remove(&(end - start, start));
        Some(end)
    }

    #[must_use]
    pub fn is_all_free(&self) -> bool {
        self.free.get(&0) == Some(&self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_merge_on_both_sides() {
        let mut free = FreeRanges::new(100);
        let ranges: Vec<_> = (0..4).map(|_| free.take(25).expect("room")).collect();
        assert_eq!(ranges, [0..25, 25..50, 50..75, 75..100]);
        assert_eq!(free.take(1), None);
        assert_eq!(free.give_back(0..25), 0..25);
        assert_eq!(free.give_back(50..75), 50..75);
        assert_eq!(free.take(26), None, "two halves are no whole");
        assert_eq!(free.give_back(25..50), 0..75);
        assert!(!free.is_all_free());
        assert_eq!(free.give_back(75..100), 0..100);
        assert!(free.is_all_free());
    }

    proptest! {
        #[test]
        fn nothing_is_given_out_twice_or_lost(
            steps in proptest::collection::vec((any::<bool>(), 1..40usize), 0..200)
        ) {
            const LEN: usize = 200;
            let mut free = FreeRanges::new(LEN);
            let mut taken: Vec<Range<usize>> = Vec::new();
            for (take, number) in steps {
                if take {
                    if let Some(range) = free.take(number) {
                        prop_assert_eq!(range.len(), number);
                        prop_assert!(range.end <= LEN);
                        for other in &taken {
                            prop_assert!(range.end <= other.start || other.end <= range.start);
                        }
                        taken.push(range);
                    }
                } else if !taken.is_empty() {
                    let range = taken.swap_remove(number % taken.len());
                    let merged = free.give_back(range.clone());
                    prop_assert!(merged.start <= range.start && range.end <= merged.end);
                }
                let free_len: usize = free.free.iter().map(|(start, end)| end - start).sum();
                let taken_len: usize = taken.iter().map(ExactSizeIterator::len).sum();
                prop_assert_eq!(free_len + taken_len, LEN);
                prop_assert_eq!(free.by_len.len(), free.free.len());
            }
            for range in taken {
                free.give_back(range);
            }
            prop_assert!(free.is_all_free());
        }
    }
}
