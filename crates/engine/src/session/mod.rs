//! A provider session: the process that answers for its promises, the channel to
//! it, and the memory both share. It lives as long as its channel and the process
//! that registered it.

mod answer_ring;
mod asking_thread;
mod clock;
mod complete;
mod failed;
mod in_flight;
mod lifecycle;
mod outcome;
mod pump;
mod queue;
mod slot_answer;
mod slots;
#[cfg(test)]
mod tests;
mod traffic;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{ProviderNumber, Token};
use fuse_promise_core::limits;
use fuse_promise_core::words::ProviderState;
use fuse_promise_wire::descriptors::{Newcomer, check_room};
use fuse_promise_wire::{
    Arena, Channel, Direction, Geometry, PROTOCOL_VERSION, SendOutcome, ToProvider,
};
use rustix::fd::OwnedFd;

use crate::account::Account;
use crate::commit::RecentCommits;
use crate::sync::Mutex;
use answer_ring::AnswerRing;
pub(crate) use failed::early_end;
pub(crate) use in_flight::{Waiter, Want};
pub(crate) use lifecycle::Ending;
pub(crate) use outcome::Counters;
use outcome::{Outgoing, PlacedAhead};
pub(crate) use pump::Pump;
pub use slot_answer::SlotAnswer;
use slots::Slots;
pub(crate) use slots::{LARGE_AHEAD, LARGE_LEN};
use traffic::{Link, Traffic};

/// Who registers a provider, as the transport vouches for it.
#[derive(Debug)]
pub struct Client {
    pub pid: u32,
    pub uid: u32,
    /// What to show for it; the name of the program.
    pub program: String,
    /// Becomes readable when the process ends; None where it cannot be had.
    pub process: Option<OwnedFd>,
}

/// What a provider chose when it registered.
#[derive(Debug, Clone, Copy)]
pub struct ProviderConfig {
    /// Read callbacks it runs at a time.
    pub max_concurrent_reads: u32,
    /// Its own read timeout instead of the daemon's.
    pub read_timeout: Option<Duration>,
}

impl Default for ProviderConfig {
    /// As every 1.0 provider: one read at a time, the daemon's timeout.
    fn default() -> Self {
        Self {
            max_concurrent_reads: 1,
            read_timeout: None,
        }
    }
}

/// What a registered provider gets.
#[derive(Debug)]
pub struct Registration {
    pub provider: ProviderNumber,
    pub token: Token,
    pub channel: OwnedFd,
    pub arena: OwnedFd,
}

/// How the daemon waits for answers, unless a provider chose otherwise.
#[derive(Debug, Clone, Copy)]
struct Waits {
    read_timeout: Duration,
    /// The longest look of a thread that asks for a lone reader.
    answer_poll: Duration,
}

impl Waits {
    /// A provider with several threads answers through the channel alone: there is nothing to look
    /// at.
    fn poll_for(&self, config: &ProviderConfig) -> Duration {
        if config.max_concurrent_reads > 1 {
            Duration::ZERO
        } else {
            self.answer_poll
        }
    }
}

/// Frames of this daemon to a session that was never resumed.
const FIRST_EPOCH: u32 = 1;

pub(crate) struct Session {
    number: ProviderNumber,
    token: Token,
    pid: u32,
    uid: u32,
    program: String,
    /// Deadline of a request, in ticks.
    patience: u64,
    /// Its lost promises have been sorted into those that go and those that stay.
    sorted: AtomicBool,
    /// Large reads it can have under way at a time.
    reads_at_once: u32,
    /// The provider's Hello named our protocol version.
    greeted: AtomicBool,
    pump: Arc<Pump>,
    /// Answers of a provider that finds the pump awake.
    ring: Mutex<AnswerRing>,
    /// Something was to be asked ahead, and there was no room for it.
    ahead_waits: AtomicBool,
    /// The last commits, so that one that is sent again happens once.
    pub(crate) commits: Mutex<RecentCommits>,
    /// What its promises hold.
    pub(crate) account: Arc<Account>,
    traffic: Mutex<Traffic>,
}

impl Session {
    /// Makes channel and arena, and sends the daemon's Hello.
    fn open(
        number: ProviderNumber,
        client: Client,
        config: ProviderConfig,
        waits: Waits,
        pump: Arc<Pump>,
    ) -> Result<(Session, Registration)> {
        let geometry = slots::geometry(config.max_concurrent_reads);
        let (arena, arena_fd) = Arena::create(geometry)?;
        let (channel, provider_end) = Channel::pair()?;
        check_room(Newcomer::Guest, &channel)?;
        let hello = ToProvider::Hello {
            protocol: PROTOCOL_VERSION,
            epoch: FIRST_EPOCH,
            geometry,
        };
        if channel.send(&hello.encode())? != SendOutcome::Sent {
            return Err(Failure::unavailable(
                "a fresh provider channel takes no frame; the system is out of socket memory",
            ));
        }
        let token = Token(fresh_token()?);
        let registration = Registration {
            provider: number,
            token,
            channel: provider_end.into_fd(),
            arena: arena_fd,
        };
        let link = Link {
            channel: Arc::new(channel),
            process: client.process,
        };
        let (putter, taker) = (
            arena.putter(Direction::ToProvider),
            arena.taker(Direction::ToDaemon),
        );
        let slots = Slots::new(arena, geometry);
        let timeout = config.read_timeout.unwrap_or(waits.read_timeout);
        let session = Session {
            number,
            token,
            pid: client.pid,
            uid: client.uid,
            program: client.program,
            patience: pump::ticks(timeout),
            sorted: AtomicBool::new(false),
            reads_at_once: slots::reads_at_once(config.max_concurrent_reads),
            greeted: AtomicBool::new(false),
            pump,
            ahead_waits: AtomicBool::new(false),
            ring: Mutex::new(AnswerRing::new(taker, waits.poll_for(&config))),
            commits: Mutex::default(),
            account: Arc::default(),
            traffic: Mutex::new(Traffic::new(
                FIRST_EPOCH,
                putter,
                slots,
                geometry,
                ahead_at_once(config.max_concurrent_reads, geometry),
                link,
            )),
        };
        Ok((session, registration))
    }

    pub(crate) fn number(&self) -> ProviderNumber {
        self.number
    }

    /// True the first time the lingering of its promises ends.
    fn first_linger_is_over(&self) -> bool {
        !self.sorted.swap(true, Ordering::AcqRel)
    }

    /// Whether a promise of it is listed only for the sake of its copy.
    fn is_kept_for_copies(&self) -> bool {
        self.has_ended() && self.sorted.load(Ordering::Acquire)
    }

    pub(crate) fn reads_at_once(&self) -> u32 {
        self.reads_at_once
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.traffic.lock().has_ended()
    }

    pub(crate) fn state(&self) -> ProviderState {
        if self.has_ended() {
            ProviderState::Disconnected
        } else {
            ProviderState::Live
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.traffic.lock().counters
    }

    /// Owed requests, queued reads, slots in use, unsent frames.
    pub(crate) fn load(&self) -> [u64; 4] {
        let traffic = self.traffic.lock();
        [
            traffic.in_flight(),
            traffic.queued(),
            traffic.slots_in_use(),
            traffic.unsent(),
        ]
    }

    /// Refuses a caller who does not hold the session's secret.
    pub(crate) fn check_token(&self, token: &Token) -> Result<()> {
        if self.token == *token {
            return Ok(());
        }
        Err(Failure::permission(format!(
            "the token is not that of provider {}",
            self.number.0
        )))
    }

    /// Sends a read to the provider or queues it. On refusal the reader comes
    /// back, to be told why.
    pub(crate) fn request(
        &self,
        want: Want,
        waiter: Waiter,
    ) -> std::result::Result<(), (Waiter, Failure)> {
        self.request_since(want, waiter, self.now())
    }

    /// Sends a read that nobody waits for yet, if the provider has room for it; the
    /// request's number.
    pub(crate) fn request_ahead(&self, want: Want, waiter: Waiter) -> Option<u64> {
        let now = self.pump.now();
        let placed = self.traffic.lock().place_ahead(want, waiter, now);
        let PlacedAhead::Taken(request, outgoing) = placed else {
            return None;
        };
        self.pump.arm();
        if let Some(outgoing) = outgoing {
            self.send(outgoing);
        }
        Some(request)
    }

    /// Whether [`request_ahead`](Self::request_ahead) would send so much more now.
    pub(crate) fn has_room_ahead(&self, length: u32) -> bool {
        self.traffic.lock().has_room_ahead(length)
    }

    /// A read ahead has found no room: it is taken up again when there is some.
    pub(crate) fn note_ahead_waits(&self) {
        self.ahead_waits.store(true, Ordering::SeqCst);
    }

    /// Nobody wants the answer of a request any more. False if it was answered already.
    pub(crate) fn cancel(&self, request: u64) -> bool {
        // Dropped without the lock: it may be the last to hold its promise.
        let waiter = self.traffic.lock().give_up(request);
        if waiter.is_some() {
            self.notify(&ToProvider::Cancel { request });
        }
        waiter.is_some()
    }

    /// Tells the provider something, behind the frames already on their way. One that has left
    /// too many of them unread is told nothing more. (Reads need no such look: each has a slot.)
    pub(crate) fn notify(&self, frame: &ToProvider) {
        let outgoing = Outgoing {
            frame: frame.encode(),
            request: None,
        };
        let mut traffic = self.traffic.lock();
        if traffic.unsent() >= limits::UNSENT_FRAMES_MAX as u64
            && let Some(channel) = traffic.channel().cloned()
        {
            drop(traffic);
            let failure = Failure::unavailable(format!(
                "{} frames wait to be read already, which is the limit; the session is ended",
                limits::UNSENT_FRAMES_MAX
            ));
            return self.break_off(&channel, &failure);
        }
        let outgoing = traffic.in_turn(outgoing);
        drop(traffic);
        if let Some(outgoing) = outgoing {
            self.send(outgoing);
        }
    }

    /// Sends one frame without waiting. A full channel keeps it for later; a
    /// closed one is noticed by the pump, which ends the session.
    fn send(&self, outgoing: Outgoing) {
        let channel = self.traffic.lock().channel().cloned();
        self.send_through(channel, outgoing);
    }

    /// None for the channel of a session that has ended.
    fn send_through(&self, channel: Option<Arc<Channel>>, outgoing: Outgoing) {
        let Some(channel) = channel else { return };
        match channel.send(&outgoing.frame) {
            Ok(SendOutcome::Sent | SendOutcome::Closed) => {}
            Ok(SendOutcome::Full) => {
                self.traffic.lock().keep_unsent(outgoing);
                self.pump.want_writable(self.number, &channel, true);
            }
            Err(failure) => self.break_off(&channel, &failure),
        }
    }

    /// The channel has room again: sends what waited.
    fn flush(&self, channel: &Channel) {
        loop {
            let now = self.pump.now();
            let Some(frame) = self.traffic.lock().first_unsent() else {
                return self.rest(channel);
            };
            // The frame stays first in the outbox until it is sent, or a frame of
            // another thread could overtake it.
            match channel.send(&frame) {
                Ok(SendOutcome::Sent) => self.traffic.lock().note_first_sent(now),
                Ok(SendOutcome::Full | SendOutcome::Closed) => return,
                Err(failure) => return self.break_off(channel, &failure),
            }
        }
    }

    /// A frame was lost (out of socket memory, say), and with it the order of
    /// things. The pump sees the end of the channel and ends the session.
    fn break_off(&self, channel: &Channel, failure: &Failure) {
        tracing::warn!(
            provider = self.number.0,
            "the provider's channel: {failure}"
        );
        channel.shutdown();
    }

    /// Stops waiting for room, unless a frame was kept in the meantime.
    fn rest(&self, channel: &Channel) {
        self.pump.want_writable(self.number, channel, false);
        if self.traffic.lock().has_unsent() {
            self.pump.want_writable(self.number, channel, true);
        }
    }

    fn greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }
}

/// Reads ahead of readers that a provider with so many callbacks is asked for at a
/// time: one more than it works on, so that it finds the next when it ends one.
/// A reader finds a slot at any rate.
fn ahead_at_once(concurrent: u32, geometry: Geometry) -> u32 {
    let slots = geometry.large_count.saturating_sub(1);
    concurrent.saturating_add(1).min(slots)
}

fn fresh_token() -> Result<[u8; 32]> {
    let mut token = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    match rustix::rand::getrandom(&mut token[..], flags) {
        Ok(32) => Ok(token),
        _ => Err(Failure::unavailable("the system gives no random numbers")),
    }
}
