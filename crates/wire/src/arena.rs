//! The shared memory in which a provider's answers lie.
//!
//! The daemon makes a memfd, seals its size, cuts it into slots and gives a descriptor to the
//! provider's process; both map it. A provider writes an answer into the slot that the request
//! names, and the daemon answers the kernel from there. Memory is taken when a slot is first
//! touched and given back page by page when it has been idle.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use fuse_promise_core::Result;
use rustix::fs::{FallocateFlags, fallocate, ftruncate};

use crate::errno::failed;
use crate::mapping::SlotMap;
use crate::memfd::{self, SIZE_SEALS};
use crate::ring::{Direction, RingPutter, RingTaker};

pub use crate::geometry::Geometry;
pub use crate::mapping::Slot;

/// One side's view of the shared memory.
#[derive(Debug)]
pub struct Arena {
    fd: OwnedFd,
    slots: Arc<SlotMap>,
}

impl Arena {
    /// The daemon's side, and a descriptor for the provider's process.
    pub fn create(geometry: Geometry) -> Result<(Self, OwnedFd)> {
        geometry.check()?;
        let fd = memfd::create("fuse-promise-arena")?;
        ftruncate(&fd, geometry.total_len()).map_err(|errno| failed("size an arena", errno))?;
        memfd::add_seals(&fd, SIZE_SEALS)?;
        let theirs = fd
            .try_clone()
            .map_err(|error| fuse_promise_core::Failure::unavailable(error.to_string()))?;
        Ok((Self::map(fd, geometry)?, theirs))
    }

    /// The other side. The memory must be a memfd of sealed size that fits the geometry exactly.
    pub fn map(fd: OwnedFd, geometry: Geometry) -> Result<Self> {
        let slots = SlotMap::new(&fd, geometry).map_err(|failure| failure.context("arena"))?;
        Ok(Self {
            fd,
            slots: Arc::new(slots),
        })
    }

    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.slots.geometry()
    }

    /// Where the memory lies in this process, and its length: for unmapping it in a forked child.
    #[must_use]
    pub fn address(&self) -> (usize, usize) {
        self.slots.address()
    }

    /// The end of a ring that puts frames in. Asked for once in the process that does.
    #[must_use]
    pub fn putter(&self, direction: Direction) -> RingPutter {
        RingPutter::new(Arc::clone(&self.slots), direction)
    }

    /// The end that takes them out, likewise.
    #[must_use]
    pub fn taker(&self, direction: Direction) -> RingTaker {
        RingTaker::new(Arc::clone(&self.slots), direction)
    }

    /// Makes the caller the slot's owner within this process until the slot is dropped; `None` if
    /// it is owned or does not exist.
    #[must_use]
    pub fn claim(&self, slot: u32) -> Option<Slot> {
        self.slots.claim(slot)
    }

    /// Gives the memory of a slot that nobody owns back to the system: it reads as zeros until it
    /// is written again. False if somebody owns the slot.
    pub fn give_back_pages(&self, slot: u32) -> Result<bool> {
        // Owned meanwhile, so that nobody's answer is wiped.
        let Some(_claim) = self.claim(slot) else {
            return Ok(false);
        };
        let Some(range) = self.geometry().pages(slot) else {
            return Ok(false);
        };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.fd, flags, range.start, range.end - range.start)
            .map_err(|errno| failed("give back a slot", errno))?;
        Ok(true)
    }
}

impl AsFd for Arena {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
