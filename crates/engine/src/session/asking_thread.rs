//! Answers that the thread which asks takes itself, so that nobody has to be woken for them.
//!
//! A read whose provider owes nothing else is a lone reader's. The thread that asks looks for its
//! answer for a moment, and the provider, who sees that, looks for the next read. Otherwise the
//! provider would have to wake the pump and be woken itself: together half of the time of a short
//! read. Of several readers, a thread that looked in vain would only take the processor; there it
//! takes what lies in the ring already, before it asks the kernel for the next read.

use std::sync::Arc;

use super::Session;
use super::answer_ring::AnswerRing;
use super::lifecycle::Ending;
use crate::engine::Engine;
use crate::open::HANDLE_STORE;
use crate::read::{ReadReply, ReadRequest};
use crate::sync::MutexGuard;

/// Answers that a thread takes on its way to the next read.
const IN_PASSING: usize = 4;

impl Engine {
    /// As [`read`](Self::read), by a thread that can be spared for some microseconds.
    pub fn read_and_poll(self: &Arc<Self>, request: ReadRequest, reply: Box<dyn ReadReply>) {
        let Some(planned) = self.plan_read(request, reply) else {
            return;
        };
        let session = Arc::clone(&planned.promise.session);
        // What lies in the store is answered at once, and what does not is asked ahead of.
        let direct = planned.request.handle & HANDLE_STORE == 0;
        // Held while asking, so that nobody else takes the answer. The order is ring, then traffic.
        let ring = direct.then(|| session.begin_poll()).flatten();
        self.read_node(planned.request, planned.promise, planned.row, planned.reply);
        match ring {
            Some(ring) => self.poll(&session, ring),
            None if direct => self.take_answers_in_passing(&session),
            None => {}
        }
    }

    fn poll(self: &Arc<Self>, session: &Arc<Session>, mut ring: MutexGuard<'_, AnswerRing>) {
        if session.owes_answers() {
            ring.poll();
        }
        drop(ring);
        if self.take_answers(session) {
            session.pump.take_over(Arc::clone(session));
        }
    }

    /// Whoever keeps the ring awake finds what is left there, and what was wrong with it.
    fn take_answers_in_passing(self: &Arc<Self>, session: &Arc<Session>) {
        // Its Hello comes through the channel, and counts before any answer.
        if !session.greeted() {
            return;
        }
        for _ in 0..IN_PASSING {
            let taken = session.ring.try_lock().map(|mut ring| ring.take());
            let Some(Ok(Some(frame))) = taken else {
                return;
            };
            if let Err(reason) = self.receive(session, &frame) {
                return self.end_session(session, Ending::Faulty(reason));
            }
        }
    }
}

impl Session {
    /// The ring for the thread that is about to ask for a lone reader, whose answer comes into it.
    fn begin_poll(&self) -> Option<MutexGuard<'_, AnswerRing>> {
        if !self.traffic.lock().note_read() || !self.greeted() {
            return None;
        }
        let mut ring = self.ring.try_lock()?;
        ring.begin_poll().then_some(ring)
    }
}
