//! The words of the private bus interface.
//!
//! Names, paths, option keys and the types that travel, so that the daemon's objects and the
//! client's calls cannot spell them differently. Nothing here connects to a bus.

use std::collections::HashMap;

use fuse_promise_core::{PromiseNumber, ProviderNumber};
use serde::{Deserialize, Serialize};
use zbus::{OwnedObjectPath, OwnedVariant, Type};

/// The well-known name. "Private" says that applications use the C interface instead.
pub const BUS_NAME: &str = "io.github.fuse_promise.Private1";

/// The object that is the daemon.
pub const ROOT_PATH: &str = "/io/github/fuse_promise";

pub const IFACE_MANAGER: &str = "io.github.fuse_promise.Private1.Manager";
pub const IFACE_PROVIDER: &str = "io.github.fuse_promise.Private1.Provider";
pub const IFACE_PROMISE: &str = "io.github.fuse_promise.Private1.Promise";
pub const IFACE_JOB: &str = "io.github.fuse_promise.Private1.Job";

/// The `a{sv}` that ends the arguments of a call that may grow.
pub type Options = HashMap<String, OwnedVariant>;

/// Keys of [`Options`], each with the D-Bus type of its value. A call refuses keys it does not
/// know.
pub mod option {
    /// `u`, required by RegisterProvider: the caller's protocol version.
    pub const PROTOCOL: &str = "protocol";
    /// `u`: how many reads the provider wants to have at once.
    pub const MAX_CONCURRENT_READS: &str = "max_concurrent_reads";
    /// `u`: the deadline of the provider's reads in milliseconds.
    pub const READ_TIMEOUT_MS: &str = "read_timeout_ms";
    /// `s`: what a person calls the provider or the promise.
    pub const LABEL: &str = "label";
    /// `t`: chosen by the client, so that a commit that is tried again is known again.
    pub const COMMIT_ID: &str = "commit_id";
    /// `s`: the word of a cache policy.
    pub const CACHE_POLICY: &str = "cache_policy";
    /// `t`: how many bytes the caller has for the path and its NUL; a longer path commits nothing.
    pub const PATH_CAPACITY: &str = "path_capacity";
    /// `t`: CLOCK_MONOTONIC in nanoseconds from which on the caller waits no longer; a commit that
    /// has its turn later, because the daemon was stopped, changes nothing.
    pub const EXPIRES: &str = "expires";
    /// `s`: what Materialize does where something is in its way, the word of a conflict policy.
    pub const POLICY: &str = "policy";
    /// `b`: whether Materialize brings what it writes to disk.
    pub const SYNC: &str = "sync";
    /// `b`: whether a job goes on when its caller leaves.
    pub const DETACH: &str = "detach";
    /// `b`: whether a job waits, with everything written, for Confirm or Cancel.
    pub const CONFIRM: &str = "confirm";
    /// `ay`: the node id, without a NUL, that Invalidate is about; every node if it is not there.
    pub const NODE_ID: &str = "node_id";
    /// `b`: whether List tells the nodes as well.
    pub const NODES: &str = "nodes";
}

#[must_use]
pub fn provider_path(provider: ProviderNumber) -> OwnedObjectPath {
    numbered("provider", provider.0)
}

#[must_use]
pub fn promise_path(promise: PromiseNumber) -> OwnedObjectPath {
    numbered("promise", u64::from(promise.0))
}

#[must_use]
pub fn job_path(job: u64) -> OwnedObjectPath {
    numbered("job", job)
}

fn numbered(kind: &str, number: u64) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("{ROOT_PATH}/{kind}/{number}"))
        .expect("letters, digits and slashes make an object path")
}

/// One node in a page of Promise.Nodes, `(utaysutxay)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NodeEntry {
    pub row: u32,
    pub inode: u64,
    /// Relative to the promise, without NUL; bytes, because a name need not be UTF-8.
    pub path: Vec<u8>,
    /// The word of a node kind.
    pub kind: String,
    pub mode: u32,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_nsec: i64,
    pub node_id: Vec<u8>,
}

/// One entry in a page of Job.Result, `(aysus)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct JobEntry {
    /// Relative to the target directory, without NUL.
    pub path: Vec<u8>,
    /// The word of an outcome.
    pub outcome: String,
    /// The number of a status; 0 unless the entry failed.
    pub status: u32,
    /// Why it failed; empty unless it did.
    pub message: String,
}

/// The last line that Manager.List streams. A stream that ends without it was cut short: the
/// daemon ended, or the reader took nothing for too long.
pub const LIST_END: &str = "end";

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::wire::{LE, serialized::Context, to_bytes};

    #[test]
    fn objects_lie_below_the_root() {
        assert_eq!(
            provider_path(ProviderNumber(12)).as_str(),
            "/io/github/fuse_promise/provider/12"
        );
        assert_eq!(
            promise_path(PromiseNumber(7)).as_str(),
            "/io/github/fuse_promise/promise/7"
        );
        assert_eq!(job_path(1).as_str(), "/io/github/fuse_promise/job/1");
        assert_eq!(
            job_path(u64::MAX).as_str(),
            "/io/github/fuse_promise/job/18446744073709551615"
        );
    }

    #[test]
    fn a_node_entry_has_the_published_signature_and_comes_back() {
        assert_eq!(NodeEntry::SIGNATURE, "(utaysutxay)");
        let entry = NodeEntry {
            row: 3,
            inode: 1 << 32 | 3,
            path: b"a/\xff".to_vec(),
            kind: "file".to_owned(),
            mode: 0o644,
            size: 9,
            mtime_nsec: 1,
            node_id: b"id".to_vec(),
        };
        let bytes = to_bytes(Context::new(LE, 0), &entry).expect("it can be written");
        let (back, _): (NodeEntry, _) = bytes.deserialize().expect("it can be read");
        assert_eq!(back, entry);
    }
}
