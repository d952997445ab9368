//! A materialize job that does what a test says, and never signals anything.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use fuse_promise_core::words::{EntryOutcome, JobState};
use fuse_promise_core::{Failure, Status};
use fuse_promise_wire::bus::{JobEntry, Options, job_path, option};
use zbus::{Connection, OwnedObjectPath};

use crate::test_support::GUARD;

/// The job in the test's hands.
pub(crate) struct Script {
    told: Mutex<Told>,
    changed: Condvar,
}

struct Told {
    state: JobState,
    entries_done: u64,
    /// Polls since the last change of the state.
    polls: u32,
    calls: Vec<String>,
    refuse: Option<Status>,
}

impl Default for Script {
    fn default() -> Self {
        let told = Told {
            state: JobState::Running,
            entries_done: 0,
            polls: 0,
            calls: Vec::new(),
            refuse: None,
        };
        Self {
            told: Mutex::new(told),
            changed: Condvar::new(),
        }
    }
}

impl Script {
    pub(crate) fn enter(&self, state: JobState) {
        let mut told = self.told.lock().unwrap();
        told.state = state;
        told.polls = 0;
    }

    pub(crate) fn refuse(&self, status: Status) {
        self.told.lock().unwrap().refuse = Some(status);
    }

    /// Every call so far, the first with its arguments.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.told.lock().unwrap().calls.clone()
    }

    /// Waits until the job was asked how far it is since it came into its state.
    pub(crate) fn wait_polled(&self) {
        let told = self.told.lock().unwrap();
        let unasked = |told: &mut Told| told.polls == 0;
        let waited = self.changed.wait_timeout_while(told, GUARD, unasked);
        assert!(!waited.unwrap().1.timed_out(), "nobody asks");
    }

    pub(super) fn begun(&self, source: Vec<u8>, options: &Options) -> Result<(), Failure> {
        let mut told = self.told.lock().unwrap();
        if let Some(status) = told.refuse {
            return Err(Failure::new(status, "as told"));
        }
        let text = |key: &str| <&str>::try_from(&options[key]).unwrap();
        let set = [option::SYNC, option::DETACH, option::CONFIRM];
        let set = set
            .into_iter()
            .filter(|key| bool::try_from(&options[*key]).unwrap());
        let source = PathBuf::from(std::ffi::OsString::from_vec(source));
        told.calls = vec![format!(
            "Materialize {} {} {}",
            source.display(),
            text(option::POLICY),
            set.collect::<Vec<_>>().join(" ")
        )];
        Ok(())
    }

    fn called(&self, method: &str, then: JobState) {
        self.told.lock().unwrap().calls.push(method.to_owned());
        self.enter(then);
    }
}

pub(super) struct Job(pub(super) Arc<Script>);

impl Job {
    pub(super) async fn serve(self, connection: &Connection) -> OwnedObjectPath {
        let path = job_path(1);
        let served = connection.object_server().at(&path, self).await;
        served.unwrap();
        path
    }
}

#[zbus::interface(name = "io.github.fuse_promise.Private1.Job")]
impl Job {
    fn cancel(&self) {
        self.0.called("Cancel", JobState::Cancelled);
    }

    fn confirm(&self) {
        self.0.called("Confirm", JobState::Finished);
    }

    fn detach(&self) {
        self.0.told.lock().unwrap().calls.push("Detach".to_owned());
    }

    /// Three entries, two a page.
    fn result(&self, first: u32, count: u32) -> Vec<JobEntry> {
        let entry = |number: u32| JobEntry {
            path: number.to_string().into_bytes(),
            outcome: EntryOutcome::Skipped.word().to_owned(),
            status: 0,
            message: String::new(),
        };
        (first..3.min(first + count.min(2))).map(entry).collect()
    }

    #[zbus(property)]
    fn state(&self) -> String {
        let mut told = self.0.told.lock().unwrap();
        told.polls += 1;
        self.0.changed.notify_all();
        told.state.word().to_owned()
    }

    #[zbus(property)]
    fn status(&self) -> u32 {
        match self.0.told.lock().unwrap().state {
            JobState::Failed => Status::Io.code(),
            JobState::Cancelled => Status::Cancelled.code(),
            _ => 0,
        }
    }

    #[zbus(property)]
    fn message(&self) -> String {
        "as told".to_owned()
    }

    /// More at each look, so that each is worth telling.
    #[zbus(property)]
    fn entries_done(&self) -> u64 {
        let mut told = self.0.told.lock().unwrap();
        told.entries_done += 1;
        told.entries_done
    }

    #[zbus(property)]
    fn target_path(&self) -> Vec<u8> {
        b"/target/copy".to_vec()
    }

    #[zbus(property)]
    fn detached(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn entries_total(&self) -> u64 {
        100
    }

    #[zbus(property)]
    fn bytes_written(&self) -> u64 {
        3
    }

    #[zbus(property)]
    fn bytes_total(&self) -> u64 {
        4
    }

    #[zbus(property)]
    fn files_written(&self) -> u64 {
        5
    }

    #[zbus(property)]
    fn files_total(&self) -> u64 {
        6
    }

    #[zbus(property)]
    fn directories_created(&self) -> u64 {
        7
    }

    #[zbus(property)]
    fn directories_total(&self) -> u64 {
        8
    }

    #[zbus(property)]
    fn rate(&self) -> u64 {
        9
    }

    #[zbus(property)]
    fn written(&self) -> u64 {
        10
    }

    #[zbus(property)]
    fn skipped(&self) -> u64 {
        11
    }

    #[zbus(property)]
    fn failed(&self) -> u64 {
        12
    }

    #[zbus(property)]
    fn removed(&self) -> u64 {
        13
    }
}
