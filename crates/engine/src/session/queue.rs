//! Reads that wait for a slot, in the order in which they came.
//!
//! Reads that fit a small slot and reads that do not wait in two lines, so that a
//! few large reads of a slow provider do not hold up the small ones behind them.

use std::collections::VecDeque;

use super::in_flight::{Waiter, Want};

/// One read without a slot yet.
pub(crate) struct Queued {
    pub(crate) want: Want,
    pub(crate) waiter: Waiter,
    /// Tick at which it began to wait.
    pub(crate) since: u64,
}

pub(crate) struct Queue {
    small_len: u32,
    small: VecDeque<Queued>,
    large: VecDeque<Queued>,
}

impl Queue {
    pub(crate) fn new(small_len: u32) -> Self {
        Self {
            small_len,
            small: VecDeque::new(),
            large: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        self.line(queued.want.length).push_back(queued);
    }

    pub(crate) fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Whether a read of this length is a short one.
    pub(crate) fn is_small(&self, length: u32) -> bool {
        length <= self.small_len
    }

    pub(crate) fn has_small(&self) -> bool {
        !self.small.is_empty()
    }

    pub(crate) fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    pub(crate) fn pop_small(&mut self) -> Option<Queued> {
        self.small.pop_front()
    }

    pub(crate) fn pop_large(&mut self) -> Option<Queued> {
        self.large.pop_front()
    }

    /// Takes out every read that began to wait at or before `tick`.
    pub(crate) fn take_since(&mut self, tick: u64) -> Vec<Queued> {
        let mut taken = Vec::new();
        for line in [&mut self.small, &mut self.large] {
            // Both lines are in order of arrival.
            while line.front().is_some_and(|queued| queued.since <= tick) {
                taken.extend(line.pop_front());
            }
        }
        taken
    }

    pub(crate) fn drain(&mut self) -> Vec<Queued> {
        let mut all: Vec<_> = self.small.drain(..).collect();
        all.extend(self.large.drain(..));
        all
    }

    fn line(&mut self, length: u32) -> &mut VecDeque<Queued> {
        if self.is_small(length) {
            &mut self.small
        } else {
            &mut self.large
        }
    }
}
