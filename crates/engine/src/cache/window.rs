//! What an open file will be read of next, told from the READs seen so far.
//!
//! A file is read in runs: stretches in which each READ begins near where the
//! one before it ended. The first READ of a run asks for nothing ahead, so that
//! a look at the head of a file costs what the kernel asked for. Each further
//! one doubles how far ahead the run wants its bytes, up to the depth. A READ
//! that belongs to no known run begins a new one. Some runs are remembered,
//! since threads, or a player's sound and picture, read one open file in turns;
//! what was told for a run that is passed over for some READs is not wanted any
//! more, but the run goes on at its old width if a READ comes back to it.
//!
//! Nothing here knows time, locks or requests. The bytes told are only wanted:
//! the caller leaves out what is held or under way already.

mod run;

use std::ops::Range;

use run::Run;

/// Runs that are remembered. Players and archivers read at two places, a few
/// threads at some more; a program with more threads than this keeps the
/// provider busy without being helped.
const RUNS: usize = 8;

/// READs elsewhere after which a run's unread bytes are not wanted any more. A
/// single one may be a look at an index; with the second a reader has gone
/// elsewhere and should not wait behind what it left. Giving up too early costs
/// little: requests that were sent still bring their bytes, and the run tells
/// the others again when it is read on.
const PATIENCE: u64 = 2;

/// What bounds the window at the moment of a READ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes ahead of the reader at most; 0 asks for nothing ahead. The runs
    /// that are being read share it.
    pub depth: u64,
}

/// The readahead of one open file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    runs: Vec<Run>,
    reads: u64,
    unwanted: Vec<Range<u64>>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A READ of `length` bytes from `offset` was seen. Returns the bytes behind
    /// it that are wanted from now on and were not told before.
    pub(crate) fn read(
        &mut self,
        offset: u64,
        length: u64,
        file_size: u64,
        limits: &Limits,
    ) -> Option<Range<u64>> {
        let read = offset..offset.saturating_add(length).min(file_size);
        if read.is_empty() {
            return None;
        }
        self.reads += 1;
        let told = match self.run_of(&read) {
            Some(place) => self.continue_run(place, read, file_size, limits.depth),
            None => {
                self.begin_run(read);
                None
            }
        };
        for run in &mut self.runs {
            if self.reads - run.last_read() == PATIENCE {
                self.unwanted.extend(run.give_up_unread());
            }
        }
        told
    }

    /// Bytes that were told and are not wanted any more: those a seek passed
    /// over, and those of a run that is not read on. Asked after each READ,
    /// until there are none. They may be told again later.
    pub(crate) fn unwanted(&mut self) -> Option<Range<u64>> {
        self.unwanted.pop()
    }

    /// The run the READ belongs to: of those it may continue the one whose end
    /// is nearest, and of two as near the one that was read last.
    fn run_of(&self, read: &Range<u64>) -> Option<usize> {
        (0..self.runs.len())
            .filter(|&place| self.runs[place].takes(read))
            .min_by_key(|&place| {
                let run = &self.runs[place];
                (run.end().abs_diff(read.start), self.reads - run.last_read())
            })
    }

    fn continue_run(
        &mut self,
        place: usize,
        read: Range<u64>,
        file_size: u64,
        depth: u64,
    ) -> Option<Range<u64>> {
        let now = self.reads;
        let run = &mut self.runs[place];
        let overtaken = read.end <= run.end();
        self.unwanted.extend(run.extend(read, now));
        if overtaken {
            return None;
        }
        let being_read = |run: &&Run| run.is_continued() && now - run.last_read() < PATIENCE;
        let sharing = self.runs.iter().filter(being_read).count();
        self.runs[place].tell(file_size, depth / sharing as u64)
    }

    /// Begins a run, in the place of the one least worth remembering if there
    /// are too many.
    fn begin_run(&mut self, read: Range<u64>) {
        let now = self.reads;
        let run = Run::new(read, now);
        if self.runs.len() < RUNS {
            self.runs.push(run);
        } else if let Some(least) = self.runs.iter_mut().min_by_key(|run| run.worth(now)) {
            // It was told nothing, or lost its patience long ago.
            *least = run;
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
