//! What the unit tests share.

use std::time::Duration;

use fuse_promise_core::{NodeAttr, Status};

use crate::handler::{ReadHandler, ReadRequest};

/// A test that has not gone on after this long hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

pub(crate) const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 4096,
    mtime_nsec: 0,
};

/// A handler that is a closure.
pub(crate) struct Handler<F>(pub(crate) F);

impl<F> ReadHandler for Handler<F>
where
    F: Fn(&ReadRequest<'_>, &mut [u8]) -> Result<usize, Status> + Send + Sync,
{
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        (self.0)(request, buffer)
    }
}
