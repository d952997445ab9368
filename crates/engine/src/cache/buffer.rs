//! Memory of extents.
//!
//! An allocator maps large pieces of memory anew each time and unmaps them when
//! they are freed, and every new page is a fault. A full cache frees one extent
//! for each it takes in, mostly of the same length, so the last few that were
//! freed are kept for the next.

use std::ops::Deref;
use std::sync::Arc;

use crate::sync::Mutex;

/// What the usual allocators map by itself, so where recycling pays.
const RECYCLED_MIN: usize = 128 << 10;
/// Freed memory kept at most: a few of the longest extents.
const KEPT_MAX: usize = 8 << 20;
/// Large buffers are whole pages, as they would be in a mapping of their own.
const PAGE: usize = 4096;

/// Freed buffers for the next extents.
#[derive(Default)]
pub(super) struct Buffers {
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A buffer that holds the parts one after the other.
    pub(super) fn copy(self: &Arc<Self>, parts: &[&[u8]]) -> Arc<Buffer> {
        let mut bytes = self.take(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Arc::new(Buffer {
            bytes,
            home: Arc::clone(self),
        })
    }

    fn take(&self, len: usize) -> Vec<u8> {
        if len < RECYCLED_MIN {
            return Vec::with_capacity(len);
        }
        let capacity = len.next_multiple_of(PAGE);
        let mut kept = self.kept.lock();
        let fitting = kept.iter().position(|bytes| bytes.capacity() == capacity);
        match fitting.map(|index| kept.swap_remove(index)) {
            Some(bytes) => bytes,
            None => {
                drop(kept);
                Vec::with_capacity(capacity)
            }
        }
    }

    fn put_back(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() < RECYCLED_MIN {
            return;
        }
        bytes.clear();
        let mut kept = self.kept.lock();
        let mut total: usize = kept.iter().map(Vec::capacity).sum::<usize>() + bytes.capacity();
        kept.push(bytes);
        // The oldest goes: its length is the one that was not asked for.
        let mut surplus = Vec::new();
        while total > KEPT_MAX {
            let oldest = kept.remove(0);
            total -= oldest.capacity();
            surplus.push(oldest);
        }
        drop(kept);
    }
}

/// The bytes of one extent; they do not change any more.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffer {
    /// Bytes of memory it takes.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.put_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_freed_buffer_serves_the_next_of_its_length() {
        let buffers = Arc::new(Buffers::default());
        let first = buffers.copy(&[&[1; 100_000], &[2; 100_000]]);
        assert_eq!(&first[99_999..100_001], [1, 2]);
        let place = first.as_ptr();
        drop(first);
        let other = buffers.copy(&[&[3; 300_000]]);
        assert_ne!(other.as_ptr(), place, "another length");
        let second = buffers.copy(&[&[4; 199_999]]);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second[..], [4; 199_999]);
    }

    #[test]
    fn what_is_kept_for_the_next_is_little() {
        let buffers = Arc::new(Buffers::default());
        let all: Vec<_> = (0..64).map(|_| buffers.copy(&[&[0; 1 << 20]])).collect();
        drop(all);
        let small: Vec<_> = (0..64).map(|_| buffers.copy(&[&[0; 1000]])).collect();
        drop(small);
        let kept = buffers.kept.lock();
        assert_eq!(kept.len(), KEPT_MAX >> 20);
    }
}
