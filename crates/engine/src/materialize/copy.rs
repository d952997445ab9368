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

use super::chunk::{Answered, Chunk, Message};
use super::job::Job;
use super::journal::Journal;
use super::local::LocalCopy;
use super::partial::{Identity, Partial, Publish};
use super::paths::CopyPaths;
use super::plan::{Action, Step};
use super::report::Report;
use super::target::Directory;
use super::trouble::{Tried, Trouble, of_provider, of_target};
use crate::engine::Engine;
use crate::observe::EngineEvent;
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
    pub(super) steps: Vec<Step>,
    pub(super) sync: bool,
    pub(super) journal: Arc<Journal>,
    /// Reads under way at a time.
    pub(super) window: usize,
}

pub(super) struct Copying {
    work: Work,
    inbox: Receiver<Message>,
    to_inbox: Sender<Message>,
    /// The directories on the way to the present step, outermost first.
    inside: Vec<(Row, Directory)>,
    open: HashMap<Row, Open>,
    under_way: usize,
    /// Everything made so far, in order; files with what they were when made.
    made: Vec<(Row, Option<Identity>)>,
    written: Vec<(Row, Identity)>,
    report: Report,
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
            made: Vec::new(),
            written: Vec::new(),
            report: Report::default(),
            told: Instant::now(),
        }
    }

    /// Runs the job to its end.
    pub(super) fn run(mut self) {
        let done = self.copy().and_then(|()| self.finish_directories());
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

    fn copy(&mut self) -> Result<()> {
        for step in std::mem::take(&mut self.work.steps) {
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
                    self.report.skipped(self.work.paths.relative(step.row));
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
            while self.under_way >= self.work.window {
                self.receive().map_err(Trouble::Job)?;
            }
            offset += u64::from(self.ask(row, offset, attr.size));
        }
        Ok(())
    }

    /// Asks for the next chunk; its length.
    fn ask(&mut self, row: Row, offset: u64, size: u64) -> u32 {
        let asked = u64::from(READ_LEN_MAX).min(size - offset) as u32;
        let request = ReadRequest {
            inode: self.work.promise.inode(row),
            handle: 0,
            offset,
            length: asked,
            tid: 0,
        };
        let chunk = Chunk {
            row,
            offset,
            asked,
            inbox: self.to_inbox.clone(),
        };
        self.under_way += 1;
        self.work.engine.read(request, Box::new(chunk));
        asked
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
            }) => {
                self.under_way -= 1;
                let taken = self.take(row, offset, asked, answer);
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
        let bytes = answered.bytes();
        if bytes.len() < asked as usize {
            let end = offset + bytes.len() as u64;
            return Err(Trouble::Entry(Failure::io(format!(
                "the content ends at {end}, {} bytes were declared",
                file.attr.size
            ))));
        }
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
            Publish::Replace => self.report.replaced(self.work.paths.relative(row)),
        }
        self.work.job.advance(|now| now.files_written += 1);
        self.entry_done(row);
        Ok(())
    }

    fn entry_done(&mut self, row: Row) {
        let path = self.work.paths.shown(row);
        self.work.job.advance(|now| {
            now.entries_done += 1;
            now.current_path = path;
        });
        self.tell_watchers();
    }

    /// One entry failed; the job goes on unless nothing else could succeed either.
    fn entry_failed(&mut self, row: Row, trouble: Trouble) -> Result<()> {
        self.open.remove(&row);
        let shown = String::from_utf8_lossy(&self.work.paths.shown(row)).into_owned();
        let failure = match trouble {
            Trouble::Job(failure) => return Err(failure.context(&shown)),
            Trouble::Entry(failure) => failure.context(&shown),
        };
        self.report.failed(self.work.paths.relative(row), failure);
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

    /// Modes and times of the directories we made, innermost first: a file made in
    /// one changes its time, and a read-only one takes no more files.
    fn finish_directories(&mut self) -> Result<()> {
        let promise = Arc::clone(&self.work.promise);
        let view = promise.view();
        self.inside.clear();
        for (row, _) in self.made.iter().rev().filter(|(_, file)| file.is_none()) {
            let Some(node) = view.row(*row) else { continue };
            let path = self.work.paths.relative(*row);
            let finished = self.work.target.enter(&path).and_then(|directory| {
                directory.finish(node.attr.mode, node.attr.mtime_nsec, self.work.sync)
            });
            if let Err(failure) = finished {
                self.report.failed(path, failure);
            }
        }
        Ok(())
    }

    /// Takes away what the job made, unless somebody has changed it since.
    fn undo(&mut self) {
        self.inside.clear();
        for (row, identity) in std::mem::take(&mut self.made).into_iter().rev() {
            let path = self.work.paths.relative(row);
            let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => (self.work.target.enter(&path[..slash]), &path[slash + 1..]),
                None => (Ok(self.work.target.clone()), &path[..]),
            };
            let removed = parent.and_then(|parent| match identity {
                None => parent.remove_directory(name),
                Some(identity) => parent.remove_if(name, identity),
            });
            match removed {
                Ok(()) => self.report.removed += 1,
                Err(failure) => tracing::warn!("not taken away again: {failure}"),
            }
        }
    }

    /// From now on the copy serves reads of what was written.
    fn keep_local_copy(&mut self) {
        let files = std::mem::take(&mut self.written);
        if files.is_empty() {
            return;
        }
        let copy = LocalCopy::new(self.work.target.clone(), self.work.paths.clone(), files);
        self.work.promise.keep_local(copy);
        self.work
            .engine
            .observer
            .event(EngineEvent::PromiseChanged(self.work.promise.number));
    }
}

fn vanished(row: Row) -> Failure {
    Failure::io(format!("the promise has no row {}", row.0))
}
