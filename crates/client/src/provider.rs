//! A provider: its handler, and the session in which it is asked.
//!
//! The handle outlives sessions. When the daemon was stopped and started again the session is
//! over, and the next call that needs one registers anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use fuse_promise_core::{Failure, ProviderNumber, Result, Status};

use crate::context::Context;
use crate::fork::{ParentOnly, in_child};
use crate::handler::ReadHandler;
use crate::registration::{ProviderOptions, register, unregister};
use crate::route::Start;
use crate::session::Session;

/// Tells providers of this process apart; 0 is no provider.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A registered provider. Dropping it unregisters it.
pub struct Provider {
    shared: Arc<ParentOnly<Shared>>,
}

/// What the handle, its builders and its context share.
pub(crate) struct Shared {
    id: u64,
    context: Context,
    handler: Arc<dyn ReadHandler>,
    options: ProviderOptions,
    state: Mutex<State>,
    changed: Condvar,
}

/// One try to register, and its outcome once it has one.
type Attempt = Arc<OnceLock<Result<Arc<Session>>>>;

enum State {
    Registered(Arc<Session>),
    /// Some thread is registering. The others wait for it and take its outcome: a daemon that does
    /// not answer would let each of them wait in turn.
    Registering(Attempt),
    /// With the last session, as long as handler calls of it may still run.
    Unregistered(Option<Arc<Session>>),
}

impl Provider {
    pub(crate) fn register(
        context: &Context,
        handler: Arc<dyn ReadHandler>,
        options: ProviderOptions,
    ) -> Result<Self> {
        let shared = Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            context: context.clone(),
            handler,
            options,
            state: Mutex::new(State::Registering(Attempt::default())),
            changed: Condvar::new(),
        };
        let session = shared.new_session(None)?;
        shared.set(State::Registered(session));
        let provider = Self {
            shared: Arc::new(ParentOnly::new(shared)),
        };
        // A context that was closed meanwhile lets go of it again.
        context.adopt(&provider.shared)?;
        Ok(provider)
    }

    /// Ends the provider: its promises leave the listing, and no handler call begins any more.
    /// Waits for the calls that are running, unless it is made from inside one of them: then it
    /// waits for none, and the others end after it. Doing it again does nothing.
    pub fn unregister(&self) {
        if !in_child() {
            self.shared.unregister(&mut Farewell::default());
        }
    }

    /// Waits until the present session is over: the provider was unregistered, or the daemon has
    /// gone or let go of it.
    pub fn wait_until_over(&self) {
        let session = if in_child() {
            None
        } else {
            self.shared.last_session()
        };
        if let Some(session) = session {
            session.wait_until_ended();
        }
    }

    /// The number the daemon knows the provider by at present.
    pub fn number(&self) -> Result<ProviderNumber> {
        crate::fork::refuse_in_child()?;
        match &*self.shared.lock() {
            State::Registered(session) => Ok(session.number),
            State::Registering(_) => Err(Failure::unavailable("the provider is being registered")),
            State::Unregistered(_) => Err(unregistered()),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<ParentOnly<Shared>> {
        &self.shared
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.unregister();
    }
}

/// What is told to the daemon when providers end. A daemon that did not answer one of them is not
/// waited for again; it learns the rest from the channels.
#[derive(Default)]
pub(crate) struct Farewell {
    silent: bool,
}

impl Shared {
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The session to commit in; a new one if the last has ended.
    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        let mut state = self.lock();
        let ended = match &*state {
            State::Unregistered(_) => return Err(unregistered()),
            State::Registering(attempt) => {
                let attempt = Arc::clone(attempt);
                return self.outcome(state, &attempt);
            }
            State::Registered(session) if !session.is_over() => return Ok(Arc::clone(session)),
            State::Registered(session) => Arc::clone(session),
        };
        let attempt = Attempt::default();
        *state = State::Registering(Arc::clone(&attempt));
        drop(state);
        ended.close();
        let renewed = self.new_session(Some(Arc::clone(&ended)));
        let outcome = attempt.get_or_init(|| renewed);
        let session = outcome.as_ref().unwrap_or(&ended);
        self.set(State::Registered(Arc::clone(session)));
        outcome.clone()
    }

    /// The session in which promises of the provider may live; none is begun.
    pub(crate) fn present_session(&self) -> Result<Arc<Session>> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Registered(session) => return Ok(Arc::clone(session)),
                State::Registering(_) => state = self.wait(state),
                State::Unregistered(_) => return Err(unregistered()),
            }
        }
    }

    fn outcome(&self, mut state: MutexGuard<'_, State>, attempt: &Attempt) -> Result<Arc<Session>> {
        loop {
            if let Some(outcome) = attempt.get() {
                return outcome.clone();
            }
            state = self.wait(state);
        }
    }

    /// `None` if its last handler call has returned.
    fn last_session(&self) -> Option<Arc<Session>> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Registering(_) => state = self.wait(state),
                State::Registered(session) => return Some(Arc::clone(session)),
                State::Unregistered(session) => return session.clone(),
            }
        }
    }

    fn new_session(&self, previous: Option<Arc<Session>>) -> Result<Arc<Session>> {
        let options = self.options.clone();
        let registered = self.context.control(move |link| async move {
            link.call_started(|daemon| {
                let options = options.clone();
                async move { register(&daemon, &options).await }
            })
            .await
        })?;
        Session::open(
            registered,
            self.id,
            Arc::clone(&self.handler),
            // As the daemon decides when nothing was said.
            self.options.max_concurrent_reads.unwrap_or(1),
            previous,
            self.context.limit(),
        )
    }

    pub(crate) fn unregister(&self, farewell: &mut Farewell) {
        let mut state = self.lock();
        let (session, first) = loop {
            match &*state {
                State::Registering(_) => state = self.wait(state),
                State::Registered(session) => break (Arc::clone(session), true),
                State::Unregistered(Some(session)) => break (Arc::clone(session), false),
                State::Unregistered(None) => return,
            }
        };
        *state = State::Unregistered(Some(Arc::clone(&session)));
        drop(state);
        if first {
            self.say_goodbye(&session, farewell);
            session.close();
            // Nobody is then between looking and waiting.
            drop(self.lock());
            self.changed.notify_all();
        } else {
            // Inside a call nothing else would keep the next one from beginning after this.
            let mut state = self.lock();
            while !session.is_closing() {
                state = self.wait(state);
            }
        }
        if session.wait_until_ended() {
            *self.lock() = State::Unregistered(None);
        }
    }

    /// Best effort: closing the channel ends the session as well, only less politely.
    fn say_goodbye(&self, session: &Arc<Session>, farewell: &mut Farewell) {
        if farewell.silent || session.is_over() {
            return;
        }
        let (number, token) = (session.number, session.token);
        let said = self.context.control(move |link| async move {
            link.call(Start::Never, |daemon| async move {
                unregister(&daemon, number, &token).await
            })
            .await
        });
        farewell.silent = said.is_err_and(|failure| failure.status == Status::Timeout);
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unregistered() -> Failure {
    Failure::provider_gone("the provider was unregistered")
}

#[cfg(test)]
mod tests;
