//! The frames of a channel in their order: what is no read is carried out as it is taken, and a
//! read is handed on with what it needs of that order.
//!
//! A promise is known before its first read, a new arena is there before the first read of its
//! epoch, and a promise that is released, or an arena that is replaced, lives on in the reads that
//! were taken before.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::{PromiseNumber, Result};
use fuse_promise_wire::busy_poll::longest_here;
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{
    BusyPoll, Direction, FrameBytes, Put, ReadFrame, RecvOutcome, RingPutter, RingTaker,
    SessionEvent, ToProvider,
};

use super::Flow;
use crate::arena::CurrentArena;
use crate::fork::ParentOnly;
use crate::promises::KnownPromise;
use crate::readiness::readable_within;
use crate::session::{End, Session};

/// Room for one packet.
pub(super) type Packet = [u8; RECV_LEN];

/// Frames from the ring after which the channel has a turn.
const IN_A_ROW: u32 = 64;

/// How long to look for the next request of a lone reader. One that reads 128 KiB at a time comes
/// back after 30 to 40 µs, most of them the kernel's copy (docs/performance.md).
const REQUEST_POLL: Duration = Duration::from_micros(50);

/// How a frame came.
#[derive(Clone, Copy)]
enum Way {
    Channel,
    Ring,
}

/// Both rings of the arena.
struct Rings {
    requests: RingTaker,
    answers: RingPutter,
    /// Reads that came through the channel.
    from_channel: u64,
    /// The daemon looked for the last answer as for one of a lone reader, who is likely to ask
    /// for more.
    asked_alone: bool,
    poll: BusyPoll,
}

impl Rings {
    fn of(arena: &CurrentArena) -> Self {
        Self {
            requests: arena.arena.taker(Direction::ToProvider),
            answers: arena.arena.putter(Direction::ToDaemon),
            from_channel: 0,
            asked_alone: false,
            poll: BusyPoll::new(longest_here(REQUEST_POLL)),
        }
    }

    /// Looks for a request of a lone reader; false if there is none so soon.
    fn poll(&mut self) -> bool {
        let chance = std::mem::take(&mut self.asked_alone);
        chance && self.poll.is_due() && self.poll.until(|| !self.requests.is_empty())
    }
}

pub(super) struct Intake {
    session: Arc<Session>,
    arena: Arc<ParentOnly<CurrentArena>>,
    /// For a thread that serves alone; several would not know which of them is awake.
    rings: Option<Rings>,
    /// Frames taken from the ring without a look into the channel.
    in_a_row: u32,
    /// A read that came through the ring, of a promise that may be told of in the channel still.
    early: Option<ReadFrame>,
    /// A hello whose memory comes with the next packet: to receive a packet without a descriptor,
    /// as nearly all are, costs less.
    greeting: Option<ToProvider>,
}

/// A read, and the promise it is of as of its place among the frames.
pub(super) struct TakenRead {
    pub(super) frame: ReadFrame,
    pub(super) promise: Option<KnownPromise>,
}

impl Intake {
    pub(super) fn new(session: Arc<Session>, arena: CurrentArena) -> Self {
        Self {
            session,
            arena: Arc::new(ParentOnly::new(arena)),
            rings: None,
            in_a_row: 0,
            early: None,
            greeting: None,
        }
    }

    /// As [`new`](Self::new), for a thread that takes all frames itself: they may come through
    /// the ring as long as it is awake.
    pub(super) fn with_rings(session: Arc<Session>, arena: CurrentArena) -> Self {
        let rings = Some(Rings::of(&arena));
        Self {
            rings,
            ..Self::new(session, arena)
        }
    }

    /// The arena of the reads that are taken now.
    pub(super) fn arena(&self) -> &Arc<ParentOnly<CurrentArena>> {
        &self.arena
    }

    /// Waits for the next packet and takes it.
    pub(super) fn take_waiting(
        &mut self,
        packet: &mut Packet,
    ) -> ControlFlow<End, Option<TakenRead>> {
        if let Some(hello) = self.greeting.take() {
            return self.renew(hello, packet);
        }
        if let Some(early) = self.early {
            let received = self.session.channel().recv(packet);
            if !matches!(received, Ok(RecvOutcome::Empty)) {
                return self.take(received);
            }
            self.early = None;
            return ControlFlow::Continue(Some(self.with_promise(early)));
        }
        if let Some((frame, way)) = self.take_awake(packet)? {
            return self.carry_out(&frame, way);
        }
        let received = self.session.channel().recv_waiting(packet);
        if let Some(rings) = &mut self.rings {
            rings.requests.wake();
        }
        self.take(received)
    }

    /// The next frame that needs no waiting. From the moment on in which there is none, the daemon
    /// knows that this thread sleeps.
    fn take_awake(&mut self, packet: &mut Packet) -> ControlFlow<End, Option<(FrameBytes, Way)>> {
        let Some(rings) = &mut self.rings else {
            return ControlFlow::Continue(None);
        };
        // Reads keep their order: those that were sent while this thread slept come first.
        let earlier = rings.requests.sent_elsewhere() > rings.from_channel;
        if earlier || self.in_a_row >= IN_A_ROW {
            self.in_a_row = 0;
            // Anything but a frame shows again when this thread waits.
            if let Ok(RecvOutcome::Frame(frame)) = self.session.channel().recv(packet) {
                rings.requests.wake();
                return ControlFlow::Continue(Some((frame, Way::Channel)));
            }
        }
        loop {
            match rings.requests.take() {
                Ok(Some(frame)) => {
                    self.in_a_row += 1;
                    return ControlFlow::Continue(Some((frame, Way::Ring)));
                }
                Ok(None) if rings.poll() => {}
                Ok(None) if rings.requests.sleep() => {
                    self.in_a_row = 0;
                    return ControlFlow::Continue(None);
                }
                Ok(None) => {}
                Err(overfull) => return faulty(format!("the daemon {overfull}")),
            }
        }
    }

    /// Puts an answer where an awake daemon finds it.
    pub(super) fn put_answer(&mut self, frame: &FrameBytes) -> Put {
        match &mut self.rings {
            Some(rings) => {
                let put = rings.answers.put(frame);
                rings.asked_alone = put == Put::Done && rings.answers.is_polled();
                put
            }
            None => Put::Not,
        }
    }

    fn with_promise(&self, frame: ReadFrame) -> TakenRead {
        let promise = self.session.promises.get(frame.promise);
        TakenRead { frame, promise }
    }

    /// Takes the next packet if there is one.
    pub(super) fn take_ready(
        &mut self,
        packet: &mut Packet,
    ) -> ControlFlow<End, Option<TakenRead>> {
        let channel = self.session.channel();
        if self.greeting.is_none() {
            let received = channel.recv(packet);
            return self.take(received);
        }
        // What is there stays there, for nobody else receives meanwhile.
        let ready = readable_within(channel, Duration::ZERO) != Ok(false);
        match self.greeting.take_if(|_| ready) {
            Some(hello) => self.renew(hello, packet),
            None => ControlFlow::Continue(None),
        }
    }

    fn take(&mut self, received: Result<RecvOutcome>) -> ControlFlow<End, Option<TakenRead>> {
        let frame = match received {
            Ok(RecvOutcome::Frame(frame)) => frame,
            Ok(RecvOutcome::NotAFrame(length)) => {
                return faulty(format!("a packet of {length} bytes is no frame"));
            }
            Ok(RecvOutcome::Empty) => return ControlFlow::Continue(None),
            Ok(RecvOutcome::Closed) => return ControlFlow::Break(End::HungUp),
            Err(failure) => return faulty(failure.message),
        };
        self.carry_out(&frame, Way::Channel)
    }

    fn carry_out(&mut self, frame: &FrameBytes, way: Way) -> ControlFlow<End, Option<TakenRead>> {
        match ToProvider::decode(frame) {
            Ok(ToProvider::Read(frame)) => {
                if let (Some(rings), Way::Channel) = (&mut self.rings, way) {
                    rings.from_channel += 1;
                }
                let read = self.with_promise(frame);
                if read.promise.is_some() || self.rings.is_none() || self.early.is_some() {
                    return ControlFlow::Continue(Some(read));
                }
                self.early = Some(frame);
            }
            // Whoever receives it looks into the ring.
            Ok(ToProvider::Bell) => {}
            Ok(hello @ ToProvider::Hello { .. }) => self.greeting = Some(hello),
            Ok(ToProvider::Cancel { .. }) => self.session.note_cancel(),
            Ok(ToProvider::Event {
                event,
                promise,
                argument,
            }) => self.event(event, PromiseNumber(promise), argument)?,
            Err(error) => return faulty(error.to_string()),
        }
        ControlFlow::Continue(None)
    }

    /// A new arena under a new epoch.
    fn renew(
        &mut self,
        hello: ToProvider,
        packet: &mut Packet,
    ) -> ControlFlow<End, Option<TakenRead>> {
        let memory = match self.session.channel().recv_waiting_with_fd(packet) {
            Ok((_, Some(memory))) => memory,
            Ok((RecvOutcome::Closed, None)) => return ControlFlow::Break(End::HungUp),
            Ok((_, None)) => return faulty("a hello without an arena".to_owned()),
            Err(failure) => return faulty(failure.message),
        };
        match CurrentArena::greeted(hello, memory) {
            Ok(arena) => {
                if self.rings.is_some() {
                    self.rings = Some(Rings::of(&arena));
                }
                self.arena = Arc::new(ParentOnly::new(arena));
                ControlFlow::Continue(None)
            }
            Err(failure) => faulty(failure.message),
        }
    }

    fn event(&self, event: SessionEvent, promise: PromiseNumber, argument: u64) -> Flow {
        match event {
            SessionEvent::Committed => self.session.promises.committed(argument, promise),
            // Files that are open are still read; Released says when that is over.
            SessionEvent::Destroyed => self.session.events.destroyed(promise),
            SessionEvent::Released => {
                if let Some(known) = self.session.promises.released(promise) {
                    self.session.events.released(promise, &known);
                }
            }
            SessionEvent::Ended => return ControlFlow::Break(End::EndedByDaemon),
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn faulty<T>(what: String) -> ControlFlow<End, T> {
    ControlFlow::Break(End::Faulty(what))
}
