//! Which parts of a fixed length are free.
//!
//! Ranges are taken from the first place that has room and merge with their neighbours when they
//! come back, so what is given back whole can be taken whole.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug)]
pub struct FreeRanges {
    len: usize,
    /// End by start; no two touch.
    free: BTreeMap<usize, usize>,
}

impl FreeRanges {
    /// All of `0..len` is free.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self {
            len,
            free: BTreeMap::from([(0, len)]),
        }
    }

    /// The first free range of `len`; `None` if there is none.
    pub fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let (start, end) = self
            .free
            .iter()
            .map(|(start, end)| (*start, *end))
            .find(|(start, end)| end - start >= len)?;
        self.free.remove(&start);
        if start + len < end {
            self.free.insert(start + len, end);
        }
        Some(start..start + len)
    }

    /// Takes a range back and returns the whole free range it is now part of.
    pub fn give_back(&mut self, range: Range<usize>) -> Range<usize> {
        let mut merged = range;
        if let Some((start, end)) = self.free.range(..merged.start).next_back()
            && *end == merged.start
        {
            merged.start = *start;
        }
        if let Some(end) = self.free.remove(&merged.end) {
            merged.end = end;
        }
        self.free.insert(merged.start, merged.end);
        merged
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
            }
            for range in taken {
                free.give_back(range);
            }
            prop_assert!(free.is_all_free());
        }
    }
}
