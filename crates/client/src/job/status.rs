//! What a job's properties say.

use std::collections::HashMap;

use fuse_promise_core::words::JobState;
use fuse_promise_core::{Failure, Result, Status};
use zbus::OwnedVariant;

use crate::properties::Properties;

/// How far a job is. Totals are those of its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    pub state: JobState,
    pub detached: bool,
    pub entries_done: u64,
    pub entries_total: u64,
    pub bytes_written: u64,
    pub bytes_total: u64,
    pub files_written: u64,
    pub files_total: u64,
    pub directories_created: u64,
    pub directories_total: u64,
    /// The copy, as an absolute path.
    pub target_path: Vec<u8>,
    /// Bytes per second while the job ran.
    pub rate: u64,
    /// Set once the job has ended.
    pub end: Option<JobEnd>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// The first failure, of the whole or of an entry.
    pub failure: Option<Failure>,
    pub written: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Made and taken away again.
    pub removed: u64,
}

impl JobEnd {
    /// The job's outcome as that of a call.
    pub fn outcome(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl JobStatus {
    pub(super) fn of(told: HashMap<String, OwnedVariant>) -> Result<Self> {
        let mut told = Properties(told);
        let state: String = told.take("State")?;
        let state = state
            .parse()
            .map_err(|failure: Failure| Failure::version_mismatch(failure.message))?;
        let ended = !matches!(state, JobState::Running | JobState::Waiting);
        Ok(Self {
            state,
            detached: told.take("Detached")?,
            entries_done: told.take("EntriesDone")?,
            entries_total: told.take("EntriesTotal")?,
            bytes_written: told.take("BytesWritten")?,
            bytes_total: told.take("BytesTotal")?,
            files_written: told.take("FilesWritten")?,
            files_total: told.take("FilesTotal")?,
            directories_created: told.take("DirectoriesCreated")?,
            directories_total: told.take("DirectoriesTotal")?,
            target_path: told.take("TargetPath")?,
            rate: told.take("Rate")?,
            end: ended.then(|| end(&mut told)).transpose()?,
        })
    }
}

fn end(told: &mut Properties) -> Result<JobEnd> {
    let status: u32 = told.take("Status")?;
    let message: String = told.take("Message")?;
    // A status of a later version is one all the same.
    let status = Status::from_code(status).unwrap_or(Status::Io);
    Ok(JobEnd {
        failure: (status != Status::Ok).then(|| Failure::new(status, message)),
        written: told.take("Written")?,
        skipped: told.take("Skipped")?,
        failed: told.take("Failed")?,
        removed: told.take("Removed")?,
    })
}
