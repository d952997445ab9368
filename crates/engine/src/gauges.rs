//! The engine's balance: what it holds right now, and what it has done so far.
//! Everything but the counters must be back at zero when nothing is in use;
//! tests end by asserting just that.

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
    /// Counters since the start of the daemon.
    pub reads: u64,
    pub served_bytes: u64,
    pub errors: u64,
    pub timeouts: u64,
    /// Answers to requests nobody waited for any more.
    pub late_replies: u64,
    /// Sessions ended because their provider broke the protocol.
    pub faulty_sessions: u64,
}

impl Gauges {
    /// Name and value of each, in the order shown to people.
    pub fn fields(&self) -> [(&'static str, u64); 17] {
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
            ("reads", self.reads),
            ("served_bytes", self.served_bytes),
            ("errors", self.errors),
            ("timeouts", self.timeouts),
            ("late_replies", self.late_replies),
            ("faulty_sessions", self.faulty_sessions),
        ]
    }
}
