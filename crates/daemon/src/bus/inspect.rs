//! Manager.Inspect: the engine's snapshot of one node, in the words of the bus.

use std::time::{SystemTime, UNIX_EPOCH};

use fuse_promise_engine::{NodeSnapshot, ReadError};
use fuse_promise_wire::inspected::{InspectedError, InspectedNode};

pub fn inspected(node: NodeSnapshot) -> InspectedNode {
    let last_error = node.last_error.map(|error| of_error(&node.path, error));
    let promise_last_error = node
        .promise_last_error
        .map(|(path, error)| of_error(&path, error));
    InspectedNode {
        promise: node.promise.id(),
        inode: node.inode.0,
        kind: node.kind.word().to_owned(),
        size: node.attr.size,
        mode: node.attr.mode,
        mtime_nsec: node.attr.mtime_nsec,
        node_id: node.node_id,
        provider: node.provider.0,
        provider_pid: node.provider_pid,
        provider_program: node.provider_program,
        provider_state: node.provider_state.word().to_owned(),
        state: node.state.word().to_owned(),
        cache_policy: node.cache_policy.word().to_owned(),
        cached_bytes: node.cached_bytes,
        materialized_bytes: node.materialized_bytes,
        opens: node.opens,
        errors: node.node_errors,
        last_error,
        promise_reads: node.reads,
        promise_served_bytes: node.served_bytes,
        promise_errors: node.errors,
        promise_last_error,
        path: node.path,
    }
}

fn of_error(path: &[u8], error: ReadError) -> InspectedError {
    InspectedError {
        path: path.to_vec(),
        status: error.status.code(),
        time_nsec: nanoseconds(error.at),
        reason: error.reason,
        offset: error.offset,
        length: error.length,
    }
}

/// Since 1970; a clock that is set to before that is as good as one at 1970.
fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
