//! The daemon's side of a session.

use fuse_promise_core::{Row, Status};
use fuse_promise_wire::arena::Arena;
use fuse_promise_wire::{Channel, ReadFrame, SendOutcome, ToDaemon, ToProvider};

use super::GEOMETRY;
use crate::test_support::next_of_library;

pub(crate) struct FakeSession {
    pub(super) channel: Channel,
    pub(super) arena: Arena,
}

impl FakeSession {
    /// Asks for 16 bytes of a node, without waiting for them.
    pub(crate) fn ask(&self, request: u64, promise: u32, row: Row) {
        self.send(ToProvider::Read(ReadFrame {
            request,
            epoch: 1,
            promise,
            row: row.0,
            offset: 0,
            length: 16,
            slot: slot_of(request),
            slot_offset: 0,
            pid: 0,
            tid: 0,
        }));
    }

    /// The status and the bytes of the next answer; `None` if the session is over.
    pub(crate) fn answer(&self) -> Option<(Status, Vec<u8>)> {
        loop {
            match next_of_library(&self.channel)? {
                ToDaemon::Hello { .. } => {}
                ToDaemon::Done {
                    request,
                    status,
                    length,
                    ..
                } => {
                    let slot = self.arena.claim(slot_of(request)).unwrap();
                    let bytes = slot.bytes(length as usize).to_vec();
                    return Some((Status::from_code(status).unwrap(), bytes));
                }
                ToDaemon::Alive { .. } => panic!("nobody said alive"),
                ToDaemon::Bell => panic!("this daemon has no ring"),
            }
        }
    }

    pub(super) fn send(&self, frame: ToProvider) {
        assert_eq!(self.channel.send(&frame.encode()), Ok(SendOutcome::Sent));
    }
}

/// Requests of a test that are answered at a time have numbers in a row.
fn slot_of(request: u64) -> u32 {
    (request % u64::from(GEOMETRY.small_count)) as u32
}
