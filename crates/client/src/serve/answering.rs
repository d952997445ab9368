//! One thread's way with a read: the handler is called with the slot itself as its buffer, then one
//! Done is sent. And with an event: the handler hears it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fuse_promise_core::{Row, Status};
use fuse_promise_wire::{SendOutcome, ToDaemon};

use super::Flow;
use super::intake::{TakenRead, faulty};
use crate::arena::CurrentArena;
use crate::events::Told;
use crate::fork::in_child;
use crate::handler::{ReadHandler, ReadRequest};
use crate::image::PathBuffer;
use crate::session::{End, Session};

/// What a thread answers with, one read after the other.
pub(super) struct Answering<'a> {
    session: &'a Session,
    handler: &'a dyn ReadHandler,
    path: PathBuffer,
}

impl<'a> Answering<'a> {
    pub(super) fn new(session: &'a Session, handler: &'a dyn ReadHandler) -> Self {
        Self {
            session,
            handler,
            path: PathBuffer::default(),
        }
    }

    /// Answers a read into the arena it was taken with, and returns the Done that says so.
    pub(super) fn read(
        &mut self,
        read: &TakenRead,
        arena: &CurrentArena,
    ) -> ControlFlow<End, ToDaemon> {
        let answer = self.answer(read, arena)?;
        if in_child() {
            return ControlFlow::Break(End::Closed);
        }
        let (status, length) = match answer {
            Ok(length) => (Status::Ok, length),
            Err(status) => (Status::from_provider(status.code()), 0),
        };
        ControlFlow::Continue(ToDaemon::Done {
            request: read.frame.request,
            epoch: read.frame.epoch,
            status: status.code(),
            length,
        })
    }

    pub(super) fn send(&self, done: &ToDaemon) -> Flow {
        match self.session.channel().send_waiting(&done.encode()) {
            Ok(SendOutcome::Sent) => ControlFlow::Continue(()),
            Ok(SendOutcome::Full | SendOutcome::Closed) => ControlFlow::Break(End::HungUp),
            Err(failure) => faulty(failure.message),
        }
    }

    /// Has the handler hear an event.
    pub(super) fn tell(&self, told: &Told) -> Flow {
        if self.session.is_closing() {
            return ControlFlow::Break(End::Closed);
        }
        let hear = || self.handler.event(&told.promise_id, told.event);
        // A panic is the handler's own; it has heard what it had to.
        let _ = self
            .session
            .calling(|| catch_unwind(AssertUnwindSafe(hear)));
        if in_child() {
            return ControlFlow::Break(End::Closed);
        }
        self.session.events.heard();
        ControlFlow::Continue(())
    }

    /// Calls the handler for one read. The slot is free again when this returns, before Done gives
    /// it back to the daemon.
    fn answer(
        &mut self,
        read: &TakenRead,
        arena: &CurrentArena,
    ) -> ControlFlow<End, Result<u32, Status>> {
        let frame = &read.frame;
        if frame.epoch != arena.epoch {
            // Nobody could read an answer written into another epoch's arena.
            return ControlFlow::Continue(Err(Status::Io));
        }
        let Some(mut slot) = arena.arena.claim(frame.slot) else {
            return faulty(format!("slot {} does not exist or is taken", frame.slot));
        };
        let (offset, length) = (frame.slot_offset as usize, frame.length as usize);
        if offset.saturating_add(length) > slot.capacity() {
            return faulty(format!(
                "{length} bytes at {offset} are more than slot {} holds",
                frame.slot
            ));
        }
        let Some(promise) = &read.promise else {
            return ControlFlow::Continue(Err(Status::NotFound));
        };
        let row = Row(frame.row);
        let node_id = promise.image.node_id(row);
        let path = self.path.path_of(&promise.image, row);
        let (Some(node_id), Some(relative_path)) = (node_id, path) else {
            return ControlFlow::Continue(Err(Status::NotFound));
        };
        let request = ReadRequest {
            promise_id: &promise.id,
            node_id,
            relative_path,
            offset: frame.offset,
            length,
        };
        let buffer = slot.bytes_mut(offset, length);
        // Past this the call has begun.
        if self.session.is_closing() {
            return ControlFlow::Break(End::Closed);
        }
        let handler = self.handler;
        let called = self
            .session
            .calling(|| catch_unwind(AssertUnwindSafe(|| handler.read(&request, buffer))));
        ControlFlow::Continue(match called {
            Ok(Ok(written)) => u32::try_from(written)
                .ok()
                .filter(|written| *written <= frame.length)
                .ok_or(Status::Io),
            // A status of success is no error: whoever returns it means nothing by it.
            Ok(Err(Status::Ok)) => Err(Status::Io),
            Ok(Err(status)) => Err(status),
            // The panic is the handler's own, and this read's alone.
            Err(_) => Err(Status::Io),
        })
    }
}
