//! The provider's side of a read: decode the frame, call the handler with the slot itself as its
//! buffer, send one Done. What the daemon says of promises goes to the handler as well.
//!
//! A provider that is asked for one read at a time is served by one thread, which waits for a
//! frame, carries it out and waits for the next. One that allows more is served by a pool. Nothing
//! the daemon sends makes this panic. What cannot be meant ends the session, with the reason kept;
//! a read of something we do not know is answered with the status that says so.

mod answering;
mod intake;
mod pool;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{Put, ToDaemon};

use crate::arena::CurrentArena;
use crate::fork::{ParentOnly, in_child};
use crate::handler::ReadHandler;
use crate::session::{End, Session};
use answering::Answering;
use intake::Intake;
use pool::Pool;

type Flow = ControlFlow<End>;

/// What the first thread of a session works with.
pub(crate) enum Serving {
    Alone(Box<ParentOnly<Alone>>),
    Pool(Arc<ParentOnly<Pool>>),
}

impl Serving {
    /// For a handler that may be called `at_once` times at a time.
    pub(crate) fn new(
        session: Arc<Session>,
        arena: CurrentArena,
        handler: Arc<dyn ReadHandler>,
        at_once: u32,
    ) -> Self {
        if at_once > 1 {
            let intake = Intake::new(Arc::clone(&session), arena);
            return Self::Pool(Pool::new(session, intake, handler, at_once));
        }
        let intake = Intake::with_rings(Arc::clone(&session), arena);
        Self::Alone(Box::new(ParentOnly::new(Alone {
            session,
            intake,
            handler,
        })))
    }

    /// Serves until the session ends. A pool's last thread to leave ends it, which need not be
    /// this one.
    pub(crate) fn run(&mut self) {
        match self {
            Self::Alone(alone) => alone.run(),
            Self::Pool(pool) => pool::run(pool),
        }
    }
}

/// One thread that receives, answers and receives again.
pub(crate) struct Alone {
    session: Arc<Session>,
    intake: Intake,
    handler: Arc<dyn ReadHandler>,
}

impl Alone {
    fn run(&mut self) {
        let ControlFlow::Break(end) = self.serve();
        // A handler that forked goes on as the child's only thread; the session is not the child's.
        if !in_child() {
            self.session.finish(end);
        }
    }

    fn serve(&mut self) -> ControlFlow<End, Infallible> {
        let mut answering = Answering::new(&self.session, &*self.handler);
        let mut packet = [0; RECV_LEN];
        loop {
            if let Some(read) = self.intake.take_waiting(&mut packet)? {
                let done = answering.read(&read, self.intake.arena())?;
                let frame = done.encode();
                match self.intake.put_answer(&frame) {
                    Put::Done => {}
                    Put::RingBell => answering.send(&ToDaemon::Bell)?,
                    Put::Not => answering.send(&done)?,
                }
            }
            while let Some(told) = self.session.events.next() {
                answering.tell(&told)?;
            }
        }
    }
}

#[cfg(test)]
mod tests;
