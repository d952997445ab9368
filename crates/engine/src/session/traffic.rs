//! The moving parts of one session: slots, owed requests, waiting reads and
//! unsent frames. One lock guards them all; every method is a step that neither
//! sends nor answers, and returns what is to be sent or answered once the lock
//! is released.

use std::collections::VecDeque;
use std::sync::Arc;

use fuse_promise_core::limits;
use fuse_promise_core::status::Status;
use fuse_promise_wire::{
    Channel, FrameBytes, Geometry, Put, ReadFrame, RingPutter, Slot, ToProvider,
};
use rustix::fd::OwnedFd;

use super::in_flight::{Asked, InFlight, Waiter, Want};
use super::outcome::{
    Answer, Counters, Done, Outgoing, Placed, PlacedAhead, Refusal, Settled, Unanswered,
};
use super::queue::{Queue, Queued};
use super::slots::Slots;

/// A queued read may wait this many times the read timeout: a slow provider with
/// many readers is slow, not broken.
const QUEUE_PATIENCE: u64 = 4;

/// Reads that must find nothing owed, one after the other, before the next is taken for a lone
/// reader's: several readers also find that now and then.
const ALONE_AFTER: u32 = 32;

/// Ticks without any request after which the slots' pages are given back.
const IDLE_TICKS: u64 = 30;

pub(crate) struct Traffic {
    epoch: u32,
    /// For as long as the provider is awake.
    ring: RingPutter,
    slots: Slots,
    in_flight: InFlight,
    queue: Queue,
    outbox: VecDeque<Outgoing>,
    /// Requests under way that were asked ahead, and how many may be.
    ahead: u32,
    ahead_max: u32,
    /// Reads until a lone reader is known as one.
    in_company: u32,
    /// Tick of the provider's last sign of life.
    alive_at: u64,
    pub(crate) counters: Counters,
    /// None once the session has ended.
    link: Option<Link>,
}

/// What ties the session to its process; closed when the session ends.
pub(crate) struct Link {
    pub(crate) channel: Arc<Channel>,
    pub(crate) process: Option<OwnedFd>,
}

impl Traffic {
    pub(crate) fn new(
        epoch: u32,
        ring: RingPutter,
        slots: Slots,
        geometry: Geometry,
        ahead_max: u32,
        link: Link,
    ) -> Self {
        Self {
            epoch,
            ring,
            slots,
            in_flight: InFlight::default(),
            queue: Queue::new(geometry.small_len),
            outbox: VecDeque::new(),
            ahead: 0,
            ahead_max,
            in_company: 0,
            alive_at: 0,
            counters: Counters::default(),
            link: Some(link),
        }
    }

    pub(crate) fn channel(&self) -> Option<&Arc<Channel>> {
        self.link.as_ref().map(|link| &link.channel)
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.link.is_none()
    }

    /// Places a new read: into a slot if one is free, else into the queue.
    pub(crate) fn place(&mut self, want: Want, waiter: Waiter, now: u64) -> Placed {
        if self.has_ended() {
            return Placed::Refused(waiter, Refusal::Ended);
        }
        if let Some(slot) = self.slot_for(want.length) {
            let (_, outgoing) = self.send_request(want, waiter, slot, now, false);
            return outgoing.map_or(Placed::Waits, Placed::Send);
        }
        if self.queue.len() >= limits::QUEUED_READS_MAX {
            return Placed::Refused(waiter, Refusal::QueueFull);
        }
        let since = now;
        self.queue.push(Queued {
            want,
            waiter,
            since,
        });
        Placed::Waits
    }

    /// Places a read that nobody waits for yet: only behind no reader, and only so
    /// many that the provider is never idle and readers find it little occupied.
    pub(crate) fn place_ahead(&mut self, want: Want, waiter: Waiter, now: u64) -> PlacedAhead {
        let room = self.has_room_ahead(want.length);
        let Some(slot) = room.then(|| self.slot_for(want.length)).flatten() else {
            return PlacedAhead::NoRoom;
        };
        self.ahead += 1;
        let (request, outgoing) = self.send_request(want, waiter, slot, now, true);
        PlacedAhead::Taken(request, outgoing)
    }

    /// Whether the provider may be asked for one more read ahead.
    pub(crate) fn has_room_ahead(&self, length: u32) -> bool {
        !self.has_ended()
            && self.queue.is_empty()
            && self.ahead < self.ahead_max
            && self.slots.has_free(self.queue.is_small(length))
    }

    /// A slot for a new read. Whoever waits in the same line comes first, and a
    /// short read takes a large slot only while no large read waits for one.
    fn slot_for(&mut self, length: u32) -> Option<Slot> {
        let large_waits = self.queue.has_large();
        match self.queue.is_small(length) {
            true if self.queue.has_small() => None,
            true => self.slots.take_small(!large_waits),
            false if large_waits => None,
            false => self.slots.take_large(),
        }
    }

    /// Moves waiting reads into free slots. None if there is no read or no slot, or
    /// nothing is to be sent: the frame is in the ring, or in the outbox behind others.
    pub(crate) fn advance(&mut self, now: u64) -> Option<Outgoing> {
        while let Some((queued, slot)) = self.next_waiting() {
            let (_, outgoing) = self.send_request(queued.want, queued.waiter, slot, now, false);
            if outgoing.is_some() {
                return outgoing;
            }
        }
        None
    }

    fn next_waiting(&mut self) -> Option<(Queued, Slot)> {
        let spare_large = !self.queue.has_large();
        if self.queue.has_small()
            && let Some(slot) = self.slots.take_small(spare_large)
        {
            return self.queue.pop_small().zip(Some(slot));
        }
        if self.queue.has_large()
            && let Some(slot) = self.slots.take_large()
        {
            return self.queue.pop_large().zip(Some(slot));
        }
        None
    }

    fn send_request(
        &mut self,
        want: Want,
        waiter: Waiter,
        slot: Slot,
        now: u64,
        ahead: bool,
    ) -> (u64, Option<Outgoing>) {
        let request = self.in_flight.insert(Asked {
            want,
            got: 0,
            slot,
            waiter: Some(waiter),
            asked_at: now,
            unsent: false,
            ahead,
        });
        (request, self.outgoing_read(request))
    }

    fn outgoing_read(&mut self, request: u64) -> Option<Outgoing> {
        let epoch = self.epoch;
        let asked = self.in_flight.get_mut(request)?;
        let frame = read_frame(request, epoch, asked).encode();
        let request = Some(request);
        // What waits for room in the channel may have to be known before this.
        if self.outbox.is_empty() {
            match self.ring.put(&frame) {
                Put::Done => return None,
                Put::RingBell => return Some(bell()),
                Put::Not => {}
            }
        } else {
            self.ring.note_elsewhere();
        }
        self.in_turn(Outgoing { frame, request })
    }

    /// A frame goes behind those that already wait for room in the channel.
    pub(crate) fn in_turn(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        if self.outbox.is_empty() {
            return Some(outgoing);
        }
        self.keep_unsent(outgoing);
        None
    }

    /// The channel is full: the frame is sent when there is room again.
    pub(crate) fn keep_unsent(&mut self, outgoing: Outgoing) {
        if self.has_ended() {
            return;
        }
        let asked = outgoing
            .request
            .and_then(|request| self.in_flight.get_mut(request));
        if let Some(asked) = asked {
            asked.unsent = true;
        }
        self.outbox.push_back(outgoing);
    }

    pub(crate) fn first_unsent(&self) -> Option<FrameBytes> {
        self.outbox.front().map(|outgoing| outgoing.frame)
    }

    /// The first frame of the outbox has been sent now.
    pub(crate) fn note_first_sent(&mut self, now: u64) {
        let request = self.outbox.pop_front().and_then(|sent| sent.request);
        if let Some(asked) = request.and_then(|request| self.in_flight.get_mut(request)) {
            // The deadline runs from the moment the frame is sent.
            asked.asked_at = now;
            asked.unsent = false;
        }
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Any frame of the provider restarts its deadlines.
    pub(crate) fn note_alive(&mut self, now: u64) {
        self.alive_at = now;
    }

    /// Checks an answer against what was asked and takes the request out of the
    /// table, unless there is more to come.
    pub(crate) fn settle(&mut self, done: Done) -> Settled {
        if done.epoch != self.epoch {
            return Settled::Late;
        }
        let Some(asked) = self.in_flight.get_mut(done.request) else {
            return Settled::Faulty(format!("answered unknown request {:#x}", done.request));
        };
        let outstanding = asked.want.length - asked.got;
        if done.length > outstanding {
            let (request, length) = (done.request, done.length);
            return Settled::Faulty(format!(
                "answered {length} bytes to request {request:#x}, which asked for {outstanding}"
            ));
        }
        let Some(status) = Status::from_code(done.status) else {
            return Settled::Faulty(format!("answered with undefined status {}", done.status));
        };
        let answer = match status {
            Status::Ok if done.length == outstanding => Answer::Whole,
            Status::Ok if done.length == 0 => Answer::Ended,
            Status::Ok if asked.waiter.is_some() => {
                asked.got += done.length;
                return Settled::Continued(self.outgoing_read(done.request));
            }
            Status::Ok => Answer::Whole,
            _ => Answer::Failed(Status::from_provider(done.status)),
        };
        if answer == Answer::Whole {
            asked.got += done.length;
        }
        let asked = self.in_flight.remove(done.request);
        let asked = asked.expect("the entry was found above under the same lock");
        self.ahead -= u32::from(asked.ahead);
        if let Some(waiter) = &asked.waiter {
            // Nobody's failure yet: readers that joined count their own.
            if !(asked.ahead && matches!(answer, Answer::Failed(_))) {
                self.counters.count(answer, waiter.cached, asked.got);
            }
            return Settled::Answer(asked, answer);
        }
        self.slots.put_back(asked.slot);
        self.counters.late_replies += 1;
        Settled::Late
    }

    /// Frees the slot of a request whose reader has been answered, for the next that
    /// waits.
    pub(crate) fn finish(&mut self, asked: Asked, now: u64) -> Option<Outgoing> {
        self.slots.put_back(asked.slot);
        self.advance(now)
    }

    /// Takes the reader out of a request, which stays owed.
    pub(crate) fn give_up(&mut self, request: u64) -> Option<Waiter> {
        self.in_flight.get_mut(request)?.waiter.take()
    }

    /// Takes out what has waited too long: those whose provider has
    /// shown no sign of life for `patience` ticks, and those that waited four
    /// times as long for a slot or for room in the channel. The requests
    /// themselves stay owed.
    pub(crate) fn overdue(&mut self, now: u64, patience: u64) -> Unanswered {
        let mut overdue = Unanswered::default();
        let queue_patience = patience.saturating_mul(QUEUE_PATIENCE);
        for (request, asked) in self.in_flight.iter_mut() {
            let allowed = if asked.unsent {
                queue_patience
            } else {
                patience
            };
            let since = asked.asked_at.max(self.alive_at);
            if now.saturating_sub(since) >= allowed
                && let Some(waiter) = asked.waiter.take()
            {
                overdue.add(asked.want, waiter, asked.ahead);
                overdue.requests.push(request);
            }
        }
        if let Some(oldest) = now.checked_sub(queue_patience) {
            let queued = self.queue.take_since(oldest);
            for queued in queued {
                overdue.add(queued.want, queued.waiter, false);
            }
        }
        for _ in &overdue.readers {
            self.counters.count_failure(Status::Timeout);
        }
        overdue
    }

    /// Gives pages back once nothing has been asked for a while. True while there
    /// is something left that needs ticks.
    pub(crate) fn tick_idle(&mut self, now: u64) -> bool {
        if self.has_ended() {
            return false;
        }
        if !self.in_flight.is_empty() || !self.queue.is_empty() {
            return true;
        }
        if now.saturating_sub(self.alive_at) >= IDLE_TICKS {
            self.slots.give_back_pages();
        }
        self.slots.has_pages()
    }

    /// Ends the session: nothing is sent any more, and every reader is handed
    /// out to be told. None if it had ended before.
    pub(crate) fn end(&mut self) -> Option<(Link, Unanswered)> {
        let link = self.link.take()?;
        self.outbox.clear();
        let mut left = Unanswered::default();
        for queued in self.queue.drain() {
            left.add(queued.want, queued.waiter, false);
        }
        for asked in self.in_flight.drain() {
            if let Some(waiter) = asked.waiter {
                left.add(asked.want, waiter, asked.ahead);
            }
            self.slots.put_back(asked.slot);
        }
        self.slots.give_back_pages();
        self.counters.errors += left.readers.len() as u64;
        Some((link, left))
    }

    /// Whether the read that is about to be placed is a lone reader's, as far as can be told.
    pub(crate) fn note_read(&mut self) -> bool {
        if self.in_flight.is_empty() {
            self.in_company = self.in_company.saturating_sub(1);
        } else {
            self.in_company = ALONE_AFTER;
        }
        self.in_company == 0
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.len() as u64
    }

    pub(crate) fn queued(&self) -> u64 {
        self.queue.len() as u64
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.outbox.len() as u64
    }

    pub(crate) fn slots_in_use(&self) -> u64 {
        u64::from(self.slots.in_use())
    }
}

fn bell() -> Outgoing {
    Outgoing {
        frame: ToProvider::Bell.encode(),
        request: None,
    }
}

fn read_frame(request: u64, epoch: u32, asked: &Asked) -> ToProvider {
    ToProvider::Read(ReadFrame {
        request,
        epoch,
        promise: asked.want.promise,
        row: asked.want.row.0,
        offset: asked.want.offset + u64::from(asked.got),
        length: asked.want.length - asked.got,
        slot: asked.slot.index(),
        slot_offset: asked.got,
        pid: 0,
        tid: asked.want.tid,
    })
}
