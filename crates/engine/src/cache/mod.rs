//! The cache of promises with the policy read-through: bytes that were read once,
//! or are likely to be read next, kept within a bound.
//!
//! A read looks into the store (`store.rs`) first. What is missing there joins the
//! requests under way (`fetch.rs`) or is asked for, exactly as it was read; the bytes
//! are kept once everybody who waited for them has been answered. Each open file has
//! a window (`window.rs`) that grows while it is read in sequence, and what lies in
//! it is asked for ahead (`ahead.rs`) while its provider has room.

mod ahead;
mod assembly;
mod buffer;
mod disk;
mod extents;
mod fetch;
mod hold;
mod invalidate;
mod owed;
mod piece;
mod pins;
mod policy;
mod pressure;
mod readers;
mod serve;
mod store;
mod table;
mod unlinked;
mod window;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_core::failure::Result;
use fuse_promise_core::ids::{PromiseNumber, Row};
use fuse_promise_core::limits::READ_LEN_MAX;

use crate::options::EngineOptions;
use fetch::Fetches;
use owed::OwedReads;
use pressure::Pressure;
pub(crate) use readers::ReaderNumber;
use readers::Readers;
pub(crate) use store::Store;

/// A promised file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) promise: PromiseNumber,
    pub(crate) row: Row,
}

/// Part of the store that one reader's prefetching may fill. What was prefetched and not
/// read is held back from eviction, up to a quarter of the store; with half of that
/// nothing was asked for twice.
const DEPTH_PART: u64 = 8;
/// By so much the depth shrinks when the store is nearly full. A store in use mostly is,
/// so the rest must still keep a provider busy that works on 16 requests at a time.
const SHRINK_WHEN_FULL: u64 = 2;
/// By so much it shrinks when memory is short.
const SHRINK_WHEN_SHORT: u64 = 4;

/// What all cached promises share.
pub(crate) struct Cache {
    pub(crate) store: Arc<Store>,
    fetches: Fetches,
    owed: OwedReads,
    readers: Readers,
    /// Bytes prefetched ahead of a reader at most; 0 for no prefetching.
    readahead: u64,
    pressure: Pressure,
    counters: Counters,
}

impl Cache {
    pub(crate) fn new(options: &EngineOptions) -> Result<Self> {
        let limit = options.cache_size;
        let store = match &options.cache_dir {
            Some(directory) => Store::on_disk(limit, directory)?,
            None => Store::in_memory(limit),
        };
        Ok(Self {
            store: Arc::new(store),
            fetches: Fetches::default(),
            owed: OwedReads::default(),
            readers: Readers::default(),
            readahead: options.readahead.min(limit / DEPTH_PART),
            pressure: Pressure::new(),
            counters: Counters::default(),
        })
    }

    /// How far ahead of a reader to prefetch now.
    fn depth(&self) -> u64 {
        let usage = self.store.usage();
        if self.pressure.is_high() {
            self.readahead / SHRINK_WHEN_SHORT
        } else if usage.held > usage.limit / 4 * 3 {
            self.readahead / SHRINK_WHEN_FULL
        } else {
            self.readahead
        }
    }

    /// A number for a file that is opened.
    pub(crate) fn open(&self) -> ReaderNumber {
        self.readers.next_number()
    }

    /// Calls `fill` with a buffer for the longest read, which is this thread's own.
    fn with_buffer(&self, fill: impl FnOnce(&mut [u8])) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ_LEN_MAX as usize, 0);
            fill(buffer);
        });
    }

    /// Name and value of what is held and what was done, for the engine's gauges.
    pub(crate) fn figures(&self) -> Figures {
        let usage = self.store.usage();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            bytes: usage.held,
            evictions: usage.evicted_extents,
            fetches: self.fetches.len() as u64,
            readers: self.readers.len() as u64,
            hits: count(&self.counters.hits),
            joins: count(&self.counters.joins),
            prefetches: count(&self.counters.prefetches),
            cancelled: count(&self.counters.cancelled),
        }
    }
}

/// The cache's part of the balance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) bytes: u64,
    pub(crate) evictions: u64,
    pub(crate) fetches: u64,
    pub(crate) readers: u64,
    pub(crate) hits: u64,
    pub(crate) joins: u64,
    pub(crate) prefetches: u64,
    pub(crate) cancelled: u64,
}

/// What was done since the start of the daemon.
#[derive(Default)]
struct Counters {
    /// Reads answered from the store alone.
    hits: AtomicU64,
    /// Requests of others that a read waited for.
    joins: AtomicU64,
    prefetches: AtomicU64,
    /// Prefetches called off before they were answered.
    cancelled: AtomicU64,
}

impl Counters {
    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn joined(&self, requests: usize) {
        self.joins.fetch_add(requests as u64, Ordering::Relaxed);
    }

    fn prefetched(&self) {
        self.prefetches.fetch_add(1, Ordering::Relaxed);
    }

    fn cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}
