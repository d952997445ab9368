//! `io.github.fuse_promise.Private1.Job` at `job/N`: one materialize, which can be watched and
//! stopped by any client of the user.

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::JobNumber;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::{EntryOutcome, JobState};
use fuse_promise_engine::{Engine, JobSnapshot, Outcome, Progress, Report, Reported};
use fuse_promise_wire::bus::JobEntry;
use zbus::Connection;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::error::BusError;
use super::objects::Context;

pub struct Job {
    context: Context,
    number: JobNumber,
}

impl Job {
    pub fn new(context: Context, number: JobNumber) -> Self {
        Self { context, number }
    }

    fn snapshot(&self) -> Result<JobSnapshot> {
        let snapshot = self.engine().job(self.number);
        snapshot.ok_or_else(|| Failure::not_found(format!("job {} is forgotten", self.number)))
    }

    fn progress(&self) -> Result<Progress> {
        Ok(self.snapshot()?.progress)
    }

    /// What an ended job tells; all zero while it runs.
    fn report(&self) -> Result<Report> {
        Ok(self.snapshot()?.report.unwrap_or_default())
    }

    fn engine(&self) -> &Engine {
        &self.context.service.daemon.engine
    }

    /// Announces how far the job is.
    pub async fn tell_progress(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        let Ok(now) = self.snapshot() else {
            return Ok(());
        };
        if now.state == JobState::Waiting {
            self.state_changed(emitter).await?;
        }
        let (rate, progress) = (now.rate, now.progress);
        Self::progress_made(
            emitter,
            (progress.entries_done, progress.entries_total),
            (progress.bytes_written, progress.bytes_total),
            (progress.files_written, progress.files_total),
            (progress.directories_created, progress.directories_total),
            progress.current_path,
            rate,
        )
        .await
    }

    /// Announces the end, once it has come.
    pub async fn tell_end(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        let report = self.snapshot().ok().and_then(|now| now.report);
        let Some(report) = report else {
            return Ok(());
        };
        self.state_changed(emitter).await?;
        let (status, message) = end_of(&report);
        let counts = (
            report.written,
            report.skipped,
            report.failed,
            report.removed,
        );
        Self::finished(emitter, status, message, counts).await
    }
}

/// One materialize.
#[zbus::interface(name = "io.github.fuse_promise.Private1.Job")]
impl Job {
    /// Stops the job and takes away what it has made; what it has replaced stays. One that has
    /// ended is not changed. The end is told by Finished.
    async fn cancel(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let _call = self.context.begin(connection, &call).await?;
        Ok(self.engine().cancel_job(self.number)?)
    }

    /// Lets a job that was begun with the option confirm end with what it has written.
    async fn confirm(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let _call = self.context.begin(connection, &call).await?;
        Ok(self.engine().confirm_job(self.number)?)
    }

    /// From now on the job goes on when its caller leaves, and waits for no Confirm.
    async fn detach(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let _call = self.context.begin(connection, &call).await?;
        Ok(self.engine().detach_job(self.number)?)
    }

    /// A page of the entries that were replaced, skipped or failed: up to count of them beginning
    /// with the one numbered first, from 0. Only the first 1000 are told, the rest is counted. An
    /// empty page is behind the end. While the job runs it is refused as unavailable.
    #[zbus(out_args("page"))]
    async fn result(
        &self,
        first: u32,
        count: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<Vec<JobEntry>, BusError> {
        let _call = self.context.begin(connection, &call).await?;
        let running = || Failure::unavailable("the job is still running");
        let report = self.snapshot()?.report.ok_or_else(running)?;
        let entries = report.entries.into_iter().skip(first as usize);
        Ok(entries.take(count as usize).map(entry).collect())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn number(&self) -> u64 {
        self.number.0
    }

    /// The id of the promise that is copied.
    #[zbus(property(emits_changed_signal = "const"))]
    fn promise(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.promise.id())
    }

    /// One of: running, waiting, finished, failed, cancelled.
    #[zbus(property)]
    fn state(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.state.word().to_owned())
    }

    /// Whether it goes on when its caller leaves.
    #[zbus(property(emits_changed_signal = "false"))]
    fn detached(&self) -> Result<bool, BusError> {
        Ok(self.snapshot()?.detached)
    }

    /// Why it ended: the number of a status of the C interface, 0 for well or not yet.
    #[zbus(property(emits_changed_signal = "false"))]
    fn status(&self) -> Result<u32, BusError> {
        Ok(end_of(&self.report()?).0)
    }

    /// Why it ended, as a sentence; empty for well or not yet.
    #[zbus(property(emits_changed_signal = "false"))]
    fn message(&self) -> Result<String, BusError> {
        Ok(end_of(&self.report()?).1)
    }

    /// Files and directories it is done with, in whichever way.
    #[zbus(property(emits_changed_signal = "false"))]
    fn entries_done(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.entries_done)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn entries_total(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.entries_total)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_written(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.bytes_written)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_total(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.bytes_total)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn files_written(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.files_written)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn files_total(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.files_total)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn directories_created(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.directories_created)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn directories_total(&self) -> Result<u64, BusError> {
        Ok(self.progress()?.directories_total)
    }

    /// The entry finished last, as an absolute path without a NUL; empty before the first.
    #[zbus(property(emits_changed_signal = "false"))]
    fn current_path(&self) -> Result<Vec<u8>, BusError> {
        Ok(self.progress()?.current_path)
    }

    /// The copy, as an absolute path without a NUL.
    #[zbus(property(emits_changed_signal = "const"))]
    fn target_path(&self) -> Result<Vec<u8>, BusError> {
        Ok(self.progress()?.target_path)
    }

    /// Bytes per second while the job ran.
    #[zbus(property(emits_changed_signal = "false"))]
    fn rate(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.rate)
    }

    /// Of an ended job: entries that were made or replaced.
    #[zbus(property(emits_changed_signal = "false"))]
    fn written(&self) -> Result<u64, BusError> {
        Ok(self.report()?.written)
    }

    /// Of an ended job: entries that the policy left alone.
    #[zbus(property(emits_changed_signal = "false"))]
    fn skipped(&self) -> Result<u64, BusError> {
        Ok(self.report()?.skipped)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn failed(&self) -> Result<u64, BusError> {
        Ok(self.report()?.failed)
    }

    /// Of a stopped job: entries that were made and taken away again.
    #[zbus(property(emits_changed_signal = "false"))]
    fn removed(&self) -> Result<u64, BusError> {
        Ok(self.report()?.removed)
    }

    /// At most ten times a second, and at least once a second while it runs. Pairs are done and
    /// total.
    #[zbus(signal, name = "Progress")]
    async fn progress_made(
        emitter: &SignalEmitter<'_>,
        entries: (u64, u64),
        bytes: (u64, u64),
        files: (u64, u64),
        directories: (u64, u64),
        current_path: Vec<u8>,
        rate: u64,
    ) -> zbus::Result<()>;

    /// The job has ended. The counts are those of the properties Written, Skipped, Failed and
    /// Removed.
    #[zbus(signal)]
    async fn finished(
        emitter: &SignalEmitter<'_>,
        status: u32,
        message: String,
        counts: (u64, u64, u64, u64),
    ) -> zbus::Result<()>;
}

fn end_of(report: &Report) -> (u32, String) {
    match &report.failure {
        None => (Status::Ok.code(), String::new()),
        Some(failure) => (failure.status.code(), sentence(failure)),
    }
}

/// A D-Bus string holds no NUL.
fn sentence(failure: &Failure) -> String {
    failure.message.replace('\0', "\\0")
}

fn entry(reported: Reported) -> JobEntry {
    let (outcome, failure) = match reported.outcome {
        Outcome::Replaced => (EntryOutcome::Replaced, None),
        Outcome::Skipped => (EntryOutcome::Skipped, None),
        Outcome::Failed(failure) => (EntryOutcome::Failed, Some(failure)),
    };
    JobEntry {
        path: reported.path,
        outcome: outcome.word().to_owned(),
        status: failure.as_ref().map_or(0, |failure| failure.status.code()),
        message: failure.as_ref().map(sentence).unwrap_or_default(),
    }
}
