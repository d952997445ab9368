//! The table of materialize jobs: those that run, and the last ones that ended,
//! for whoever still wants to know how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::JobNumber;
use fuse_promise_core::limits;

use super::job::Job;
use crate::sync::Mutex;

#[derive(Default)]
pub(crate) struct Jobs(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u64,
    jobs: BTreeMap<JobNumber, Entry>,
    closed: bool,
}

struct Entry {
    job: Arc<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Jobs {
    /// Adds a job made from its number.
    pub(crate) fn add(&self, make: impl FnOnce(JobNumber) -> Job) -> Result<Arc<Job>> {
        let mut table = self.0.lock();
        if table.closed {
            return Err(Failure::unavailable("the daemon is stopping"));
        }
        let running = table.running();
        if running >= limits::JOBS_MAX {
            return Err(Failure::unavailable(format!(
                "{running} materialize jobs are running, which is the limit; wait for one to end"
            )));
        }
        table.last += 1;
        let job = Arc::new(make(JobNumber(table.last)));
        let thread = None;
        let entry = Entry {
            job: Arc::clone(&job),
            thread,
        };
        table.jobs.insert(job.number, entry);
        Ok(job)
    }

    /// Runs the job's body on a thread of its own.
    pub(crate) fn run(&self, job: &Job, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let spawned = std::thread::Builder::new()
            .name(format!("fp-job-{}", job.number))
            .spawn(body);
        let mut table = self.0.lock();
        match spawned {
            Ok(thread) => {
                if let Some(entry) = table.jobs.get_mut(&job.number) {
                    entry.thread = Some(thread);
                }
                Ok(())
            }
            Err(error) => {
                table.jobs.remove(&job.number);
                Err(Failure::unavailable(format!(
                    "no thread for the job: {error}"
                )))
            }
        }
    }

    pub(crate) fn get(&self, job: JobNumber) -> Option<Arc<Job>> {
        let table = self.0.lock();
        table.jobs.get(&job).map(|entry| Arc::clone(&entry.job))
    }

    pub(crate) fn numbers(&self) -> Vec<JobNumber> {
        self.0.lock().jobs.keys().copied().collect()
    }

    pub(crate) fn running(&self) -> usize {
        self.0.lock().running()
    }

    /// Drops the oldest ended jobs beyond those that are remembered; which ones.
    pub(crate) fn forget_old(&self) -> Vec<JobNumber> {
        let mut table = self.0.lock();
        let ended = table.jobs.values().filter(|entry| entry.job.has_ended());
        let ended: Vec<_> = ended.map(|entry| entry.job.number).collect();
        let old = ended.len().saturating_sub(limits::ENDED_JOBS_MAX);
        let forgotten = ended[..old].to_vec();
        for job in &forgotten {
            table.jobs.remove(job);
        }
        forgotten
    }

    /// Stops every job and waits until each has cleaned up.
    pub(crate) fn close(&self) {
        let entries: Vec<_> = {
            let mut table = self.0.lock();
            table.closed = true;
            let entries = table.jobs.values_mut();
            entries
                .map(|entry| (Arc::clone(&entry.job), entry.thread.take()))
                .collect()
        };
        for (job, _) in &entries {
            job.stop(Failure::unavailable("the daemon stopped"));
        }
        for thread in entries.into_iter().filter_map(|(_, thread)| thread) {
            // A thread that panicked has aborted the daemon already.
            let _ = thread.join();
        }
    }
}

impl Table {
    fn running(&self) -> usize {
        let jobs = self.jobs.values();
        jobs.filter(|entry| !entry.job.has_ended()).count()
    }
}
