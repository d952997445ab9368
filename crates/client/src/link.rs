//! The context's one connection to its daemon: made when it is first needed, made again when it was
//! lost, and shared by all calls.
//!
//! Every call through it can be made twice: either it changes nothing, or no more than the first one
//! did, or it carries an id by which the daemon knows it again, or what the first one made ended
//! together with its daemon.

use std::future::Future;
use std::sync::Arc;

use fuse_promise_core::{Failure, Result};
use tokio::sync::Mutex;

use crate::connect::{Site, connect, is_running};
use crate::daemon::Daemon;
use crate::deadline::within;
use crate::fault::Fault;
use crate::route::Start;

/// A daemon that dies of a call is started again for the next try; more tries than this would only
/// kill it more often.
const TRIES: u32 = 3;

pub(crate) struct Link {
    site: Site,
    /// Held while a connection is being made, so that two callers do not make two; never while a
    /// call is answered.
    current: Mutex<Option<Arc<Daemon>>>,
}

impl Link {
    pub(crate) fn new(site: Site) -> Self {
        Self {
            site,
            current: Mutex::new(None),
        }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Drops the connection. Calls that still run keep it for themselves; where another is being
    /// made there is none to drop.
    pub(crate) fn disconnect(&self) {
        if let Ok(mut current) = self.current.try_lock() {
            *current = None;
        }
    }

    /// Calls the daemon and returns its answer, or `None` if no daemon runs and none may be
    /// started. The whole takes no longer than a control call may.
    pub(crate) async fn call<T, C, F>(&self, start: Start, call: C) -> Result<Option<T>>
    where
        C: Fn(Arc<Daemon>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let answered = within(self.site.limit, self.call_until_answered(start, call));
        match answered.await {
            Some(answer) => answer,
            None => Err(self.overdue()),
        }
    }

    /// As `call`, for a daemon that is started if need be.
    pub(crate) async fn call_started<T, C, F>(&self, call: C) -> Result<T>
    where
        C: Fn(Arc<Daemon>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let answer = self.call(Start::IfNeeded, call).await?;
        answer.ok_or_else(|| Failure::unavailable("no fuse-promised runs, and none was started"))
    }

    async fn call_until_answered<T, C, F>(&self, start: Start, call: C) -> Result<Option<T>>
    where
        C: Fn(Arc<Daemon>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let mut tries = 0;
        loop {
            let Some(daemon) = self.daemon(start).await? else {
                return Ok(None);
            };
            tries += 1;
            match call(Arc::clone(&daemon)).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(Fault::Lost(_)) if tries < TRIES => self.forget(&daemon).await,
                Err(fault) => return Err(fault.into_failure()),
            }
        }
    }

    async fn daemon(&self, start: Start) -> Result<Option<Arc<Daemon>>> {
        let mut current = self.current.lock().await;
        if let Some(daemon) = current.as_ref().filter(|daemon| !daemon.is_lost()) {
            return Ok(Some(Arc::clone(daemon)));
        }
        *current = None;
        *current = connect(&self.site, start).await?.map(Arc::new);
        Ok(current.clone())
    }

    async fn forget(&self, lost: &Arc<Daemon>) {
        let mut current = self.current.lock().await;
        if current
            .as_ref()
            .is_some_and(|daemon| Arc::ptr_eq(daemon, lost))
        {
            *current = None;
        }
    }

    /// Nobody answered in time. The connection is not used again: half a message may be on it.
    fn overdue(&self) -> Failure {
        self.disconnect();
        let directory = self.site.runtime_dir.path().display();
        let limit = self.site.limit.as_secs_f32();
        match is_running(&self.site.runtime_dir) {
            Ok(true) => Failure::timeout(format!(
                "the fuse-promised of {directory} did not answer within {limit} s; is it stopped?"
            )),
            _ => Failure::unavailable(format!(
                "no fuse-promised for {directory} came up within {limit} s; see its log"
            )),
        }
    }
}
