//! The provider's side of a read: decode the frame, call the handler with the slot itself as its
//! buffer, send one Done.
//!
//! Nothing the daemon sends makes this panic. What cannot be meant ends the session, with the
//! reason kept; a read of something we do not know is answered with the status that says so.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fuse_promise_core::{PromiseNumber, Row, Status};
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{ReadFrame, RecvOutcome, SendOutcome, SessionEvent, ToDaemon, ToProvider};

use crate::arena::CurrentArena;
use crate::fork::in_child;
use crate::handler::{ReadHandler, ReadRequest};
use crate::image::PathBuffer;
use crate::session::{End, Session};

/// What the thread of a session works with.
pub(crate) struct Serving {
    session: Arc<Session>,
    arena: CurrentArena,
    handler: Arc<dyn ReadHandler>,
    path: PathBuffer,
}

type Flow = ControlFlow<End>;

impl Serving {
    pub(crate) fn new(
        session: Arc<Session>,
        arena: CurrentArena,
        handler: Arc<dyn ReadHandler>,
    ) -> Self {
        Self {
            session,
            arena,
            handler,
            path: PathBuffer::default(),
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Serves until the session ends.
    pub(crate) fn run(&mut self) -> End {
        let mut packet = [0; RECV_LEN];
        loop {
            if let ControlFlow::Break(end) = self.step(&mut packet) {
                return if self.session.is_closing() {
                    End::Closed
                } else {
                    end
                };
            }
        }
    }

    fn step(&mut self, packet: &mut [u8; RECV_LEN]) -> Flow {
        let received = match self.session.channel().recv_waiting(packet) {
            Ok(received) => received,
            Err(failure) => return ControlFlow::Break(End::Faulty(failure.message)),
        };
        let frame = match received {
            RecvOutcome::Frame(frame) => frame,
            RecvOutcome::NotAFrame(length) => {
                return faulty(format!("a packet of {length} bytes is no frame"));
            }
            RecvOutcome::Empty => return ControlFlow::Continue(()),
            RecvOutcome::Closed => return ControlFlow::Break(End::HungUp),
        };
        match ToProvider::decode(&frame) {
            Ok(hello @ ToProvider::Hello { .. }) => self.renew(hello, packet),
            Ok(ToProvider::Read(read)) => self.read(&read),
            Ok(ToProvider::Cancel { .. }) => {
                self.session.note_cancel();
                ControlFlow::Continue(())
            }
            Ok(ToProvider::Event {
                event,
                promise,
                argument,
            }) => self.event(event, PromiseNumber(promise), argument),
            Err(error) => faulty(error.to_string()),
        }
    }

    /// A new arena under a new epoch. Its memory comes with the packet behind the hello: to
    /// receive a packet without a descriptor, as nearly all are, costs less.
    fn renew(&mut self, hello: ToProvider, packet: &mut [u8; RECV_LEN]) -> Flow {
        let memory = match self.session.channel().recv_waiting_with_fd(packet) {
            Ok((_, Some(memory))) => memory,
            Ok((RecvOutcome::Closed, None)) => return ControlFlow::Break(End::HungUp),
            Ok((_, None)) => return faulty("a hello without an arena".to_owned()),
            Err(failure) => return faulty(failure.message),
        };
        match CurrentArena::greeted(hello, memory) {
            Ok(arena) => {
                self.arena = arena;
                ControlFlow::Continue(())
            }
            Err(failure) => faulty(failure.message),
        }
    }

    fn event(&mut self, event: SessionEvent, promise: PromiseNumber, argument: u64) -> Flow {
        match event {
            SessionEvent::Committed => self.session.promises.committed(argument, promise),
            // Files that are open are still read; Released says when that is over.
            SessionEvent::Destroyed => {}
            SessionEvent::Released => self.session.promises.released(promise),
            SessionEvent::Ended => return ControlFlow::Break(End::EndedByDaemon),
        }
        ControlFlow::Continue(())
    }

    fn read(&mut self, read: &ReadFrame) -> Flow {
        if self.session.is_closing() {
            return ControlFlow::Break(End::Closed);
        }
        let answer = match self.answer(read) {
            ControlFlow::Continue(answer) => answer,
            ControlFlow::Break(end) => return ControlFlow::Break(end),
        };
        if in_child() {
            return ControlFlow::Break(End::Closed);
        }
        let (status, length) = match answer {
            Ok(length) => (Status::Ok, length),
            Err(status) => (Status::from_provider(status.code()), 0),
        };
        let done = ToDaemon::Done {
            request: read.request,
            epoch: read.epoch,
            status: status.code(),
            length,
        };
        match self.session.channel().send_waiting(&done.encode()) {
            Ok(SendOutcome::Sent) => ControlFlow::Continue(()),
            Ok(SendOutcome::Full | SendOutcome::Closed) => ControlFlow::Break(End::HungUp),
            Err(failure) => faulty(failure.message),
        }
    }

    /// Calls the handler for one read. The slot is free again when this returns, before Done gives
    /// it back to the daemon.
    fn answer(&mut self, read: &ReadFrame) -> ControlFlow<End, Result<u32, Status>> {
        if read.epoch != self.arena.epoch {
            // Nobody could read an answer written into another epoch's arena.
            return ControlFlow::Continue(Err(Status::Io));
        }
        let Some(mut slot) = self.arena.arena.claim(read.slot) else {
            return no_slot(format!("slot {} does not exist or is taken", read.slot));
        };
        let (offset, length) = (read.slot_offset as usize, read.length as usize);
        if offset.saturating_add(length) > slot.capacity() {
            return no_slot(format!(
                "{length} bytes at {offset} are more than slot {} holds",
                read.slot
            ));
        }
        let Some(promise) = self.session.promises.get(read.promise) else {
            return ControlFlow::Continue(Err(Status::NotFound));
        };
        let row = Row(read.row);
        let node_id = promise.image.node_id(row);
        let path = self.path.path_of(&promise.image, row);
        let (Some(node_id), Some(relative_path)) = (node_id, path) else {
            return ControlFlow::Continue(Err(Status::NotFound));
        };
        let request = ReadRequest {
            promise_id: &promise.id,
            node_id,
            relative_path,
            offset: read.offset,
            length,
        };
        let buffer = slot.bytes_mut(offset, length);
        let handler = &self.handler;
        let called = self
            .session
            .calling(|| catch_unwind(AssertUnwindSafe(|| handler.read(&request, buffer))));
        ControlFlow::Continue(match called {
            Ok(Ok(written)) => u32::try_from(written)
                .ok()
                .filter(|written| *written <= read.length)
                .ok_or(Status::Io),
            // A status of success is no error: whoever returns it means nothing by it.
            Ok(Err(Status::Ok)) => Err(Status::Io),
            Ok(Err(status)) => Err(status),
            // The panic is the handler's own, and this read's alone.
            Err(_) => Err(Status::Io),
        })
    }
}

fn faulty(what: String) -> Flow {
    ControlFlow::Break(End::Faulty(what))
}

fn no_slot(what: String) -> ControlFlow<End, Result<u32, Status>> {
    ControlFlow::Break(End::Faulty(what))
}

#[cfg(test)]
mod tests;
