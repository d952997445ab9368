//! How sessions begin and end, and what their end means for their promises.

use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{Inode, ProviderNumber, Token};
use fuse_promise_core::limits;
use fuse_promise_core::status::Status;
use fuse_promise_wire::{Channel, SessionEvent, ToProvider};

use super::{Client, ProviderConfig, Registration, Session, Waits};
use crate::engine::Engine;
use crate::observe::EngineEvent;
use crate::promise::Promise;

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum Ending {
    ChannelClosed,
    ProcessEnded,
    /// The provider broke the protocol; the text says how.
    Faulty(String),
    /// The provider said good-bye.
    Unregistered,
    /// The daemon stops.
    Stopping,
}

impl Engine {
    /// Opens a session for a provider.
    ///
    /// # Errors
    /// `Unavailable` when the limit of providers or the system's file descriptors
    /// are used up; nothing changes for those already there.
    pub fn register(&self, client: Client, config: ProviderConfig) -> Result<Registration> {
        check_config(&config)?;
        self.check_room_for_provider()?;
        let number = self.numbers.lock().take_provider()?;
        let waits = Waits {
            read_timeout: self.options.read_timeout,
            answer_poll: self.options.answer_poll,
        };
        let pump = Arc::clone(&self.pump);
        let (session, registration) = Session::open(number, client, config, waits, pump)?;
        let session = Arc::new(session);
        self.write_sessions().insert(number, Arc::clone(&session));
        if let Err(error) = self.pump.watch(&session) {
            self.write_sessions().remove(&number);
            return Err(Failure::unavailable(format!(
                "the provider's channel cannot be watched: {error}"
            )));
        }
        tracing::info!(
            provider = number.0,
            pid = session.pid(),
            program = session.program(),
            "provider registered"
        );
        self.observer.event(EngineEvent::ProviderAdded(number));
        Ok(registration)
    }

    /// Ends a session at its provider's wish: its promises leave the listing, and
    /// reads of files still open fail.
    pub fn unregister(&self, provider: ProviderNumber, token: &Token) -> Result<()> {
        let session = self.session(provider)?;
        session.check_token(token)?;
        self.end_session(&session, Ending::Unregistered);
        // The names are gone for everybody when this returns.
        self.notifier.catch_up();
        Ok(())
    }

    /// The session of this number.
    pub(crate) fn session(&self, provider: ProviderNumber) -> Result<Arc<Session>> {
        let session = self.read_sessions().get(&provider).cloned();
        session.ok_or_else(|| Failure::not_found(format!("there is no provider {}", provider.0)))
    }

    /// A live session and its channel.
    pub(super) fn session_with_channel(
        &self,
        provider: ProviderNumber,
    ) -> Option<(Arc<Session>, Arc<Channel>)> {
        let session = self.read_sessions().get(&provider).cloned()?;
        let channel = session.traffic.lock().channel().cloned()?;
        Some((session, channel))
    }

    /// Ends a session: its readers are answered at once, and its promises are
    /// marked or taken away. One that has ended can still be unregistered.
    pub(crate) fn end_session(&self, session: &Arc<Session>, ending: Ending) {
        let ended = session.traffic.lock().end();
        let number = session.number();
        let Some((link, left)) = ended else {
            if let Ending::Unregistered = ending {
                self.remove_session(number);
            }
            return;
        };
        if let Ending::Unregistered = ending {
            let last_word = ToProvider::Event {
                event: SessionEvent::Ended,
                promise: 0,
                argument: 0,
            };
            // Best effort: the provider learns the same from the call's reply.
            let _ = link.channel.send(&last_word.encode());
        }
        self.pump.unwatch(&*link.channel);
        link.channel.shutdown();
        if let Some(process) = &link.process {
            self.pump.unwatch(process);
        }
        let failed = left.readers.len();
        let failure = session.ended(&ending);
        for (want, waiter) in left.readers {
            waiter.fail(&want, &failure);
        }
        for waiter in left.ahead {
            waiter.reply.error(failure.status);
        }
        self.forget_readers(number);
        self.log_ending(session, &ending, failed);
        match ending {
            Ending::Unregistered => self.remove_session(number),
            Ending::Stopping => {}
            Ending::ChannelClosed | Ending::ProcessEnded | Ending::Faulty(_) => {
                self.lose_provider(number);
            }
        }
    }

    fn log_ending(&self, session: &Session, ending: &Ending, failed: usize) {
        let (provider, program) = (session.number().0, session.program());
        match ending {
            Ending::Faulty(reason) => {
                self.count_faulty_session();
                tracing::warn!(
                    provider,
                    program,
                    failed,
                    "provider session closed: it {reason}"
                );
            }
            Ending::ChannelClosed | Ending::ProcessEnded => {
                tracing::info!(provider, program, failed, "provider gone");
            }
            Ending::Unregistered => tracing::info!(provider, program, "provider unregistered"),
            Ending::Stopping => {}
        }
    }

    /// The provider vanished: its promises stay listed for a while, and every
    /// read of them has the same answer.
    fn lose_provider(&self, number: ProviderNumber) {
        let promises = self.catalog.of_provider(number);
        for promise in &promises {
            if self.lose(promise) {
                self.observer
                    .event(EngineEvent::PromiseChanged(promise.number));
            }
        }
        if promises.is_empty() {
            self.remove_session(number);
            return;
        }
        self.observer.event(EngineEvent::ProviderChanged(number));
        self.pump.linger(number, self.options.linger);
    }

    /// The promise has lost its provider; false if it had before. Files that are held
    /// whole go on. Of the others the kernel's pages go, and what the cache has of
    /// them, or a reader could still get bytes by chance.
    fn lose(&self, promise: &Promise) -> bool {
        if !promise.lose_provider() {
            return false;
        }
        self.keep_whole_files(promise);
        for row in promise.opened_rows() {
            self.notifier.pages_stale(promise.inode(row));
        }
        true
    }

    /// A lost provider's time in the listing is over: its promises go, but those
    /// that need none stay for a longer time of their own.
    pub(super) fn end_lingering(&self, number: ProviderNumber) {
        let session = self.read_sessions().get(&number).cloned();
        let Some(session) = session.filter(|session| session.has_ended()) else {
            return;
        };
        let stays = |promise: &Arc<Promise>| promise.needs_no_provider();
        let promises = self.catalog.of_provider(number);
        if session.first_linger_is_over() && promises.iter().any(stays) {
            for promise in promises.iter().filter(|promise| !stays(promise)) {
                self.unlist(promise);
            }
            let longer = self.options.linger_materialized;
            let longer = longer.saturating_sub(self.options.linger);
            return self.pump.linger(number, longer);
        }
        self.remove_session(number);
    }

    /// A copy of the promise was found changed, or the cache let go of it. A promise that
    /// was listed only because it needed no provider goes, and so does a session with its
    /// last one.
    pub(crate) fn copy_lost(&self, promise: &Promise) {
        let session = &promise.session;
        if !session.is_kept_for_copies() || promise.needs_no_provider() {
            let changed = EngineEvent::PromiseChanged(promise.number);
            return self.observer.event(changed);
        }
        self.unlist(promise);
        if !self.catalog.lists_any_of(session.number()) {
            self.remove_session(session.number());
        }
    }

    /// Takes a session out, and its promises out of the listing.
    fn remove_session(&self, number: ProviderNumber) {
        for promise in self.catalog.of_provider(number) {
            self.unlist(&promise);
        }
        let removed = self.write_sessions().remove(&number);
        if let Some(session) = removed {
            self.keep_counters(&session);
            self.observer.event(EngineEvent::ProviderRemoved(number));
        }
    }

    /// Takes a promise whose provider is gone out of the listing.
    fn unlist(&self, promise: &Promise) {
        if self.catalog.unlist(promise.number).is_none() {
            return;
        }
        self.forget_names(promise);
        let name = promise.number.id().into_bytes();
        self.notifier.entry_gone_later(Inode::ROOT, name);
        self.lose(promise);
        self.observer
            .event(EngineEvent::PromiseRemoved(promise.number));
        self.free_if_unused(promise.number);
    }

    /// One tick of the pump: deadlines, then idle pages. True while ticks are needed.
    pub(super) fn tick(self: &Arc<Self>, now: u64) -> bool {
        let mut needed = false;
        self.note_unwritten();
        for session in self.all_sessions() {
            let overdue = session.traffic.lock().overdue(now, session.patience);
            for request in overdue.requests {
                session.notify(&ToProvider::Cancel { request });
            }
            for waiter in overdue.ahead {
                let (provider, promise) = (session.number().0, waiter.promise.number.id());
                tracing::debug!(provider, promise, "a read ahead was not answered in time");
                waiter.reply.error(Status::Timeout);
            }
            for (want, waiter) in overdue.readers {
                waiter.fail(&want, &session.too_slow());
            }
            // Places in the queue became free.
            session.advance();
            self.resume_ahead(&session);
            needed |= session.traffic.lock().tick_idle(now);
        }
        needed
    }

    /// Whether any session needs ticks now.
    pub(super) fn needs_ticks(&self) -> bool {
        let now = self.pump.now();
        let sessions = self.all_sessions();
        sessions
            .iter()
            .any(|session| session.traffic.lock().tick_idle(now))
    }

    fn check_room_for_provider(&self) -> Result<()> {
        let present = self.read_sessions().len();
        if present < limits::PROVIDERS_MAX {
            return Ok(());
        }
        Err(Failure::unavailable(format!(
            "{present} providers are registered, which is the limit; unregister one first"
        )))
    }
}

impl Session {
    /// Whether the provider owes an answer to anything.
    pub(super) fn owes_answers(&self) -> bool {
        self.traffic.lock().in_flight() > 0
    }

    /// A reader fails with a request that was asked before it came.
    pub(crate) fn count_failure(&self, status: Status) {
        self.traffic.lock().counters.count_failure(status);
    }
}

fn check_config(config: &ProviderConfig) -> Result<()> {
    let concurrent = config.max_concurrent_reads;
    if concurrent == 0 || concurrent > limits::CONCURRENT_READS_MAX {
        return Err(Failure::invalid(format!(
            "max_concurrent_reads is {concurrent}; it must be from 1 to {}",
            limits::CONCURRENT_READS_MAX
        )));
    }
    if config.read_timeout == Some(Duration::ZERO) {
        return Err(Failure::invalid(
            "read_timeout_ms is 0; leave it out to get the daemon's timeout",
        ));
    }
    Ok(())
}
