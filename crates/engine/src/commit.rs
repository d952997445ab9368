//! Commit: the boundary where a built tree becomes visible. Everything is checked
//! before anything changes, and the provider hears of the promise before its
//! first reader can.

use std::collections::VecDeque;
use std::sync::Arc;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{Inode, PromiseNumber, ProviderNumber, Row, Token};
use fuse_promise_core::words::CachePolicy;
use fuse_promise_wire::{MappedImage, SessionEvent, ToProvider};
use rustix::fd::OwnedFd;

use crate::engine::Engine;
use crate::expiry::check_not_expired;
use crate::observe::EngineEvent;
use crate::promise::Promise;
use crate::session::Session;

/// What the provider says about a commit besides the image.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommitOptions {
    /// Chosen by the client; comes back in the Committed event.
    pub commit_id: u64,
    /// Overrides the daemon's policy for this promise.
    pub cache_policy: Option<CachePolicy>,
    /// Bytes the caller has for the promise's path with its NUL; a commit whose
    /// path does not fit is refused.
    pub path_capacity: Option<u64>,
    /// The call has no effect from this moment on; CLOCK_MONOTONIC in nanoseconds.
    pub expires: Option<u64>,
}

/// Commits a session remembers by their ids. A client repeats a commit only while
/// it waits for its answer, so the last few are enough.
const REMEMBERED: usize = 64;

/// The promises of a session's last commits by the client's ids; 0 is no id.
#[derive(Debug, Default)]
pub(crate) struct RecentCommits(VecDeque<(u64, PromiseNumber)>);

impl RecentCommits {
    fn find(&self, commit_id: u64) -> Option<PromiseNumber> {
        let mut commits = self.0.iter();
        let found = commits.find(|(id, _)| *id == commit_id && commit_id != 0);
        found.map(|(_, number)| *number)
    }

    fn keep(&mut self, commit_id: u64, number: PromiseNumber) {
        self.0.push_front((commit_id, number));
        self.0.truncate(REMEMBERED);
    }
}

impl Engine {
    /// Takes a sealed image and makes it visible as the next promise.
    ///
    /// # Errors
    /// `Permission` for a wrong token, `InvalidArgument` for a bad image or a path
    /// that does not fit, `Unavailable` at a limit, `ProviderGone` when the session
    /// has ended, `Timeout` for a commit that has expired. Nothing has changed then.
    pub fn commit(
        &self,
        provider: ProviderNumber,
        token: &Token,
        image: OwnedFd,
        options: CommitOptions,
    ) -> Result<PromiseNumber> {
        let session = self.live_session(provider, token)?;
        // One commit of a provider at a time, though the check of a large image
        // takes a while; others are not held up: a client that lost the answer sends
        // the same again, perhaps while the first is still being checked.
        let mut commits = session.commits.lock();
        if let Some(number) = commits.find(options.commit_id) {
            self.check_path_fits(number, options.path_capacity)?;
            return Ok(number);
        }
        let image = MappedImage::open(image)?;
        let charge = session.account.charge(image.len() as u64)?;
        let image = self.segments.place(image)?;
        let number = self.take_number(&options)?;
        let policy = options.cache_policy.unwrap_or(self.options.cache_policy);
        let store = &self.cache.store;
        let promise = Promise::new(number, Arc::clone(&session), policy, store, image, charge);
        if policy == CachePolicy::Keep {
            self.keep_for_good(number);
        }
        self.publish(&session, promise, options.commit_id);
        // The session may have ended before the promise was in the catalog, and
        // then nobody else has marked it.
        if session.has_ended() {
            self.withdraw(number);
            return Err(gone(provider));
        }
        commits.keep(options.commit_id, number);
        Ok(number)
    }

    /// The session of a provider that shows its token, unless it has ended.
    pub(crate) fn live_session(
        &self,
        provider: ProviderNumber,
        token: &Token,
    ) -> Result<Arc<Session>> {
        let session = self.session(provider)?;
        session.check_token(token)?;
        match session.has_ended() {
            true => Err(gone(provider)),
            false => Ok(session),
        }
    }

    /// Destroys a promise: it leaves the listing at once, open files go on to be
    /// served while their provider lives.
    pub fn destroy(&self, number: PromiseNumber) -> Result<()> {
        // Kept open until the end, so that Released cannot come before Destroyed.
        let held = self.catalog.get_and_count_open(number);
        let held = held.ok_or_else(|| not_listed(number))?;
        let destroyed = self.destroy_listed(number);
        self.count_release(&held);
        destroyed
    }

    fn destroy_listed(&self, number: PromiseNumber) -> Result<()> {
        let promise = self.catalog.unlist(number);
        let promise = promise.ok_or_else(|| not_listed(number))?;
        promise.destroy();
        promise.session.notify(&ToProvider::Event {
            event: SessionEvent::Destroyed,
            promise: number.0,
            argument: 0,
        });
        self.forget_names(&promise);
        let name = number.id().into_bytes();
        self.notifier.entry_gone(Inode::ROOT, name);
        self.observer.event(EngineEvent::PromiseRemoved(number));
        Ok(())
    }

    /// Takes from the kernel the names that are in use inside a promise. The others go
    /// with the promise's own.
    pub(crate) fn forget_names(&self, promise: &Promise) {
        let view = promise.view();
        let in_use = promise.names_in_use();
        let forget = |row: Row| {
            if let Some(node) = view.row(row) {
                let parent = promise.inode(node.parent);
                self.notifier.entry_gone_later(parent, node.name.to_vec());
            }
        };
        // For a name of a directory the kernel waits until nobody is being answered about
        // that directory, so answers of before are among what it forgets afterwards.
        for directory in std::iter::once(&Row(0)).chain(&in_use) {
            if let Some(first) = view.children(*directory).next() {
                forget(Row(first));
            }
        }
        in_use.into_iter().for_each(forget);
    }

    /// The image of a promise, sealed, as the provider could commit it again.
    pub fn image(&self, number: PromiseNumber) -> Result<OwnedFd> {
        let promise = self.catalog.listed(number);
        let promise = promise.ok_or_else(|| not_listed(number))?;
        promise.image_fd()
    }

    /// Frees an unlisted promise once nobody has it open, and tells its provider
    /// that no more reads will come.
    pub(crate) fn free_if_unused(&self, number: PromiseNumber) {
        let Some(promise) = self.catalog.get(number) else {
            return;
        };
        if self.catalog.free_if_unused(number) {
            self.cache.store.remove_promise(number);
            promise.session.notify(&ToProvider::Event {
                event: SessionEvent::Released,
                promise: number.0,
                argument: 0,
            });
        }
    }

    fn take_number(&self, options: &CommitOptions) -> Result<PromiseNumber> {
        let mut numbers = self.numbers.lock();
        self.check_path_fits(numbers.peek_promise()?, options.path_capacity)?;
        check_not_expired("the commit", options.expires)?;
        numbers.take_promise()
    }

    fn check_path_fits(&self, number: PromiseNumber, capacity: Option<u64>) -> Result<()> {
        let path = self.promise_path(number);
        let needed = path.as_os_str().len() as u64 + 1;
        match capacity {
            Some(capacity) if needed > capacity => Err(Failure::invalid(format!(
                "the path {} needs {needed} bytes with its NUL, the buffer has {capacity}",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    fn publish(&self, session: &Session, promise: Promise, commit_id: u64) {
        let number = promise.number;
        // Through the same channel as the reads, and so before any of them.
        session.notify(&ToProvider::Event {
            event: SessionEvent::Committed,
            promise: number.0,
            argument: commit_id,
        });
        let nodes = promise.view().node_count();
        self.catalog.insert(Arc::new(promise));
        self.notifier.attributes_stale(Inode::ROOT);
        tracing::info!(
            promise = number.id(),
            provider = session.number().0,
            nodes,
            "promise committed"
        );
        self.observer.event(EngineEvent::PromiseAdded(number));
    }

    fn withdraw(&self, number: PromiseNumber) {
        if self.catalog.unlist(number).is_some() {
            let name = number.id().into_bytes();
            self.notifier.entry_gone_later(Inode::ROOT, name);
            self.observer.event(EngineEvent::PromiseRemoved(number));
            self.free_if_unused(number);
        }
    }
}

fn gone(provider: ProviderNumber) -> Failure {
    Failure::provider_gone(format!("the session of provider {} has ended", provider.0))
}

fn not_listed(number: PromiseNumber) -> Failure {
    Failure::not_found(format!("there is no promise {}", number.id()))
}
