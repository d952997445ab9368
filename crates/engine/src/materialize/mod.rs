//! Materialize: promised nodes become ordinary files.
//!
//! The call checks source and target and decides about the root of the copy; then a
//! thread of the job's own plans the rest before it writes anything, and carries the
//! plan out (`copy.rs`), reading through the same path as every other reader. The
//! target may be a slow disk full of files, so its caller does not wait for that. What was written serves later reads for as long as
//! it is unchanged (`local.rs`).

mod chunk;
mod copy;
mod job;
mod jobs;
mod journal;
mod local;
mod memory;
mod partial;
mod paths;
mod plan;
mod report;
mod source;
mod target;
mod trouble;
mod wrap_up;

use std::sync::Arc;
use std::sync::mpsc::channel;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::JobNumber;
use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_wire::descriptors::{Newcomer, check_room};
use rustix::fd::{AsRawFd, OwnedFd};

use crate::engine::Engine;
use crate::expiry::check_not_expired;
use crate::observe::EngineEvent;
use crate::open::HeldOpen;
use crate::session::LARGE_AHEAD;
use copy::{Copying, Work};
use job::Job;
pub use job::{JobSnapshot, Progress};
pub(crate) use jobs::Jobs;
use journal::Journal;
pub(crate) use journal::{PARTIALS, pages, sweep};
pub(crate) use local::{LocalCopies, LocalCopy, LocalRead};
pub(crate) use memory::Memory;
use paths::CopyPaths;
use plan::Root;
pub use report::{Outcome, Report, Reported};
use target::Directory;

/// How a materialize is to be done.
#[derive(Debug, Clone, Copy)]
pub struct MaterializeOptions {
    pub policy: ConflictPolicy,
    /// Bring every file and directory to disk before it counts as written.
    pub sync: bool,
    /// Go on when whoever began it leaves.
    pub detach: bool,
    /// Wait with everything written until [`Engine::confirm_job`], so that whoever
    /// began it can still take all of it back.
    pub confirm: bool,
    /// The call has no effect from this moment on; CLOCK_MONOTONIC in nanoseconds.
    pub expires: Option<u64>,
}

impl Engine {
    /// Begins to copy a promised node, and all that is below it, into a directory.
    ///
    /// `source` is an absolute path below the mount; `target` a descriptor of the
    /// directory that gets the copy (`O_PATH` will do).
    ///
    /// # Errors
    /// Everything that can be known without looking into the target's own
    /// directories, and before the first byte: `NotFound` and
    /// `InvalidArgument` for the source, `InvalidArgument` for a target below the
    /// mount and for options that contradict each other, `Permission` for a target
    /// that cannot be written, `AlreadyExists` under the policy fail, `Unavailable`
    /// at the limit of jobs, `Timeout` for a call that has expired.
    pub fn materialize(
        self: &Arc<Self>,
        source: &[u8],
        target: OwnedFd,
        options: MaterializeOptions,
    ) -> Result<JobNumber> {
        check_last_word(&options)?;
        check_room(Newcomer::Guest, &target)?;
        let (promise, row) = self.resolve_source(source)?;
        let open = HeldOpen::of(self, &promise);
        let open = open.ok_or_else(|| Failure::not_found("the promise is gone"))?;
        self.check_target(&target)?;
        let directory = Directory::open(&target)?;
        let view = promise.view();
        let node = view
            .row(row)
            .ok_or_else(|| Failure::not_found("no such node"))?;
        let own_name = match row.0 {
            0 => promise.number.id().into_bytes(),
            _ => node.name.to_vec(),
        };
        let root = Root::plan(&node, &own_name, &directory, options.policy)?;
        let shown = std::fs::read_link(format!("/proc/self/fd/{}", target.as_raw_fd()));
        let shown = shown.unwrap_or_default().into_os_string();
        let shown = std::os::unix::ffi::OsStringExt::into_vec(shown);
        let paths = CopyPaths::new(&view, row, root.name.clone(), shown);
        let progress = Progress {
            target_path: paths.shown(&view, row),
            ..Progress::default()
        };
        let (to_inbox, inbox) = channel();
        let number = promise.number;
        check_not_expired("the materialize", options.expires)?;
        let job = self
            .jobs
            .add(|job| Job::new(job, number, progress, &options, to_inbox.clone()))?;
        let journal = Journal::new(
            &self.options.runtime_dir.path().join(PARTIALS),
            job.number.0,
        );
        let work = Work {
            engine: Arc::clone(self),
            window: window(promise.session.reads_at_once()),
            _open: open,
            promise: Arc::clone(&promise),
            job: Arc::clone(&job),
            target: directory,
            paths,
            root,
            policy: options.policy,
            sync: options.sync,
            journal: Arc::new(journal),
        };
        for old in self.jobs.forget_old() {
            self.observer.event(EngineEvent::JobRemoved(old));
        }
        self.observer.event(EngineEvent::JobAdded(job.number));
        let copying = Copying::new(work, inbox, to_inbox);
        let begun = self.jobs.run(&job, move || copying.run());
        if begun.is_err() {
            self.observer.event(EngineEvent::JobRemoved(job.number));
        }
        begun.map(|()| job.number)
    }

    /// A job that runs, or ended not long ago.
    pub fn job(&self, job: JobNumber) -> Option<JobSnapshot> {
        self.jobs.get(job).map(|job| job.snapshot())
    }

    pub fn jobs(&self) -> Vec<JobNumber> {
        self.jobs.numbers()
    }

    /// Stops a job; it takes away what it has made. Stopping one that has ended
    /// changes nothing.
    pub fn cancel_job(&self, job: JobNumber) -> Result<()> {
        let found = self.known_job(job)?;
        found.stop(Failure::cancelled("the job was cancelled"));
        Ok(())
    }

    /// The last word on a job that was begun with `confirm`. One that needs none is
    /// not changed.
    pub fn confirm_job(&self, job: JobNumber) -> Result<()> {
        self.known_job(job)?.confirm();
        Ok(())
    }

    /// From now on the job goes on without whoever began it, and needs no confirming.
    pub fn detach_job(&self, job: JobNumber) -> Result<()> {
        if self.known_job(job)?.detach() {
            self.observer.event(EngineEvent::JobProgress(job));
        }
        Ok(())
    }

    /// Whoever began the job has gone: it is stopped unless it was detached.
    pub fn leave_job(&self, job: JobNumber) {
        if let Some(job) = self.jobs.get(job) {
            job.caller_left();
        }
    }

    fn known_job(&self, job: JobNumber) -> Result<Arc<Job>> {
        let found = self.jobs.get(job);
        found.ok_or_else(|| Failure::not_found(format!("there is no job {job}")))
    }
}

/// A job that outlives whoever began it would wait for that one's word for ever.
fn check_last_word(options: &MaterializeOptions) -> Result<()> {
    if options.detach && options.confirm {
        return Err(Failure::invalid(
            "a detached job goes on alone, so nobody is left to confirm it; choose one of both",
        ));
    }
    Ok(())
}

/// Reads of one job under way at a time: as many as its provider can work on, and
/// not so many that its other readers find no slot.
fn window(reads_at_once: u32) -> usize {
    let concurrent = reads_at_once.saturating_sub(LARGE_AHEAD);
    concurrent.max(reads_at_once / 2).max(1) as usize
}
