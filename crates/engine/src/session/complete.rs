//! The last two steps of a read: a frame of the provider is checked against what
//! it was asked, and the reader is answered straight out of the slot.

use fuse_promise_core::status::Status;
use fuse_promise_wire::{PROTOCOL_VERSION, ToDaemon};

use super::Session;
use super::in_flight::{Asked, Waiter};
use super::traffic::{Answer, Done, Settled};
use crate::engine::Engine;

impl Engine {
    /// Takes one frame of a provider. An error is why the session is faulty.
    pub(super) fn receive(&self, session: &Session, frame: &[u8; 64]) -> Result<(), String> {
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

    fn done(&self, session: &Session, done: Done) -> Result<(), String> {
        let settled = {
            let mut traffic = session.traffic.lock();
            traffic.note_alive(session.pump.now());
            traffic.settle(done)
        };
        match settled {
            Settled::Answer(asked, answer) => {
                let asked = self.answer(session, asked, answer);
                session.traffic.lock().finish(asked);
            }
            Settled::Continued(outgoing) => {
                if let Some(outgoing) = outgoing {
                    session.send(outgoing);
                }
                return Ok(());
            }
            Settled::Late => {}
            Settled::Faulty(reason) => return Err(reason),
        }
        session.advance();
        Ok(())
    }

    /// Answers the reader; the request comes back so that its slot can be freed.
    fn answer(&self, session: &Session, mut asked: Asked, answer: Answer) -> Asked {
        let Some(waiter) = asked.waiter.take() else {
            return asked;
        };
        let served = match answer {
            Answer::Whole => true,
            Answer::Ended => {
                self.note_end(&waiter, &asked);
                !waiter.cached
            }
            Answer::Failed(_) => false,
        };
        {
            let mut traffic = session.traffic.lock();
            if served {
                traffic.counters.reads += 1;
                traffic.counters.served_bytes += u64::from(asked.got);
            } else {
                traffic.counters.errors += 1;
            }
        }
        match answer {
            Answer::Failed(status) => waiter.reply.error(status.errno()),
            _ if served => waiter.reply.data(asked.slot.bytes(asked.got as usize)),
            // The kernel would take a short READ of a cached file for its new size.
            _ => waiter.reply.error(Status::Io.errno()),
        }
        asked
    }

    /// The content ends before the declared size. Later opens are direct, so that
    /// readers get what there is; pages the kernel has are dropped.
    fn note_end(&self, waiter: &Waiter, asked: &Asked) {
        let row = asked.want.row;
        let end = asked.want.offset + u64::from(asked.got);
        if waiter.promise.note_end(row, end) {
            let declared = waiter.promise.view().row(row);
            let declared = declared.map_or(0, |node| node.attr.size);
            tracing::warn!(
                path = waiter.promise.display_path(row),
                provider = waiter.promise.session.number().0,
                declared,
                end,
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
        self.greeted
            .store(true, std::sync::atomic::Ordering::Release);
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
