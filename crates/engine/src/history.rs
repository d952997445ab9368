//! What a promise remembers of its reads: how many its provider answered, and of those that
//! failed the last one, with when and why.
//!
//! Answers are counted for the promise as a whole, by adding to a number; what is kept of a single
//! node is kept only of nodes of which something failed, and of no more than
//! [`FAILED_NODES_MAX`]: beyond that the one whose failure is the longest ago is forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use fuse_promise_core::failure::Failure;
use fuse_promise_core::ids::Row;
use fuse_promise_core::limits::FAILED_NODES_MAX;
use fuse_promise_core::status::Status;

use crate::promise::Promise;
use crate::sync::Mutex;

/// A read or an open that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    pub status: Status,
    pub at: SystemTime,
    /// A sentence, as it is logged: a timeout as a warning, the rest for those who debug.
    pub reason: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes wanted; 0 if it was an open.
    pub length: u32,
}

/// Of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeErrors {
    /// Since the first that is remembered.
    pub(crate) count: u64,
    pub(crate) last: ReadError,
    /// How many errors the promise had with its last one.
    order: u64,
}

/// Of a whole promise.
#[derive(Debug, Default)]
struct Errors {
    count: u64,
    last: Option<(Row, ReadError)>,
    nodes: HashMap<Row, NodeErrors>,
}

#[derive(Default)]
pub(crate) struct History {
    reads: AtomicU64,
    served_bytes: AtomicU64,
    errors: Mutex<Errors>,
}

/// The counters of a promise, and its last error.
pub(crate) struct Summary {
    pub(crate) reads: u64,
    pub(crate) served_bytes: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<(Row, ReadError)>,
}

impl History {
    /// The provider has answered a request with so many bytes.
    pub(crate) fn note_answer(&self, bytes: u32) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.served_bytes.fetch_add(bytes.into(), Ordering::Relaxed);
    }

    fn note_error(&self, row: Row, error: ReadError) {
        let mut errors = self.errors.lock();
        errors.count += 1;
        errors.last = Some((row, error.clone()));
        let order = errors.count;
        let nodes = &mut errors.nodes;
        if nodes.len() >= FAILED_NODES_MAX && !nodes.contains_key(&row) {
            let oldest = nodes.iter().min_by_key(|(_, node)| node.order);
            let oldest = oldest.map(|(row, _)| *row);
            oldest.and_then(|row| nodes.remove(&row));
        }
        let count = nodes.get(&row).map_or(0, |node| node.count) + 1;
        let last = error;
        nodes.insert(row, NodeErrors { count, last, order });
    }

    pub(crate) fn summary(&self) -> Summary {
        let errors = self.errors.lock();
        Summary {
            reads: self.reads.load(Ordering::Relaxed),
            served_bytes: self.served_bytes.load(Ordering::Relaxed),
            errors: errors.count,
            last_error: errors.last.clone(),
        }
    }

    /// Of one node; `None` if nothing is remembered.
    pub(crate) fn of(&self, row: Row) -> Option<NodeErrors> {
        self.errors.lock().nodes.get(&row).cloned()
    }
}

impl Promise {
    /// Notes that a reader of a node gets an error, and logs it. An open has no `length`. A read
    /// that fails with the request of another one, which lies inside it, is that one's failure and
    /// not noted again.
    pub(crate) fn note_failure(&self, row: Row, offset: u64, length: u32, failure: &Failure) {
        let (provider, status) = (self.session.number().0, failure.status);
        let reason = &failure.message;
        // A provider may refuse what it wants, as often as it is asked; one that hangs is a
        // problem that somebody has.
        if status == Status::Timeout {
            let path = self.display_path(row);
            tracing::warn!(path, provider, offset, length, "{reason}");
        } else {
            // In place, so that the path is put together only if it is logged.
            tracing::debug!(
                path = self.display_path(row),
                provider,
                offset,
                length,
                "{reason}"
            );
        }
        let error = ReadError {
            status,
            at: SystemTime::now(),
            reason: reason.clone(),
            offset,
            length,
        };
        self.history.note_error(row, error);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn error(offset: u64) -> ReadError {
        ReadError {
            status: Status::Io,
            at: SystemTime::UNIX_EPOCH,
            reason: "why".into(),
            offset,
            length: 1,
        }
    }

    #[test]
    fn the_last_error_of_the_promise_and_of_each_node_is_kept() {
        let history = History::default();
        assert_eq!(history.of(Row(1)), None);
        assert_eq!(history.summary().last_error, None);
        for (row, offset) in [(1, 10), (2, 20), (1, 30)] {
            history.note_error(Row(row), error(offset));
        }
        let of = |row| history.of(Row(row)).map(|node| (node.count, node.last));
        assert_eq!(of(1), Some((2, error(30))));
        assert_eq!(of(2), Some((1, error(20))));
        let summary = history.summary();
        assert_eq!(summary.errors, 3);
        assert_eq!(summary.last_error, Some((Row(1), error(30))));
    }

    #[test]
    fn answers_are_counted_with_their_bytes() {
        let history = History::default();
        history.note_answer(5);
        history.note_answer(u32::MAX);
        let summary = history.summary();
        assert_eq!((summary.reads, summary.errors), (2, 0));
        assert_eq!(summary.served_bytes, 5 + u64::from(u32::MAX));
    }

    #[test]
    fn the_node_that_failed_longest_ago_is_forgotten_at_the_limit() {
        let history = History::default();
        let full = FAILED_NODES_MAX as u32;
        for row in 0..full {
            history.note_error(Row(row), error(0));
        }
        assert!((0..full).all(|row| history.of(Row(row)).is_some()));
        // It has failed again, so that the next is the one that goes.
        history.note_error(Row(0), error(1));
        history.note_error(Row(full), error(0));
        assert!(history.of(Row(1)).is_none());
        assert_eq!(history.of(Row(0)).unwrap().count, 2);
        assert_eq!(history.of(Row(full)).unwrap().count, 1);
        assert_eq!(history.errors.lock().nodes.len(), FAILED_NODES_MAX);
        assert_eq!(history.summary().errors, u64::from(full) + 2);
    }
}
