//! The end of a job: directories get their modes and times, or, if the job was
//! stopped, what it made is taken away again.

use std::sync::Arc;

use fuse_promise_core::failure::Result;

use super::copy::Copying;
use super::local::LocalCopy;
use crate::observe::EngineEvent;

impl Copying {
    /// Modes and times of the directories we made, innermost first: a file made in
    /// one changes its time, and a read-only one takes no more files.
    pub(super) fn finish_directories(&mut self) -> Result<()> {
        let promise = Arc::clone(&self.work.promise);
        let view = promise.view();
        self.inside.clear();
        for (row, _) in self.made.iter().rev().filter(|(_, file)| file.is_none()) {
            let Some(node) = view.row(*row) else { continue };
            let path = self.work.paths.relative(&view, *row);
            let finished = self.work.target.enter(&path).and_then(|directory| {
                directory.finish(node.attr.mode, node.attr.mtime_nsec, self.work.sync)
            });
            if let Err(failure) = finished {
                self.report.failed(path, failure);
            }
        }
        if self.work.sync {
            self.sync_others()?;
        }
        Ok(())
    }

    /// Names in directories that were there before come to disk too.
    fn sync_others(&self) -> Result<()> {
        self.work.target.sync()?;
        for row in &self.reused {
            self.work.target.enter(&self.relative(*row))?.sync()?;
        }
        Ok(())
    }

    /// Takes away what the job made, unless somebody has changed it since.
    pub(super) fn undo(&mut self) {
        self.inside.clear();
        // Answers still under way are nobody's now, and their slots free.
        self.inbox = std::sync::mpsc::channel().1;
        for (row, identity) in std::mem::take(&mut self.made).into_iter().rev() {
            let path = self.relative(row);
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
    pub(super) fn keep_local_copy(&mut self) {
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
