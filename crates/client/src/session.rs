//! One registered session: its channel, its promises, and how far its threads have come.
//!
//! Its threads, all named "fp-provider", read the channel and call the handler: one, or as many as
//! the provider allows reads at a time (`serve`). Everyone else can shut the channel down and wait
//! for them. A session ends once, when the last of its threads leaves; a provider whose session
//! ended gets a new one.

use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fuse_promise_core::{Failure, PromiseNumber, ProviderNumber, Result, Token};
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{
    Channel, PROTOCOL_VERSION, RecvOutcome, SendOutcome, ToDaemon, ToProvider,
};

use crate::arena::CurrentArena;
use crate::events::Events;
use crate::fork::Listed;
use crate::handler::ReadHandler;
use crate::promises::Promises;
use crate::readiness::{is_hung_up, readable_within};
use crate::registration::Registered;
use crate::serve::Serving;
use crate::threads;

thread_local! {
    /// The provider whose handler this thread is calling; 0 for none.
    static CALLING: Cell<u64> = const { Cell::new(0) };
    /// The promises of that provider's session.
    static SERVING: RefCell<Option<Arc<Promises>>> = const { RefCell::new(None) };
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// We closed it.
    Closed,
    /// The daemon said that it is over.
    EndedByDaemon,
    /// The daemon is gone, or let go of us.
    HungUp,
    /// The daemon sent what makes no sense; with what it was.
    Faulty(String),
}

pub(crate) struct Session {
    pub(crate) number: ProviderNumber,
    pub(crate) token: Token,
    /// Tells the provider's threads from those of others; the same over all its sessions.
    provider: u64,
    pub(crate) promises: Arc<Promises>,
    pub(crate) events: Events,
    /// No handler is called any more.
    closing: AtomicBool,
    /// Requests whose readers have gone. They are answered all the same.
    cancelled: AtomicU64,
    end: Mutex<Option<End>>,
    ended: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
    // Before the channel, which closes the descriptor it lists.
    _listed: Listed,
    channel: Channel,
}

impl Session {
    /// Completes the registration: the hello each way, the arena, the first thread. No more than
    /// `at_once` callbacks run at a time. `previous` is the provider's session before; callbacks of
    /// it may still run, and the new thread lets them finish first.
    pub(crate) fn open(
        registered: Registered,
        provider: u64,
        handler: Arc<dyn ReadHandler>,
        at_once: u32,
        previous: Option<Arc<Session>>,
        patience: Duration,
    ) -> Result<Arc<Self>> {
        let channel = Channel::from_fd(registered.channel)?;
        let listed = Listed::descriptor(&channel.as_fd());
        let hello = first_frame(&channel, patience)?;
        let arena = CurrentArena::greeted(hello, registered.arena)?;
        say_hello(&channel)?;
        let session = Arc::new(Self {
            number: registered.number,
            token: registered.token,
            provider,
            promises: Arc::default(),
            events: Events::default(),
            closing: AtomicBool::new(false),
            cancelled: AtomicU64::new(0),
            end: Mutex::new(None),
            ended: Condvar::new(),
            threads: Mutex::default(),
            _listed: listed,
            channel,
        });
        let mut serving = Serving::new(Arc::clone(&session), arena, handler, at_once);
        session.start_thread(move || {
            if let Some(previous) = previous {
                previous.wait_until_ended();
            }
            serving.run();
        })?;
        Ok(session)
    }

    /// Starts a thread that serves the session. Only one that has not left may start another.
    pub(crate) fn start_thread(&self, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = threads::spawn("fp-provider", body)?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether it ended, or is about to: the daemon has closed its end.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.end).is_some() || is_hung_up(&self.channel)
    }

    /// Asks the threads to end: no handler call begins after this, and the channel is dead.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.channel.shutdown();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn note_cancel(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls the handler, so that this thread is known to be inside it.
    pub(crate) fn calling<T>(&self, handler: impl FnOnce() -> T) -> T {
        CALLING.set(self.provider);
        SERVING.replace(Some(Arc::clone(&self.promises)));
        let output = handler();
        SERVING.replace(None);
        CALLING.set(0);
        output
    }

    /// Waits until the threads have ended: the last handler call has returned. From inside a call
    /// nothing is waited for, other calls neither, since one of them may be doing the same; the
    /// answer is false then.
    pub(crate) fn wait_until_ended(&self) -> bool {
        if is_calling(self.provider) {
            return false;
        }
        let mut end = lock(&self.end);
        while end.is_none() {
            end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
        drop(end);
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // Its body catches what a handler throws.
            let _ = thread.join();
        }
        true
    }

    #[cfg(test)]
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.end).clone()
    }

    #[cfg(test)]
    pub(crate) fn thread_count(&self) -> usize {
        lock(&self.threads).len()
    }

    /// The last thread has left.
    pub(crate) fn finish(&self, end: End) {
        self.channel.shutdown();
        self.promises.clear();
        let end = if self.is_closing() { End::Closed } else { end };
        *lock(&self.end) = Some(end);
        self.ended.notify_all();
    }
}

/// Whether this thread is inside a handler call of the provider.
pub(crate) fn is_calling(provider: u64) -> bool {
    CALLING.get() == provider
}

/// Whether this thread is inside a handler call of the promise's provider: its bytes may not be
/// had before that call returns.
pub(crate) fn is_serving(promise: PromiseNumber) -> bool {
    SERVING.with_borrow(|promises| {
        let promises = promises.as_ref();
        promises.is_some_and(|promises| promises.get(promise.0).is_some())
    })
}

fn first_frame(channel: &Channel, patience: Duration) -> Result<ToProvider> {
    match readable_within(channel, patience) {
        Ok(true) => {}
        Ok(false) => return Err(Failure::timeout("fuse-promised does not begin the session")),
        Err(errno) => return Err(Failure::io(format!("wait for the session: {errno}"))),
    }
    let mut packet = [0; RECV_LEN];
    match channel.recv(&mut packet)? {
        RecvOutcome::Frame(frame) => ToProvider::decode(&frame)
            .map_err(|error| Failure::io(format!("fuse-promised began with {error}"))),
        RecvOutcome::NotAFrame(length) => Err(Failure::io(format!(
            "fuse-promised began with a packet of {length} bytes"
        ))),
        RecvOutcome::Empty | RecvOutcome::Closed => Err(Failure::unavailable(
            "fuse-promised ended the session as it began",
        )),
    }
}

fn say_hello(channel: &Channel) -> Result<()> {
    let hello = ToDaemon::Hello {
        protocol: PROTOCOL_VERSION,
    };
    match channel.send(&hello.encode())? {
        SendOutcome::Sent => Ok(()),
        SendOutcome::Full | SendOutcome::Closed => Err(Failure::unavailable(
            "fuse-promised ended the session as it began",
        )),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
