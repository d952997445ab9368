//! The arena that answers are written into, and its epoch.
//!
//! A daemon that has restarted gives every provider a new arena under a new epoch. Slots of the
//! old one stay mapped for as long as a callback writes into them, and nobody reads them.

use std::os::fd::{AsFd, OwnedFd};

use fuse_promise_core::{Failure, Result};
use fuse_promise_wire::arena::Arena;
use fuse_promise_wire::{PROTOCOL_VERSION, ToProvider};

use crate::fork::Listed;

pub(crate) struct CurrentArena {
    pub(crate) epoch: u32,
    // Before the memory they list.
    _listed: [Listed; 2],
    pub(crate) arena: Arena,
}

impl CurrentArena {
    /// The arena that a hello describes.
    pub(crate) fn greeted(hello: ToProvider, memory: OwnedFd) -> Result<Self> {
        let ToProvider::Hello {
            protocol,
            epoch,
            geometry,
        } = hello
        else {
            return Err(Failure::io("fuse-promised did not begin with a hello"));
        };
        if protocol != PROTOCOL_VERSION {
            return Err(Failure::version_mismatch(format!(
                "the library speaks protocol version {PROTOCOL_VERSION}, fuse-promised speaks \
                 version {protocol} on the channel; install the same release of both"
            )));
        }
        let arena = Arena::map(memory, geometry)?;
        Ok(Self {
            epoch,
            _listed: [
                Listed::descriptor(&arena.as_fd()),
                Listed::mapping(arena.address()),
            ],
            arena,
        })
    }
}
