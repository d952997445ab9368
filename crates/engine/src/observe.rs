//! What the engine tells those who watch it: events as they happen, and
//! snapshots of one provider or one promise on demand.

use fuse_promise_core::ids::{JobNumber, PromiseNumber, ProviderNumber};
use fuse_promise_core::words::{CachePolicy, NodeState, ProviderState};

/// Something that was added, changed or removed. The number is enough: who
/// wants to know more takes a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineEvent {
    ProviderAdded(ProviderNumber),
    ProviderChanged(ProviderNumber),
    ProviderRemoved(ProviderNumber),
    PromiseAdded(PromiseNumber),
    PromiseChanged(PromiseNumber),
    PromiseRemoved(PromiseNumber),
    JobAdded(JobNumber),
    JobProgress(JobNumber),
    JobFinished(JobNumber),
    JobRemoved(JobNumber),
}

/// Receives events in the order in which they happened, from whichever thread
/// made them happen. Must not block and must not call back into the engine.
pub trait Observer: Send + Sync + 'static {
    fn event(&self, event: EngineEvent);
}

/// One provider session as it is now.
#[derive(Debug, Clone)]
pub struct ProviderSnapshot {
    pub provider: ProviderNumber,
    pub pid: u32,
    pub uid: u32,
    pub program: String,
    pub state: ProviderState,
    /// Requests the provider owes an answer for, abandoned ones included.
    pub in_flight: u32,
    /// Reads that wait for a slot.
    pub queued: u32,
    /// Reads answered with data since the session began.
    pub reads: u64,
    /// Bytes those reads returned.
    pub served_bytes: u64,
    /// Reads that ended in an error.
    pub errors: u64,
    /// Promises it has, destroyed ones that are still open included.
    pub promises: u32,
}

/// One promise as it is now.
#[derive(Debug, Clone)]
pub struct PromiseSnapshot {
    pub promise: PromiseNumber,
    pub provider: ProviderNumber,
    pub state: NodeState,
    pub cache_policy: CachePolicy,
    /// Nodes including the promise's own directory.
    pub nodes: u32,
    pub files: u32,
    /// Sum of the declared sizes, saturating.
    pub size: u64,
    /// Open files and directories.
    pub opens: u64,
}
