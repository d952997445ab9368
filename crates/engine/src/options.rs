//! What the daemon decides once, at its start.

use std::path::PathBuf;
use std::time::Duration;

use fuse_promise_core::words::CachePolicy;
use fuse_promise_wire::RuntimeDir;
use fuse_promise_wire::busy_poll::longest_here;

/// How long to look for the answer to a lone reader: about what a wake-up of the pump and its two
/// switches cost, so that a look in vain costs no more than what it would have saved.
const ANSWER_POLL: Duration = Duration::from_micros(50);

/// Settings of an [`Engine`](crate::Engine); they do not change while it runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where the numbers file lies, and below which the mount is.
    pub runtime_dir: RuntimeDir,
    /// Policy of promises whose provider named none.
    pub cache_policy: CachePolicy,
    /// How long a provider may show no sign of life while it owes an answer.
    pub read_timeout: Duration,
    /// How long the thread that asks for a lone reader looks for the answer itself; 0 for never.
    pub answer_poll: Duration,
    /// How long promises stay listed after their provider vanished.
    pub linger: Duration,
    /// How long they stay when all their files were materialized.
    pub linger_materialized: Duration,
    /// Bytes of answers that materialize jobs may hold at a time.
    pub materialize_memory: u64,
    /// Bytes that the cache of all promises holds at most.
    pub cache_size: u64,
    /// Where they are kept, in files without a name; None for memory.
    pub cache_dir: Option<PathBuf>,
    /// Bytes asked for ahead of an open file that is read in sequence, at most; 0 for
    /// none.
    pub readahead: u64,
}

impl EngineOptions {
    /// The defaults of design and man page: no-cache, 30 s, 300 s, 1 h, 64 MiB, a cache
    /// of 256 MiB in memory, 32 MiB ahead.
    pub fn new(runtime_dir: RuntimeDir) -> Self {
        Self {
            runtime_dir,
            cache_policy: CachePolicy::NoCache,
            read_timeout: Duration::from_secs(30),
            answer_poll: longest_here(ANSWER_POLL),
            linger: Duration::from_secs(300),
            linger_materialized: Duration::from_secs(3600),
            materialize_memory: 64 << 20,
            cache_size: 256 << 20,
            cache_dir: None,
            readahead: 32 << 20,
        }
    }
}
