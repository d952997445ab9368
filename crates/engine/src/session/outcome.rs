//! What a step of a session's traffic comes to: a frame to send, a reader to
//! answer, or the reason why neither is possible.

use fuse_promise_core::status::Status;
use fuse_promise_wire::FrameBytes;

use super::in_flight::{Asked, Waiter, Want};

/// A frame for the provider, and the request it asks for if it is a Read.
pub(crate) struct Outgoing {
    pub(crate) frame: FrameBytes,
    pub(crate) request: Option<u64>,
}

/// What a provider said about one request, as decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) request: u64,
    pub(crate) epoch: u32,
    pub(crate) status: u32,
    pub(crate) length: u32,
}

/// What became of a request by a Done.
pub(crate) enum Settled {
    /// All that was asked for, or the file's real end, or an error: answer it.
    Answer(Asked, Answer),
    /// A short answer: the rest has been asked for.
    Continued(Option<Outgoing>),
    /// Nobody waited any more; the slot is free again.
    Late,
    /// The frame cannot be an answer of an honest provider.
    Faulty(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Whole,
    /// The content ends before the declared size.
    Ended,
    Failed(Status),
}

/// Where a new read went.
pub(crate) enum Placed {
    Send(Outgoing),
    /// In the queue, or its frame in the ring or the outbox.
    Waits,
    /// The session has ended, or its queue is full.
    Refused(Waiter, Refusal),
}

/// Where a read went that nobody waits for yet.
pub(crate) enum PlacedAhead {
    /// The request's number, and its frame unless that is in the ring or the outbox.
    Taken(u64, Option<Outgoing>),
    /// The provider has enough to do.
    NoRoom,
}

/// Whom the provider has not answered: those who have waited too long, or all of them at the end
/// of the session.
#[derive(Default)]
pub(crate) struct Unanswered {
    pub(crate) readers: Vec<(Want, Waiter)>,
    /// Of requests that were asked ahead: no reader, unless one joined meanwhile.
    pub(crate) ahead: Vec<Waiter>,
    /// The requests that are still owed.
    pub(crate) requests: Vec<u64>,
}

impl Unanswered {
    pub(super) fn add(&mut self, want: Want, waiter: Waiter, ahead: bool) {
        if ahead {
            self.ahead.push(waiter);
        } else {
            self.readers.push((want, waiter));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Ended,
    QueueFull,
}

/// Counters since the session began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) reads: u64,
    pub(crate) served_bytes: u64,
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) late_replies: u64,
}

impl Counters {
    /// Counts a reader that fails without an answer of its own.
    pub(crate) fn count_failure(&mut self, status: Status) {
        self.errors += 1;
        self.timeouts += u64::from(status == Status::Timeout);
    }

    /// Counts what a reader gets. One whose pages the kernel keeps gets no short answer.
    pub(crate) fn count(&mut self, answer: Answer, cached: bool, bytes: u32) {
        match answer {
            Answer::Ended if cached => self.errors += 1,
            Answer::Failed(_) => self.errors += 1,
            Answer::Whole | Answer::Ended => {
                self.reads += 1;
                self.served_bytes += u64::from(bytes);
            }
        }
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.served_bytes += other.served_bytes;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.late_replies += other.late_replies;
    }
}
