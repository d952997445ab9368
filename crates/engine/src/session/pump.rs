//! The thread that takes what providers say, and keeps the time.
//!
//! It waits in epoll for frames, for room in full channels and for the death of
//! provider processes. While a provider keeps it busy, answers come through that
//! provider's ring without any system call; it looks into all such rings in turn,
//! and says so before it waits again. Time is counted in its own ticks: a tick that comes late
//! counts as one, and before each tick everything that lies in the channels is
//! taken, so that neither a suspended machine nor a stopped daemon fails a read
//! whose answer is already there. While nothing is owed there are no ticks, and
//! the thread sleeps until something happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fuse_promise_core::ids::ProviderNumber;
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{Channel, RecvOutcome};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::Session;
use super::clock::{Clock, Timer};
use super::lifecycle::Ending;
use crate::engine::Engine;
use crate::sync::Mutex;

/// Resolution of all deadlines. They are tens of seconds; a tenth of a second is
/// exact enough and costs nothing while reads are in flight.
const TICK: Duration = Duration::from_millis(100);
/// Ticks that go on after the last need for them, so that a reader who reads now
/// and then does not pay a wake-up of this thread for each read.
const AFTERGLOW: u32 = 10;
/// Frames taken from one provider before the others have a turn.
pub(super) const FRAMES_PER_TURN: usize = 8;
/// Rounds of emptying channels before a tick, or before the end of a dead
/// provider; a bound against those who send faster than they are read.
const ROUNDS_BEFORE_TICK: usize = 64;

/// Events taken from epoll at once.
const EVENTS: usize = 64;

/// A duration in ticks, at least one.
pub(super) fn ticks(duration: Duration) -> u64 {
    let ticks = duration.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
}

/// What an epoll event is about: the low bit tells channel from process, and no
/// provider has the number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Wake,
    Tick,
    Channel(ProviderNumber),
    Process(ProviderNumber),
}

impl Watched {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Watched::Wake => 0,
            Watched::Tick => 1,
            Watched::Channel(ProviderNumber(number)) => number << 1,
            Watched::Process(ProviderNumber(number)) => number << 1 | 1,
        })
    }

    fn of(data: EventData) -> Self {
        match data.u64() {
            0 => Watched::Wake,
            1 => Watched::Tick,
            data if data & 1 == 0 => Watched::Channel(ProviderNumber(data >> 1)),
            data => Watched::Process(ProviderNumber(data >> 1)),
        }
    }
}

/// What the pump's thread has at hand.
struct Round {
    events: Vec<epoll::Event>,
    clock: Clock,
    /// Sessions whose answers come through their rings now.
    awake: Vec<Arc<Session>>,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS),
            clock: Clock::default(),
            awake: Vec::new(),
        }
    }
}

/// What other threads share with the pump's thread.
pub(crate) struct Pump {
    epoll: OwnedFd,
    wake: OwnedFd,
    timer: Timer,
    tick: AtomicU64,
    /// Whether ticks are running; set by whoever makes them needed.
    armed: AtomicBool,
    stopping: AtomicBool,
    /// Sessions that find another thread awake, which has no more time for them.
    handed_over: Mutex<Vec<Arc<Session>>>,
    /// Providers whose promises go away at a time, unless something else ends them.
    lingering: Mutex<BTreeSet<(Instant, ProviderNumber)>>,
}

impl Pump {
    pub(crate) fn new() -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, Watched::Wake.data(), EventFlags::IN)?;
        let timer = Timer::new()?;
        epoll::add(&epoll, &timer, Watched::Tick.data(), EventFlags::IN)?;
        Ok(Self {
            epoll,
            wake,
            timer,
            tick: AtomicU64::new(0),
            armed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            handed_over: Mutex::default(),
            lingering: Mutex::default(),
        })
    }

    /// The present tick.
    pub(crate) fn now(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// Lets ticks run. Called after the request that needs them is in its table.
    pub(crate) fn arm(&self) {
        if !self.armed.load(Ordering::SeqCst) && !self.armed.swap(true, Ordering::SeqCst) {
            self.wake_up();
        }
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake_up();
    }

    fn wake_up(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// From now on this thread is the one that looks into the session's ring.
    pub(super) fn take_over(&self, session: Arc<Session>) {
        self.handed_over.lock().push(session);
        self.wake_up();
    }

    /// After `delay`, the promises of a lost provider go.
    pub(super) fn linger(&self, provider: ProviderNumber, delay: Duration) {
        let at = Instant::now() + delay;
        self.lingering.lock().insert((at, provider));
        self.wake_up();
    }

    pub(super) fn watch(&self, session: &Session) -> std::io::Result<()> {
        let number = session.number();
        let traffic = session.traffic.lock();
        let Some(link) = traffic.link() else {
            return Ok(());
        };
        epoll::add(
            &self.epoll,
            &*link.channel,
            Watched::Channel(number).data(),
            EventFlags::IN,
        )?;
        if let Some(process) = &link.process {
            epoll::add(
                &self.epoll,
                process,
                Watched::Process(number).data(),
                EventFlags::IN,
            )?;
        }
        Ok(())
    }

    pub(super) fn unwatch(&self, fd: impl AsFd) {
        // The descriptor is closed next in any case.
        let _ = epoll::delete(&self.epoll, fd);
    }

    pub(super) fn want_writable(&self, number: ProviderNumber, channel: &Channel, wanted: bool) {
        let flags = if wanted {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let data = Watched::Channel(number).data();
        // Fails only for a session that was ended in the meantime.
        let _ = epoll::modify(&self.epoll, channel, data, flags);
    }

    /// Runs until [`stop`](Self::stop).
    pub(crate) fn run(&self, engine: &Arc<Engine>) {
        let mut round = Round::default();
        while !self.stopping.load(Ordering::SeqCst) {
            if self.armed.load(Ordering::SeqCst) {
                round.clock.start(&self.timer, TICK);
            }
            let timeout = match round.awake.is_empty() {
                true => self.until_expiry(),
                false => Some(Duration::ZERO),
            };
            self.take_events(engine, &mut round, timeout);
            self.take_turns(engine, &mut round);
            if round.clock.is_due() {
                self.settle_channels(engine, &mut round);
                let now = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
                let needed = engine.tick(now);
                self.rearm(engine, &mut round.clock, needed);
            }
            for provider in self.take_expired() {
                engine.end_lingering(provider);
            }
        }
    }

    /// Waits for events and handles each; the number of events handled, without ticks.
    fn take_events(
        &self,
        engine: &Arc<Engine>,
        round: &mut Round,
        timeout: Option<Duration>,
    ) -> usize {
        let Round {
            events,
            clock,
            awake,
        } = round;
        events.clear();
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let buffer = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!("waiting for providers failed: {error}"),
        }
        let mut handled = 0;
        for event in events.iter() {
            // Copies: the event is a packed C struct.
            let (data, flags) = (event.data, event.flags);
            match Watched::of(data) {
                Watched::Tick => clock.note_due(),
                Watched::Wake => {
                    self.take_wake_ups();
                    awake.append(&mut self.handed_over.lock());
                }
                Watched::Channel(number) => {
                    let woken = self.handle_channel(engine, number, flags);
                    awake.extend(woken);
                }
                Watched::Process(number) => self.handle_end(engine, number),
            }
            handled += usize::from(Watched::of(data) != Watched::Tick);
        }
        handled
    }

    /// Takes everything that lies in the channels and rings now.
    fn settle_channels(&self, engine: &Arc<Engine>, round: &mut Round) {
        for _ in 0..ROUNDS_BEFORE_TICK {
            let handled = self.take_events(engine, round, Some(Duration::ZERO));
            self.take_turns(engine, round);
            if handled == 0 && round.awake.is_empty() {
                return;
            }
        }
    }

    /// A turn for each provider that finds the pump awake.
    fn take_turns(&self, engine: &Arc<Engine>, round: &mut Round) {
        let still_awake = |session: &Arc<Session>| engine.take_answers(session);
        round.awake.retain(still_awake);
    }

    fn take_wake_ups(&self) {
        let mut count = [0; 8];
        // Empty if two wake-ups were taken as one.
        let _ = rustix::io::read(&self.wake, &mut count);
    }

    /// The session, if its ring was asleep so far.
    fn handle_channel(
        &self,
        engine: &Arc<Engine>,
        number: ProviderNumber,
        flags: EventFlags,
    ) -> Option<Arc<Session>> {
        let (session, channel) = engine.session_with_channel(number)?;
        if flags.contains(EventFlags::OUT) {
            session.flush(&channel);
        }
        let mut ring = session.ring.lock();
        let (woken, used) = (ring.wake(), ring.is_used());
        drop(ring);
        // Of a provider that uses its ring no second frame is expected here; epoll tells
        // if there is one, and a recv is saved.
        let frames = if used { 1 } else { FRAMES_PER_TURN };
        self.take_frames(engine, &session, &channel, frames);
        woken.then_some(session)
    }

    /// The provider's process has ended. What it said before still counts.
    fn handle_end(&self, engine: &Arc<Engine>, number: ProviderNumber) {
        if let Some((session, channel)) = engine.session_with_channel(number) {
            let all = FRAMES_PER_TURN * ROUNDS_BEFORE_TICK;
            let mut frames = 0..all;
            while frames.next().is_some() && self.take_frame(engine, &session, &channel) {}
            self.take_last_answers(engine, &session);
            engine.end_session(&session, Ending::ProcessEnded);
        }
    }

    /// Takes what lies in the ring of a provider that says nothing more.
    fn take_last_answers(&self, engine: &Arc<Engine>, session: &Arc<Session>) {
        session.ring.lock().wake();
        let mut turns = 0..ROUNDS_BEFORE_TICK;
        while turns.next().is_some() && engine.take_answers(session) {}
    }

    /// Takes so many frames at most, as long as answers are owed.
    fn take_frames(
        &self,
        engine: &Arc<Engine>,
        session: &Arc<Session>,
        channel: &Channel,
        most: usize,
    ) {
        for _ in 0..most {
            if !self.take_frame(engine, session, channel) || !session.owes_answers() {
                return;
            }
        }
    }

    /// Takes one frame; false if there was none, or the session is over.
    fn take_frame(&self, engine: &Arc<Engine>, session: &Arc<Session>, channel: &Channel) -> bool {
        let received = match channel.recv(&mut [0; RECV_LEN]) {
            Ok(RecvOutcome::Frame(frame)) => engine.receive(session, &frame),
            Ok(RecvOutcome::NotAFrame(length)) => {
                Err(format!("sent {length} bytes that are not a frame"))
            }
            Ok(RecvOutcome::Empty) => return false,
            Ok(RecvOutcome::Closed) => {
                self.take_last_answers(engine, session);
                engine.end_session(session, Ending::ChannelClosed);
                return false;
            }
            Err(failure) => Err(format!("has a broken channel: {failure}")),
        };
        if let Err(reason) = received {
            engine.end_session(session, Ending::Faulty(reason));
            return false;
        }
        true
    }

    /// How long to sleep at most: until the next end of a lingering.
    fn until_expiry(&self) -> Option<Duration> {
        let (at, _) = *self.lingering.lock().first()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Goes on ticking while there is need, and a little longer.
    fn rearm(&self, engine: &Arc<Engine>, clock: &mut Clock, needed: bool) {
        clock.restart(&self.timer, TICK);
        clock.quiet = if needed { 0 } else { clock.quiet + 1 };
        if clock.quiet <= AFTERGLOW {
            return;
        }
        self.armed.store(false, Ordering::SeqCst);
        // A request that came between the tick and the store is in its table now.
        if engine.needs_ticks() {
            self.armed.store(true, Ordering::SeqCst);
        } else {
            clock.stop(&self.timer);
        }
        clock.quiet = 0;
    }

    fn take_expired(&self) -> Vec<ProviderNumber> {
        let now = Instant::now();
        let mut expired = Vec::new();
        let mut lingering = self.lingering.lock();
        while lingering.first().is_some_and(|(at, _)| *at <= now) {
            expired.extend(lingering.pop_first().map(|(_, provider)| provider));
        }
        expired
    }
}
