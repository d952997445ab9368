//! When a call is too late. A caller that has given up must not find later that its
//! call had an effect all the same, so each call that makes something asks here
//! just before it does, however long it has been checked by then.

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_wire::clock::monotonic_nanoseconds;

/// `Timeout` from the moment `expires` on, which is CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn check_not_expired(what: &str, expires: Option<u64>) -> Result<()> {
    if expires.is_some_and(|expires| monotonic_nanoseconds() >= expires) {
        return Err(Failure::timeout(format!(
            "{what} came to its turn after its caller had stopped waiting"
        )));
    }
    Ok(())
}
