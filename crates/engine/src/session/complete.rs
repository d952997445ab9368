//! The last two steps of a read: a frame of the provider is checked against what
//! it was asked, and the reader is answered straight out of the slot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuse_promise_wire::{PROTOCOL_VERSION, ToDaemon};

use super::Session;
use super::failed::early_end;
use super::in_flight::{Asked, Waiter};
use super::lifecycle::Ending;
use super::outcome::{Answer, Done, Settled};
use super::pump::FRAMES_PER_TURN;
use super::slot_answer::SlotAnswer;
use crate::engine::Engine;

impl Engine {
    /// Takes a turn's worth of answers from the ring; false once there are none and
    /// the next comes through the channel.
    pub(super) fn take_answers(self: &Arc<Self>, session: &Arc<Session>) -> bool {
        for _ in 0..FRAMES_PER_TURN {
            let mut ring = session.ring.lock();
            let taken = match ring.take() {
                Ok(None) if ring.sleep() => return false,
                taken => taken,
            };
            drop(ring);
            let received = match taken {
                Ok(Some(frame)) => self.receive(session, &frame),
                Ok(None) => Ok(()),
                Err(overfull) => Err(overfull.to_string()),
            };
            if let Err(reason) = received {
                self.end_session(session, Ending::Faulty(reason));
                return false;
            }
        }
        !session.has_ended()
    }

    /// Takes one frame of a provider. An error is why the session is faulty.
    pub(super) fn receive(
        self: &Arc<Self>,
        session: &Arc<Session>,
        frame: &[u8; 64],
    ) -> Result<(), String> {
        let frame = ToDaemon::decode(frame).map_err(|error| error.to_string())?;
        match frame {
            ToDaemon::Hello { protocol } if protocol == PROTOCOL_VERSION => {
                session.greet();
                Ok(())
            }
            ToDaemon::Hello { protocol } => Err(format!(
                "speaks channel protocol {protocol}, this daemon speaks {PROTOCOL_VERSION}"
            )),
            _ if !session.greeted() => Err("sent a frame before its Hello".into()),
            ToDaemon::Alive { .. } => {
                session.traffic.lock().note_alive(session.pump.now());
                Ok(())
            }
            // Whoever receives it looks into the ring.
            ToDaemon::Bell => Ok(()),
            ToDaemon::Done {
                request,
                epoch,
                status,
                length,
            } => self.done(
                session,
                Done {
                    request,
                    epoch,
                    status,
                    length,
                },
            ),
        }
    }

    fn done(self: &Arc<Self>, session: &Arc<Session>, done: Done) -> Result<(), String> {
        let settled = {
            let mut traffic = session.traffic.lock();
            traffic.note_alive(session.pump.now());
            traffic.settle(done)
        };
        match settled {
            Settled::Answer(asked, answer) => self.answer(session, asked, answer),
            Settled::Continued(Some(outgoing)) => session.send(outgoing),
            Settled::Continued(None) => {}
            Settled::Late => {
                session.advance();
                self.resume_ahead(session);
            }
            Settled::Faulty(reason) => return Err(reason),
        }
        Ok(())
    }

    /// Answers the reader. The slot is free again once the reader is done with it.
    fn answer(self: &Arc<Self>, session: &Arc<Session>, mut asked: Asked, answer: Answer) {
        let (want, ahead) = (asked.want, asked.ahead);
        let waiter = asked.waiter.take();
        let answered = SlotAnswer::new(session, asked);
        let Some(waiter) = waiter else { return };
        let refused = match answer {
            Answer::Whole => None,
            Answer::Ended => {
                self.note_end(&waiter, &answered);
                // The kernel would take a short READ of a cached file for its new size.
                waiter.cached.then(early_end)
            }
            Answer::Failed(status) => Some(session.refused(status)),
        };
        match refused {
            None => {
                let length = answered.bytes().len() as u32;
                waiter.promise.history.note_answer(length);
                waiter.reply.answer(answered);
            }
            Some(failure) if ahead => {
                // Nobody's failure yet: readers that joined note their own.
                waiter.reply.error(failure.status);
                drop(answered);
            }
            Some(failure) => {
                waiter.fail(&want, &failure);
                drop(answered);
            }
        }
        self.resume_ahead(session);
    }

    /// Takes up what was to be asked ahead and found no room: a request that has come
    /// back may have left some, whoever it was for.
    pub(super) fn resume_ahead(self: &Arc<Self>, session: &Arc<Session>) {
        let waits = &session.ahead_waits;
        if waits.load(Ordering::SeqCst) && waits.swap(false, Ordering::SeqCst) {
            self.prefetch(session.number());
        }
    }

    /// The content ends before the declared size. Later opens are direct, so that
    /// readers get what there is; pages the kernel has are dropped.
    fn note_end(&self, waiter: &Waiter, answered: &SlotAnswer) {
        let (row, end) = answered.ends_at();
        if waiter.promise.note_early_end(row) {
            let declared = waiter.promise.view().row(row);
            let declared = declared.map_or(0, |node| node.attr.size);
            tracing::warn!(
                path = waiter.promise.display_path(row),
                provider = waiter.promise.session.number().0,
                declared,
                at_most = end,
                "the provider's content ends before the declared size"
            );
        }
        if waiter.cached {
            self.notifier.pages_stale(waiter.promise.inode(row));
        }
    }
}

impl Session {
    fn greet(&self) {
        self.greeted.store(true, Ordering::Release);
    }

    /// Sends waiting reads for which there is a slot now.
    pub(super) fn advance(&self) {
        loop {
            let now = self.pump.now();
            let outgoing = self.traffic.lock().advance(now);
            match outgoing {
                Some(outgoing) => self.send(outgoing),
                None => return,
            }
        }
    }
}
