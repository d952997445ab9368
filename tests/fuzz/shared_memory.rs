//! The memory that a provider shares with the daemon, as one that plays by no rules uses it: frames
//! in the rings, and anything over them.

use std::ops::Range;
use std::os::fd::OwnedFd;

use fuse_promise_testkit::fuzz::Script;
use fuse_promise_wire::{
    Arena, Direction, FrameBytes, Geometry, Put, ReadFrame, RingPutter, RingTaker, ToProvider,
};
use rustix::io::pwrite;

/// How much of a ring's beginning says where its frames are: what is worth lying about most.
const POSITIONS: u64 = 64;

pub struct SharedMemory {
    memory: OwnedFd,
    rings: Range<u64>,
    putter: RingPutter,
    taker: RingTaker,
}

impl SharedMemory {
    pub fn map(memory: OwnedFd, geometry: Geometry) -> Self {
        let arena = Arena::map(memory.try_clone().unwrap(), geometry).unwrap();
        Self {
            memory,
            rings: geometry.rings(),
            putter: arena.putter(Direction::ToDaemon),
            taker: arena.taker(Direction::ToProvider),
        }
    }

    pub fn put(&mut self, frame: &FrameBytes) -> Put {
        self.putter.put(frame)
    }

    /// Says that it is at work, looks for frames only, or sleeps.
    pub fn say(&mut self, script: &mut Script<'_>) {
        match script.below(3) {
            0 => self.taker.wake(),
            1 => self.taker.poll(),
            _ => drop(self.taker.sleep()),
        }
    }

    /// The reads that came through the ring. What was written over is not counted.
    pub fn reads(&mut self) -> Vec<ReadFrame> {
        let mut reads = Vec::new();
        while let Ok(Some(frame)) = self.taker.take() {
            if let Ok(ToProvider::Read(read)) = ToProvider::decode(&frame) {
                reads.push(read);
            }
        }
        reads
    }

    /// Writes a number over anything in either ring.
    pub fn scribble(&self, script: &mut Script<'_>) {
        let ring_len = (self.rings.end - self.rings.start) / 2;
        let ring = self.rings.start + script.below(2) as u64 * ring_len;
        let words = ring_len / size_of::<u64>() as u64;
        let word = match script.below(4) {
            0 => u64::from(script.u32()) % words,
            _ => u64::from(script.byte()) % POSITIONS,
        };
        let value = match script.below(4) {
            0 => script.u64(),
            1 => u64::from(script.byte()).wrapping_neg(),
            _ => script.byte().into(),
        };
        let place = ring + word * size_of::<u64>() as u64;
        pwrite(&self.memory, &value.to_ne_bytes(), place).unwrap();
    }
}
