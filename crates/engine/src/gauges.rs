//! The engine's balance: what it holds right now, and what it has done so far.
//! Everything but the counters must be back at zero when nothing is in use;
//! tests end by asserting just that.

use crate::cache::Figures;

/// A reading of all gauges and counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    pub providers: u64,
    pub promises: u64,
    /// Nodes of listed promises.
    pub nodes: u64,
    /// Bytes of committed images.
    pub image_bytes: u64,
    pub in_flight: u64,
    pub queued: u64,
    pub slots_in_use: u64,
    /// Frames waiting for room in a channel.
    pub unsent_frames: u64,
    pub opens: u64,
    /// Names and inodes the kernel remembers.
    pub lookups: u64,
    /// Materialize jobs that run.
    pub jobs: u64,
    /// Bytes the cache holds, with what it costs to know them.
    pub cache_bytes: u64,
    /// Requests under way whose bytes will be kept.
    pub cache_fetches: u64,
    /// Open files that are watched for what to prefetch.
    pub cache_readers: u64,
    /// Counters since the start of the daemon.
    pub reads: u64,
    pub served_bytes: u64,
    pub errors: u64,
    pub timeouts: u64,
    /// Answers to requests nobody waited for any more.
    pub late_replies: u64,
    /// Sessions ended because their provider broke the protocol.
    pub faulty_sessions: u64,
    /// Reads answered from the cache alone.
    pub cache_hits: u64,
    /// Requests of others that a read waited for.
    pub cache_joins: u64,
    /// Pieces given up for others.
    pub cache_evictions: u64,
    pub prefetches: u64,
    /// Prefetches called off before they were answered.
    pub cancelled_prefetches: u64,
}

impl Gauges {
    /// Name and value of each, in the order shown to people.
    pub fn fields(&self) -> [(&'static str, u64); 25] {
        [
            ("providers", self.providers),
            ("promises", self.promises),
            ("nodes", self.nodes),
            ("image_bytes", self.image_bytes),
            ("in_flight", self.in_flight),
            ("queued", self.queued),
            ("slots_in_use", self.slots_in_use),
            ("unsent_frames", self.unsent_frames),
            ("opens", self.opens),
            ("lookups", self.lookups),
            ("jobs", self.jobs),
            ("cache_bytes", self.cache_bytes),
            ("cache_fetches", self.cache_fetches),
            ("cache_readers", self.cache_readers),
            ("reads", self.reads),
            ("served_bytes", self.served_bytes),
            ("errors", self.errors),
            ("timeouts", self.timeouts),
            ("late_replies", self.late_replies),
            ("faulty_sessions", self.faulty_sessions),
            ("cache_hits", self.cache_hits),
            ("cache_joins", self.cache_joins),
            ("cache_evictions", self.cache_evictions),
            ("prefetches", self.prefetches),
            ("cancelled_prefetches", self.cancelled_prefetches),
        ]
    }

    pub(crate) fn note_cache(&mut self, cache: Figures) {
        self.cache_bytes = cache.bytes;
        self.cache_fetches = cache.fetches;
        self.cache_readers = cache.readers;
        self.cache_hits = cache.hits;
        self.cache_joins = cache.joins;
        self.cache_evictions = cache.evictions;
        self.prefetches = cache.prefetches;
        self.cancelled_prefetches = cache.cancelled;
    }
}
