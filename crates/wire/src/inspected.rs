//! What Manager.Inspect answers: one `a{sv}`, written by the daemon and read by the client from
//! the same description. A key that a reader does not know is passed over, one that has nothing to
//! say is left out.

use zbus::{DeserializeDict, SerializeDict, Type};

/// A promised node, or a promise's own directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct InspectedNode {
    /// The id, such as `promise-7`.
    pub promise: String,
    /// Relative to the promise, without NUL; empty for the promise's own directory.
    pub path: Vec<u8>,
    pub inode: u64,
    /// The word of a node kind.
    pub kind: String,
    pub size: u64,
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime_nsec: i64,
    /// What the provider calls it.
    pub node_id: Vec<u8>,
    pub provider: u64,
    pub provider_pid: u32,
    pub provider_program: String,
    /// The word of a provider state.
    pub provider_state: String,
    /// The word of a node state.
    pub state: String,
    /// The word of a cache policy.
    pub cache_policy: String,
    /// Bytes that the cache holds, of a directory those of all files below it.
    pub cached_bytes: u64,
    /// Bytes that a materialized copy serves, likewise.
    pub materialized_bytes: u64,
    /// How often this node is open.
    pub opens: u32,
    /// Reads and opens of this node that failed.
    pub errors: u64,
    pub last_error: Option<InspectedError>,
    /// Requests for any node of the promise that its provider has answered.
    pub promise_reads: u64,
    pub promise_served_bytes: u64,
    pub promise_errors: u64,
    pub promise_last_error: Option<InspectedError>,
}

/// A read or an open that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct InspectedError {
    /// Of the node it was, relative to the promise.
    pub path: Vec<u8>,
    /// The number of a status.
    pub status: u32,
    /// Nanoseconds since 1970.
    pub time_nsec: i64,
    pub reason: String,
    pub offset: u64,
    /// Bytes wanted; 0 if it was an open that failed.
    pub length: u32,
}

#[cfg(test)]
mod tests {
    use zbus::wire::{LE, serialized::Context, to_bytes};

    use super::*;

    #[test]
    fn it_travels_as_a_dictionary_without_what_it_has_not() {
        assert_eq!(InspectedNode::SIGNATURE, "a{sv}");
        let error = InspectedError {
            path: b"a/\xff".to_vec(),
            status: 3,
            time_nsec: -1,
            reason: "why".into(),
            offset: 1 << 40,
            length: 7,
        };
        for last_error in [None, Some(error)] {
            let node = InspectedNode {
                promise: "promise-7".into(),
                path: b"a/\xff".to_vec(),
                opens: 3,
                promise_last_error: None,
                last_error,
                ..InspectedNode::default()
            };
            let bytes = to_bytes(Context::new(LE, 0), &node).expect("it can be written");
            let (options, _): (crate::bus::Options, _) =
                bytes.deserialize().expect("any dictionary can be read");
            assert_eq!(
                options.contains_key("last_error"),
                node.last_error.is_some()
            );
            assert!(!options.contains_key("promise_last_error"));
            let (back, _): (InspectedNode, _) = bytes.deserialize().expect("it can be read");
            assert_eq!(back, node);
        }
    }
}
