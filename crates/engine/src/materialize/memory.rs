//! The memory that the answers of all jobs may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes asked for and not yet written, over all jobs.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    held: AtomicU64,
}

/// A part of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Memory {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            held: AtomicU64::new(0),
        }
    }

    /// Takes a part if there is room, or, with `must`, at all events: a job with
    /// nothing under way can always go on.
    pub(super) fn take(self: &Arc<Self>, bytes: u64, must: bool) -> Option<Held> {
        let fits = |held: u64| {
            let after = held.saturating_add(bytes);
            (must || after <= self.limit).then_some(after)
        };
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .ok()?;
        Some(Held {
            memory: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let memory = Arc::new(Memory::new(10));
        let first = memory.take(6, false).unwrap();
        assert!(memory.take(5, false).is_none());
        let forced = memory.take(5, true).unwrap();
        assert!(memory.take(1, false).is_none());
        drop((first, forced));
        assert!(memory.take(10, false).is_some());
    }
}
