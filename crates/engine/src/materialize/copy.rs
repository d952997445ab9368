//! The thread of one job: it carries out the plan step by step, with a window of
//! reads under way, and writes each answer straight out of the slot it came in.
//!
//! A file that its provider refuses, or whose name is taken, fails alone. What
//! fails the whole job (the provider is gone, the disk is full, somebody cancels)
//! stops it, and then all that the job made is taken away again; files that it
//! replaced stay and are named in the report.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::Row;
use fuse_promise_core::limits::READ_LEN_MAX;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::ConflictPolicy;

use super::chunk::{Answered, Chunk, Message};
use super::job::{Job, Progress};
use super::journal::Journal;
use super::memory::Held;
use super::partial::{Identity, Partial, Publish};
use super::paths::CopyPaths;
use super::plan::{Action, Root, Step};
use super::report::Report;
use super::target::Directory;
use super::trouble::{Tried, Trouble, of_provider, of_target};
use crate::engine::Engine;
use crate::observe::EngineEvent;
use crate::open::HeldOpen;
use crate::promise::Promise;
use crate::read::ReadRequest;

/// Watchers are told this often at most.
const PULSE: Duration = Duration::from_millis(100);
/// And this often at least while nothing is finished.
const SLOW_PULSE: Duration = Duration::from_secs(1);

/// A file whose chunks are under way.
struct Open {
    partial: Partial,
    attr: NodeAttr,
    name: Vec<u8>,
    publish: Publish,
    missing: u64,
}

/// What the job needs to begin with.
pub(super) struct Work {
    pub(super) engine: Arc<Engine>,
    pub(super) promise: Arc<Promise>,
    pub(super) job: Arc<Job>,
    pub(super) target: Directory,
    pub(super) paths: CopyPaths,
    pub(super) root: Root,
    pub(super) policy: ConflictPolicy,
    pub(super) sync: bool,
    pub(super) journal: Arc<Journal>,
    /// Reads under way at a time.
    pub(super) window: usize,
    /// A promise that is destroyed meanwhile is served to the end.
    pub(super) _open: HeldOpen,
}

pub(super) struct Copying {
    pub(super) work: Work,
    pub(super) inbox: Receiver<Message>,
    to_inbox: Sender<Message>,
    /// The directories on the way to the present step, outermost first.
    pub(super) inside: Vec<(Row, Directory)>,
    open: HashMap<Row, Open>,
    under_way: usize,
    /// Directories that were there before.
    pub(super) reused: Vec<Row>,
    /// Everything made so far, in order; files with what they were when made.
    pub(super) made: Vec<(Row, Option<Identity>)>,
    pub(super) written: Vec<(Row, Identity)>,
    pub(super) report: Report,
    told: Instant,
}

impl Copying {
    pub(super) fn new(work: Work, inbox: Receiver<Message>, to_inbox: Sender<Message>) -> Self {
        Self {
            work,
            inbox,
            to_inbox,
            inside: Vec::new(),
            open: HashMap::new(),
            under_way: 0,
            reused: Vec::new(),
            made: Vec::new(),
            written: Vec::new(),
            report: Report::default(),
            told: Instant::now(),
        }
    }

    /// Runs the job to its end.
    pub(super) fn run(mut self) {
        let planned = self.plan();
        let copied = planned.and_then(|steps| self.copy(steps));
        let done = copied.and_then(|()| self.finish_directories());
        self.open.clear();
        match done {
            Ok(()) => self.keep_local_copy(),
            Err(failure) => {
                self.report.stopped(failure);
                self.undo();
            }
        }
        let number = self.work.job.number;
        self.work.job.finish(std::mem::take(&mut self.report));
        self.work
            .engine
            .observer
            .event(EngineEvent::JobFinished(number));
    }

    /// Decides about every node before anything is written.
    fn plan(&self) -> Result<Vec<Step>> {
        let work = &self.work;
        let view = work.promise.view();
        let go_on = || self.check_wishes();
        let steps = work.root.steps(&view, &work.target, work.policy, go_on)?;
        let planned = Progress::planned(&view, &steps);
        work.job.advance(|now| {
            *now = Progress {
                target_path: std::mem::take(&mut now.target_path),
                ..planned
            };
        });
        Ok(steps)
    }

    fn copy(&mut self, steps: Vec<Step>) -> Result<()> {
        for step in steps {
            self.check_wishes()?;
            self.begin(step)?;
        }
        while !self.open.is_empty() {
            self.receive()?;
        }
        if self.work.job.lacks_last_word() {
            self.tell_now();
        }
        while self.work.job.lacks_last_word() {
            self.receive()?;
        }
        Ok(())
    }

    fn begin(&mut self, step: Step) -> Result<()> {
        let promise = Arc::clone(&self.work.promise);
        let view = promise.view();
        let node = view.row(step.row).ok_or_else(|| vanished(step.row))?;
        let name = if step.row == self.work.paths.source() {
            self.work.paths.root_name().to_vec()
        } else {
            node.name.to_vec()
        };
        let begun = match self.parent(node.parent, step.row) {
            None => Err(Trouble::Entry(Failure::io(
                "the directory it belongs in could not be made",
            ))),
            Some(parent) => match step.action {
                Action::MakeDirectory => self.make_directory(step.row, &parent, &name),
                Action::ReuseDirectory => self.reuse_directory(step.row, &parent, &name),
                Action::CreateFile => {
                    self.begin_file(step.row, node.attr, &parent, name, Publish::New)
                }
                Action::ReplaceFile => {
                    self.begin_file(step.row, node.attr, &parent, name, Publish::Replace)
                }
                Action::Skip => {
                    self.report.skipped(self.relative(step.row));
                    self.entry_done(step.row);
                    Ok(())
                }
                Action::Refuse => Err(Trouble::Entry(Failure::already_exists(
                    "something of another kind is in the way; it is left as it is",
                ))),
            },
        };
        begun.or_else(|trouble| self.entry_failed(step.row, trouble))
    }

    /// The open directory in which a node is made; None if it could not be made.
    fn parent(&mut self, parent: Row, row: Row) -> Option<Directory> {
        if row == self.work.paths.source() {
            return Some(self.work.target.clone());
        }
        let depth = self
            .inside
            .iter()
            .rposition(|(inside, _)| *inside == parent)?;
        self.inside.truncate(depth + 1);
        Some(self.inside[depth].1.clone())
    }

    fn make_directory(&mut self, row: Row, parent: &Directory, name: &[u8]) -> Tried {
        let made = parent.make(name).map_err(of_target)?;
        self.inside.push((row, made));
        self.made.push((row, None));
        self.report.written();
        self.work.job.advance(|now| now.directories_created += 1);
        self.entry_done(row);
        Ok(())
    }

    fn reuse_directory(&mut self, row: Row, parent: &Directory, name: &[u8]) -> Tried {
        let entered = parent.enter(name).map_err(of_target)?;
        self.inside.push((row, entered));
        self.reused.push(row);
        self.entry_done(row);
        Ok(())
    }

    fn begin_file(
        &mut self,
        row: Row,
        attr: NodeAttr,
        parent: &Directory,
        name: Vec<u8>,
        publish: Publish,
    ) -> Tried {
        let partial = Partial::create(parent, &self.work.journal).map_err(of_target)?;
        partial.reserve(attr.size).map_err(of_target)?;
        let file = Open {
            partial,
            attr,
            name,
            publish,
            missing: attr.size,
        };
        self.open.insert(row, file);
        if attr.size == 0 {
            return self.publish(row);
        }
        let mut offset = 0;
        while offset < attr.size && self.open.contains_key(&row) {
            let length = u64::from(READ_LEN_MAX).min(attr.size - offset);
            let held = self.room_for(length).map_err(Trouble::Job)?;
            self.ask(row, offset, length as u32, held);
            offset += length;
        }
        Ok(())
    }

    /// Waits until the window and the memory of all jobs have room for a chunk.
    fn room_for(&mut self, length: u64) -> Result<Held> {
        let memory = Arc::clone(&self.work.engine.job_memory);
        loop {
            let nothing_under_way = self.under_way == 0;
            if self.under_way < self.work.window
                && let Some(held) = memory.take(length, nothing_under_way)
            {
                return Ok(held);
            }
            self.receive()?;
        }
    }

    fn ask(&mut self, row: Row, offset: u64, asked: u32, held: Held) {
        let request = ReadRequest {
            inode: self.work.promise.inode(row),
            handle: self.work.promise.handle_for_copying(),
            offset,
            length: asked,
            tid: 0,
        };
        let chunk = Chunk {
            row,
            offset,
            asked,
            inbox: self.to_inbox.clone(),
            held,
        };
        self.under_way += 1;
        self.work.engine.read(request, Box::new(chunk));
    }

    /// Takes one answer, or a second without any.
    fn receive(&mut self) -> Result<()> {
        match self.inbox.recv_timeout(SLOW_PULSE) {
            Ok(Message::Wake) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.tell_watchers();
            }
            Ok(Message::Answer {
                row,
                offset,
                asked,
                answer,
                held,
            }) => {
                self.under_way -= 1;
                let taken = self.take(row, offset, asked, answer);
                drop(held);
                taken.or_else(|trouble| self.entry_failed(row, trouble))?;
            }
        }
        self.check_wishes()
    }

    fn take(
        &mut self,
        row: Row,
        offset: u64,
        asked: u32,
        answer: std::result::Result<Answered, Status>,
    ) -> Tried {
        // A file that failed already has answers under way still.
        let Some(file) = self.open.get_mut(&row) else {
            return Ok(());
        };
        let answered = answer.map_err(of_provider)?;
        let bytes = answered.bytes(offset, asked).map_err(|end| {
            Trouble::Entry(Failure::io(format!(
                "the content ends at {end}, {} bytes were declared",
                file.attr.size
            )))
        })?;
        file.partial.write(offset, bytes).map_err(of_target)?;
        file.missing -= bytes.len() as u64;
        let (written, whole) = (bytes.len() as u64, file.missing == 0);
        drop(answered);
        self.work.job.advance(|now| now.bytes_written += written);
        if whole {
            self.publish(row)?;
        }
        Ok(())
    }

    fn publish(&mut self, row: Row) -> Tried {
        let Some(file) = self.open.remove(&row) else {
            return Ok(());
        };
        let publish = file.publish;
        let identity = file
            .partial
            .publish(&file.name, &file.attr, self.work.sync, publish)
            .map_err(of_target)?;
        self.written.push((row, identity));
        match publish {
            Publish::New => {
                self.made.push((row, Some(identity)));
                self.report.written();
            }
            Publish::Replace => self.report.replaced(self.relative(row)),
        }
        self.work.job.advance(|now| now.files_written += 1);
        self.entry_done(row);
        Ok(())
    }

    /// The path of a node of the copy, relative to the target.
    pub(super) fn relative(&self, row: Row) -> Vec<u8> {
        self.work.paths.relative(&self.work.promise.view(), row)
    }

    /// The same as an absolute path, for people.
    fn shown(&self, row: Row) -> Vec<u8> {
        self.work.paths.shown(&self.work.promise.view(), row)
    }

    fn entry_done(&mut self, row: Row) {
        let path = self.shown(row);
        self.work.job.advance(|now| {
            now.entries_done += 1;
            now.current_path = path;
        });
        self.tell_watchers();
    }

    /// One entry failed; the job goes on unless nothing else could succeed either.
    fn entry_failed(&mut self, row: Row, trouble: Trouble) -> Result<()> {
        self.open.remove(&row);
        let shown = String::from_utf8_lossy(&self.shown(row)).into_owned();
        let failure = match trouble {
            Trouble::Job(failure) => return Err(failure.context(&shown)),
            Trouble::Entry(failure) => failure.context(&shown),
        };
        self.report.failed(self.relative(row), failure);
        self.entry_done(row);
        Ok(())
    }

    fn tell_watchers(&mut self) {
        if self.told.elapsed() >= PULSE {
            self.tell_now();
        }
    }

    fn tell_now(&mut self) {
        self.told = Instant::now();
        let number = self.work.job.number;
        self.work
            .engine
            .observer
            .event(EngineEvent::JobProgress(number));
    }

    fn check_wishes(&self) -> Result<()> {
        self.work.job.wanted_stop().map_or(Ok(()), Err)
    }
}

fn vanished(row: Row) -> Failure {
    Failure::io(format!("the promise has no row {}", row.0))
}
