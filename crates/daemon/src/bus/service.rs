//! What the objects of all connections share: the daemon they speak for, the way to its events,
//! and the rule that nothing long runs on the bus thread.
//!
//! The service ends in two steps. First calls are refused and those that wait are answered, then
//! the connections are closed.

use std::sync::Arc;

use fuse_promise_core::failure::{Failure, Result};
use tokio::sync::watch;

use super::calls::{Asker, Call, Calls};
use super::events::Events;
use super::listing::ListingThreads;
use crate::daemon::Daemon;

/// How far the service is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Serving,
    /// No new call begins, no new connection is let in.
    Refusing,
    /// Connections close.
    Closing,
}

pub struct Service {
    pub daemon: Arc<Daemon>,
    pub events: Events,
    pub listings: ListingThreads,
    stage: watch::Sender<Stage>,
    calls: Calls,
}

impl Service {
    pub fn new(daemon: Arc<Daemon>, events: Events) -> Self {
        Self {
            daemon,
            events,
            listings: ListingThreads::default(),
            stage: watch::Sender::new(Stage::Serving),
            calls: Calls::default(),
        }
    }

    /// Begins a call, unless the daemon is about to end. Connections stay open for calls that are
    /// held.
    pub fn begin(&self, asker: Asker) -> Result<Call<'_>> {
        let call = self.calls.begin(asker);
        if *self.stage.borrow() != Stage::Serving {
            return Err(stopping());
        }
        call
    }

    /// Does work that may take long on a thread that may wait, so that other callers are served
    /// meanwhile. If the daemon ends first the caller is told so; the work itself goes on.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Daemon) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let daemon = Arc::clone(&self.daemon);
        let work = tokio::task::spawn_blocking(move || work(&daemon));
        tokio::select! {
            done = work => done.unwrap_or_else(|error| {
                Err(Failure::unavailable(format!("the call was not finished: {error}")))
            }),
            () = self.reaches(Stage::Refusing) => Err(stopping()),
        }
    }

    /// Returns once the service is at this stage or past it.
    pub async fn reaches(&self, stage: Stage) {
        let mut watched = self.stage.subscribe();
        // The sender lives as long as we do, so the only outcome is that the stage is reached.
        let _ = watched.wait_for(|now| *now >= stage).await;
    }

    /// Goes on to a later stage.
    pub fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let later = stage > *now;
            *now = stage.max(*now);
            later
        });
    }

    /// Returns when every call that had begun has been answered.
    pub async fn all_answered(&self) {
        self.calls.all_ended().await;
    }
}

fn stopping() -> Failure {
    Failure::unavailable("the daemon is stopping; the next call starts a new one")
}
