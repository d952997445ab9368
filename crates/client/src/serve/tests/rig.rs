//! The daemon's side of one session, by hand.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fuse_promise_core::image::{ImageView, TreeBuilder};
use fuse_promise_core::{NodeAttr, PathRule, ProviderNumber, Status, Token};
use fuse_promise_wire::arena::Arena;
use fuse_promise_wire::{
    Channel, Geometry, PROTOCOL_VERSION, ReadFrame, SendOutcome, SessionEvent, ToDaemon, ToProvider,
};

use crate::handler::ReadHandler;
use crate::image::PromiseImage;
use crate::registration::Registered;
use crate::session::{End, Session};
use crate::test_support::{GUARD, next_of_library};

pub(super) const GEOMETRY: Geometry = Geometry {
    small_len: 64 << 10,
    small_count: 8,
    large_len: 128 << 10,
    large_count: 1,
};
pub(super) const LARGE_SLOT: u32 = 8;
const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 1 << 20,
    mtime_nsec: 0,
};

pub(super) struct Rig {
    pub(super) channel: Channel,
    pub(super) arena: Arena,
    pub(super) session: Arc<Session>,
    pub(super) requests: AtomicU32,
}

pub(super) struct Done {
    pub(super) epoch: u32,
    pub(super) status: Option<Status>,
    pub(super) length: u32,
}

pub(super) fn hello(epoch: u32) -> ToProvider {
    ToProvider::Hello {
        protocol: PROTOCOL_VERSION,
        epoch,
        geometry: GEOMETRY,
    }
}

pub(super) fn arena() -> (Arena, OwnedFd) {
    Arena::create(GEOMETRY).unwrap()
}

impl Rig {
    pub(super) fn new(handler: impl ReadHandler + 'static) -> Self {
        Self::calling(handler, 1)
    }

    pub(super) fn calling(handler: impl ReadHandler + 'static, at_once: u32) -> Self {
        let (ours, theirs) = Channel::pair().unwrap();
        let (arena, memory) = arena();
        let registered = Registered {
            number: ProviderNumber(1),
            token: Token([7; 32]),
            channel: theirs.into_fd(),
            arena: memory,
        };
        ours.send(&hello(1).encode()).unwrap();
        let session =
            Session::open(registered, 1, Arc::new(handler), at_once, None, GUARD).unwrap();
        let rig = Self {
            channel: ours,
            arena,
            session,
            requests: AtomicU32::new(0),
        };
        let greeting = ToDaemon::Hello {
            protocol: PROTOCOL_VERSION,
        };
        assert_eq!(rig.receive(), Some(greeting));
        rig
    }

    pub(super) fn send(&self, frame: ToProvider) {
        assert_eq!(self.channel.send(&frame.encode()), Ok(SendOutcome::Sent));
    }

    /// What the library sends next; `None` when it has closed the channel.
    pub(super) fn receive(&self) -> Option<ToDaemon> {
        next_of_library(&self.channel)
    }

    /// Publishes `dir/file` and `other` as promise number 5 and returns the row of `dir/file`.
    pub(super) fn commit(&self) -> u32 {
        let mut tree = TreeBuilder::new(PathRule::Utf8);
        let directory = NodeAttr { size: 0, ..FILE };
        tree.add_dir(b"dir", directory, b"id of dir").unwrap();
        tree.add_file(b"dir/file", FILE, b"id of file").unwrap();
        tree.add_file(b"other", FILE, b"id of other").unwrap();
        let mut bytes = Vec::new();
        tree.write_image(&mut bytes).unwrap();
        let row = ImageView::trusted(&bytes).resolve(b"dir/file").unwrap();
        self.commit_image(&Arc::new(PromiseImage::Heap(bytes)), 5);
        row.0
    }

    pub(super) fn commit_image(&self, image: &Arc<PromiseImage>, promise: u32) {
        let commit = 1000 + u64::from(promise);
        self.session.promises.expect(commit, Arc::clone(image));
        self.event(SessionEvent::Committed, promise, commit);
    }

    pub(super) fn event(&self, event: SessionEvent, promise: u32, argument: u64) {
        self.send(ToProvider::Event {
            event,
            promise,
            argument,
        });
    }

    pub(super) fn frame(&self, row: u32) -> ReadFrame {
        ReadFrame {
            request: self.requests.fetch_add(1, Ordering::Relaxed).into(),
            epoch: 1,
            promise: 5,
            row,
            offset: 1000,
            length: 16,
            slot: 0,
            slot_offset: 0,
            pid: 0,
            tid: 0,
        }
    }

    /// A read with a slot, and an offset that tells the slot.
    pub(super) fn for_slot(&self, row: u32, slot: u32) -> ReadFrame {
        ReadFrame {
            slot,
            offset: slot.into(),
            ..self.frame(row)
        }
    }

    pub(super) fn read(&self, frame: ReadFrame) -> Done {
        self.send(ToProvider::Read(frame));
        let (request, done) = self.done();
        assert_eq!((request, done.epoch), (frame.request, frame.epoch));
        done
    }

    /// The next answer, and the request it is to.
    pub(super) fn done(&self) -> (u64, Done) {
        match self.receive() {
            Some(ToDaemon::Done {
                request,
                epoch,
                status,
                length,
            }) => {
                let status = Status::from_code(status);
                let done = Done {
                    epoch,
                    status,
                    length,
                };
                (request, done)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn slot(&self, slot: u32, length: usize) -> Vec<u8> {
        self.arena.claim(slot).unwrap().bytes(length).to_vec()
    }

    /// The library has closed the channel; why?
    pub(super) fn end(&self) -> End {
        assert_eq!(self.receive(), None);
        self.session.wait_until_ended();
        self.session.end().unwrap()
    }

    pub(super) fn fault(&self) -> String {
        match self.end() {
            End::Faulty(what) => what,
            other => panic!("{other:?}"),
        }
    }
}
