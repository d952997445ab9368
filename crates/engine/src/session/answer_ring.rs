//! The ring of a session's answers, as the pump sees it.

use fuse_promise_wire::ring::Overfull;
use fuse_promise_wire::{FrameBytes, RingTaker};

pub(super) struct AnswerRing {
    taker: RingTaker,
    awake: bool,
    /// The provider has used it. Until then its answers come through the channel alone.
    used: bool,
}

impl AnswerRing {
    pub(super) fn new(taker: RingTaker) -> Self {
        Self {
            taker,
            awake: false,
            used: false,
        }
    }

    /// Answers may come through the ring; true if that is new.
    pub(super) fn wake(&mut self) -> bool {
        self.taker.wake();
        !std::mem::replace(&mut self.awake, true)
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
