//! A materialize job as its beginner holds it.
//!
//! The daemon ties a job to the connection by which it was begun, so the job's handle keeps that
//! connection, whatever becomes of the context's; closing the context ends it. How far the job is
//! is always asked for; signals only say that it is time to ask again. So a signal that never comes
//! costs a moment, and the end is not missed.

mod status;
mod watch;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fuse_promise_core::limits::JOB_ENTRIES_MAX;
use fuse_promise_core::words::JobState;
use fuse_promise_core::{Failure, Result};
use fuse_promise_wire::bus::{IFACE_JOB, JobEntry};
use serde::Serialize;
use zbus::wire::DynamicDeserialize;
use zbus::{DynamicType, OwnedObjectPath, OwnedVariant};

use crate::context::Context;
use crate::daemon::Daemon;
use crate::deadline::within;
use crate::fault::Fault;
use crate::fork::{ParentOnly, refuse_in_child};
pub use status::{JobEnd, JobStatus};
use watch::Watch;

/// What whoever waits for a job is asked each time there is something new: go on, or stop the job
/// and fail with this.
pub type OnProgress<'a> = &'a mut dyn FnMut(&JobStatus) -> ControlFlow<Failure>;

/// A job that was begun here. Dropping the handle does not stop the job.
pub struct Job {
    context: Context,
    object: OwnedObjectPath,
    confirm: bool,
    connection: Arc<JobConnection>,
}

/// The connection a job is tied to, until the context is closed.
pub(crate) struct JobConnection(Mutex<Option<ParentOnly<Arc<Daemon>>>>);

impl JobConnection {
    fn daemon(&self) -> Result<Arc<Daemon>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let daemon = held.as_ref().map(|daemon| Arc::clone(daemon));
        daemon.ok_or_else(|| Failure::unavailable("the context is closed"))
    }

    pub(crate) fn let_go(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Job {
    pub(crate) fn new(
        context: &Context,
        daemon: Arc<Daemon>,
        object: OwnedObjectPath,
        confirm: bool,
    ) -> Self {
        let held = Mutex::new(Some(ParentOnly::new(daemon)));
        Self {
            context: context.clone(),
            object,
            confirm,
            connection: Arc::new(JobConnection(held)),
        }
    }

    pub(crate) fn connection(&self) -> &Arc<JobConnection> {
        &self.connection
    }

    /// Where the job is on the bus, for other programs.
    #[must_use]
    pub fn object_path(&self) -> &str {
        self.object.as_str()
    }

    /// How far the job is.
    pub fn poll(&self) -> Result<JobStatus> {
        let properties: HashMap<String, OwnedVariant> =
            self.call("org.freedesktop.DBus.Properties", "GetAll", (IFACE_JOB,))?;
        JobStatus::of(properties)
    }

    /// Waits for the end and returns how it was; `None` if `patience` ran out first. Every change
    /// is told to `on_progress` on this thread, the end apart. A wish to stop cancels the job,
    /// waits until it has taken away what it made, and is what this returns then.
    pub fn wait(
        &self,
        patience: Option<Duration>,
        on_progress: OnProgress<'_>,
    ) -> Result<Option<JobEnd>> {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let watch = self.watch()?;
        let mut told = None;
        let mut stopped = None;
        loop {
            let now = self.poll()?;
            if let Some(end) = now.end {
                return match stopped {
                    Some(why) => Err(why),
                    None => Ok(Some(end)),
                };
            }
            if stopped.is_none() && told.as_ref() != Some(&now) {
                if let ControlFlow::Break(why) = on_progress(&now) {
                    self.cancel()?;
                    stopped = Some(why);
                } else if now.state == JobState::Waiting && self.confirm {
                    self.act("Confirm")?;
                }
                told = Some(now);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) && stopped.is_none() {
                return Ok(None);
            }
            self.context.control({
                let news = watch.news(left);
                move |_| async move {
                    news.await;
                    Ok(())
                }
            })?;
        }
    }

    /// Stops the job; it takes away what it has made, which `wait` waits for. One that has ended
    /// is not changed.
    pub fn cancel(&self) -> Result<()> {
        self.act("Cancel")
    }

    /// From now on the job goes on when this process ends.
    pub fn detach(&self) -> Result<()> {
        self.act("Detach")
    }

    /// For whoever cannot wait any longer because the daemon does not answer: lets go of the
    /// connection, so that a daemon which goes on later finds nobody there and stops the job.
    pub fn abandon(&self) {
        self.connection.let_go();
        self.context.disconnect();
    }

    /// The entries that were replaced, skipped or failed, up to a bound of the daemon's.
    /// `Unavailable` while the job runs.
    pub fn result(&self) -> Result<Vec<JobEntry>> {
        let mut entries = Vec::new();
        loop {
            let first = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let page: Vec<JobEntry> =
                self.call(IFACE_JOB, "Result", (first, JOB_ENTRIES_MAX as u32))?;
            if page.is_empty() {
                return Ok(entries);
            }
            entries.extend(page);
        }
    }

    fn act(&self, method: &'static str) -> Result<()> {
        self.call(IFACE_JOB, method, ())
    }

    fn watch(&self) -> Result<Watch> {
        refuse_in_child()?;
        let (daemon, object) = (self.connection.daemon()?, self.object.clone());
        self.context.control(move |_| async move {
            let signals = daemon.signals(&object, IFACE_JOB).await;
            signals.map(Watch::of).map_err(lost)
        })
    }

    fn call<B, R>(&self, interface: &'static str, method: &'static str, arguments: B) -> Result<R>
    where
        B: Serialize + DynamicType + Send + Sync + 'static,
        R: for<'message> DynamicDeserialize<'message> + Send + 'static,
    {
        refuse_in_child()?;
        let (daemon, object) = (self.connection.daemon()?, self.object.clone());
        let limit = self.context.limit();
        self.context.control(move |_| async move {
            let call = daemon.call(&object, interface, method, &arguments);
            match within(limit, call).await {
                Some(answer) => answer.map_err(lost),
                None => Err(Failure::timeout(format!(
                    "fuse-promised did not answer within {} s; is it stopped?",
                    limit.as_secs_f32()
                ))),
            }
        })
    }
}

/// Without its daemon, or the connection it was tied to, there is no job.
fn lost(fault: Fault) -> Failure {
    match fault {
        Fault::Refused(failure) => failure,
        Fault::Lost(how) => Failure::unavailable(format!(
            "fuse-promised, or the connection to it, ended while the job ran ({how})"
        )),
    }
}

#[cfg(test)]
mod tests;
