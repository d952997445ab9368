//! One materialize job as others see it: how far it is, how it ended, and the
//! wishes others have about it: that it should stop, that it may end.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::failure::Failure;
use fuse_promise_core::ids::{JobNumber, PromiseNumber};
use fuse_promise_core::image::ImageView;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::JobState;

use super::MaterializeOptions;
use super::chunk::Message;
use super::plan::{Action, Step};
use super::report::Report;
use crate::sync::Mutex;

/// How far a job is. Totals are those of the plan, and 0 until the target has been
/// looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
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
    /// The entry finished last, likewise; empty before the first.
    pub current_path: Vec<u8>,
}

impl Progress {
    /// What a plan amounts to.
    pub(super) fn planned(view: &ImageView<'_>, steps: &[Step]) -> Self {
        let mut totals = Self::default();
        for step in steps {
            totals.entries_total += 1;
            let Some(node) = view.row(step.row) else {
                continue;
            };
            match (step.action, node.kind) {
                (Action::MakeDirectory, _) => totals.directories_total += 1,
                (Action::CreateFile | Action::ReplaceFile, NodeKind::File) => {
                    totals.files_total += 1;
                    totals.bytes_total = totals.bytes_total.saturating_add(node.attr.size);
                }
                _ => {}
            }
        }
        totals
    }
}

/// A job as it is now.
#[derive(Debug, Clone)]
pub struct JobSnapshot {
    pub job: JobNumber,
    pub promise: PromiseNumber,
    pub progress: Progress,
    /// Bytes per second while the job ran.
    pub rate: u64,
    pub state: JobState,
    /// Whether it goes on when whoever began it leaves.
    pub detached: bool,
    /// Set once the job has ended.
    pub report: Option<Report>,
}

/// A running or finished job.
pub(crate) struct Job {
    pub(crate) number: JobNumber,
    pub(crate) promise: PromiseNumber,
    began: Instant,
    state: Mutex<State>,
    /// Wakes the job's thread.
    wake: Mutex<Sender<Message>>,
}

struct State {
    progress: Progress,
    stop: Option<Failure>,
    last_word: LastWord,
    detached: bool,
    ended: Option<(Report, Duration)>,
}

/// Who decides that a job which has written everything has done well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWord {
    /// The job itself.
    NotAsked,
    /// Whoever began it, who may still take everything back.
    Wanted,
    /// That one now, who was told that everything is written.
    AwaitedNow,
}

impl Job {
    pub(crate) fn new(
        number: JobNumber,
        promise: PromiseNumber,
        progress: Progress,
        options: &MaterializeOptions,
        wake: Sender<Message>,
    ) -> Self {
        let last_word = match options.confirm {
            true => LastWord::Wanted,
            false => LastWord::NotAsked,
        };
        Self {
            number,
            promise,
            began: Instant::now(),
            state: Mutex::new(State {
                progress,
                stop: None,
                last_word,
                detached: options.detach,
                ended: None,
            }),
            wake: Mutex::new(wake),
        }
    }

    /// Asks the job to stop with this failure; the first wish counts. False if it
    /// has ended already.
    pub(crate) fn stop(&self, failure: Failure) -> bool {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return false;
        }
        state.stop.get_or_insert(failure);
        drop(state);
        self.wake();
        true
    }

    /// Whoever began it has gone: stops it, unless that was foreseen.
    pub(crate) fn caller_left(&self) {
        if !self.state.lock().detached {
            self.stop(Failure::cancelled("the program that began the job ended"));
        }
    }

    /// It goes on whoever leaves, and waits for nobody's word. False if it was so
    /// already, or has ended.
    pub(crate) fn detach(&self) -> bool {
        let mut state = self.state.lock();
        let changes = !state.detached && state.ended.is_none();
        state.detached = true;
        state.last_word = LastWord::NotAsked;
        drop(state);
        self.wake();
        changes
    }

    /// The last word: everything that was written stays.
    pub(crate) fn confirm(&self) {
        self.state.lock().last_word = LastWord::NotAsked;
        self.wake();
    }

    /// Everything is written. True if somebody else has the last word and has not
    /// said it yet.
    pub(super) fn lacks_last_word(&self) -> bool {
        let mut state = self.state.lock();
        if state.last_word == LastWord::Wanted {
            state.last_word = LastWord::AwaitedNow;
        }
        state.last_word == LastWord::AwaitedNow
    }

    fn wake(&self) {
        // The thread may have ended just now.
        let _ = self.wake.lock().send(Message::Wake);
    }

    pub(super) fn wanted_stop(&self) -> Option<Failure> {
        self.state.lock().stop.clone()
    }

    pub(super) fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.state.lock().progress);
    }

    pub(super) fn finish(&self, report: Report) {
        self.state.lock().ended = Some((report, self.began.elapsed()));
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ended.is_some()
    }

    pub(crate) fn snapshot(&self) -> JobSnapshot {
        let state = self.state.lock();
        let ran = state.ended.as_ref().map(|(_, ran)| *ran);
        let elapsed = ran.unwrap_or_else(|| self.began.elapsed());
        let elapsed = elapsed.as_millis().max(1);
        let rate = u128::from(state.progress.bytes_written) * 1000 / elapsed;
        JobSnapshot {
            job: self.number,
            promise: self.promise,
            progress: state.progress.clone(),
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
            state: state.word(),
            detached: state.detached,
            report: state.ended.as_ref().map(|(report, _)| report.clone()),
        }
    }
}

impl State {
    fn word(&self) -> JobState {
        let ended = self.ended.as_ref().map(|(report, _)| report);
        match (ended, self.last_word) {
            (None, LastWord::AwaitedNow) => JobState::Waiting,
            (None, _) => JobState::Running,
            (Some(report), _) => match &report.failure {
                None => JobState::Finished,
                Some(why) if why.status == Status::Cancelled => JobState::Cancelled,
                Some(_) => JobState::Failed,
            },
        }
    }
}
