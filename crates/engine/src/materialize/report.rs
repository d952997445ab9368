//! What became of each entry of a job: counts for all, the story of the first
//! ones that were not simply written.

use fuse_promise_core::failure::Failure;
use fuse_promise_core::limits::JOB_ENTRIES_MAX;

/// What happened to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It replaced a file that was there.
    Replaced,
    Skipped,
    Failed(Failure),
}

/// One entry of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Relative to the target directory.
    pub path: Vec<u8>,
    pub outcome: Outcome,
}

/// The structured result of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub written: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Files and directories that were made and taken away again.
    pub removed: u64,
    /// The first [`JOB_ENTRIES_MAX`] entries that were replaced, skipped or failed.
    pub entries: Vec<Reported>,
    /// The first failure: the status of the whole job.
    pub failure: Option<Failure>,
}

impl Report {
    pub(super) fn written(&mut self) {
        self.written += 1;
    }

    pub(super) fn replaced(&mut self, path: Vec<u8>) {
        self.written += 1;
        self.tell(path, Outcome::Replaced);
    }

    pub(super) fn skipped(&mut self, path: Vec<u8>) {
        self.skipped += 1;
        self.tell(path, Outcome::Skipped);
    }

    pub(super) fn failed(&mut self, path: Vec<u8>, failure: Failure) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| failure.clone());
        self.tell(path, Outcome::Failed(failure));
    }

    /// The job as a whole ended early; this is why.
    pub(super) fn stopped(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    fn tell(&mut self, path: Vec<u8>, outcome: Outcome) {
        if self.entries.len() < JOB_ENTRIES_MAX {
            self.entries.push(Reported { path, outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_up_to_the_limit_and_counted_beyond_it() {
        let mut report = Report::default();
        for number in 0..=JOB_ENTRIES_MAX {
            let path = number.to_string().into_bytes();
            report.failed(path, Failure::io(format!("failure {number}")));
            if number + 1 == JOB_ENTRIES_MAX {
                assert_eq!(report.entries.len(), JOB_ENTRIES_MAX);
            }
        }
        assert_eq!(report.entries.len(), JOB_ENTRIES_MAX);
        let last = (JOB_ENTRIES_MAX - 1).to_string().into_bytes();
        assert_eq!(report.entries.last().unwrap().path, last);
        assert_eq!(report.failed, JOB_ENTRIES_MAX as u64 + 1);
        assert_eq!(report.failure.unwrap().message, "failure 0");
    }
}
