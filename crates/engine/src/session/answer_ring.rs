//! The ring of a session's answers, as the daemon's threads see it: the pump, and the thread that
//! asks for a lone reader.

use std::time::Duration;

use fuse_promise_wire::ring::Overfull;
use fuse_promise_wire::{BusyPoll, FrameBytes, RingTaker};

pub(super) struct AnswerRing {
    taker: RingTaker,
    /// Somebody looks into it.
    awake: bool,
    poll: BusyPoll,
    /// The provider has used it. Until then its answers come through the channel alone.
    used: bool,
}

impl AnswerRing {
    pub(super) fn new(taker: RingTaker, longest_poll: Duration) -> Self {
        Self {
            taker,
            awake: false,
            poll: BusyPoll::new(longest_poll),
            used: false,
        }
    }

    /// Answers may come through the ring; true if that is new.
    pub(super) fn wake(&mut self) -> bool {
        self.taker.wake();
        !std::mem::replace(&mut self.awake, true)
    }

    /// The next answer is looked for by whoever is about to ask; false if that is not to be.
    pub(super) fn begin_poll(&mut self) -> bool {
        let begun = !self.awake && self.poll.is_due();
        if begun {
            self.taker.poll();
            self.awake = true;
        }
        begun
    }

    /// Looks for it until it is there or its time is over.
    pub(super) fn poll(&mut self) {
        let taker = &self.taker;
        self.poll.until(|| !taker.is_empty());
    }

    pub(super) fn take(&mut self) -> Result<Option<FrameBytes>, Overfull> {
        let frame = self.taker.take()?;
        self.used |= frame.is_some();
        Ok(frame)
    }

    /// Answers come through the channel again; false if there is one in the ring still.
    pub(super) fn sleep(&mut self) -> bool {
        self.awake = !self.taker.sleep();
        !self.awake
    }

    pub(super) fn is_used(&self) -> bool {
        self.used
    }
}
