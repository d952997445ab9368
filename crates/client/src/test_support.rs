//! What the unit tests share.

use std::time::Duration;

use fuse_promise_core::{NodeAttr, Status};
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{Channel, RecvOutcome, ToDaemon};

use crate::handler::{ReadHandler, ReadRequest};
use crate::readiness::readable_within;

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

/// The next frame that the library sends; `None` once it has closed the channel.
pub(crate) fn next_of_library(channel: &Channel) -> Option<ToDaemon> {
    assert_eq!(readable_within(channel, GUARD), Ok(true), "nothing came");
    match channel.recv(&mut [0; RECV_LEN]).unwrap() {
        RecvOutcome::Frame(frame) => Some(ToDaemon::decode(&frame).unwrap()),
        RecvOutcome::Closed => None,
        other => panic!("{other:?}"),
    }
}
