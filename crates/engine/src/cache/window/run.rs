//! A run: a stretch of a file that is read from front to back.
//!
//! The kernel does not send its READs in the order of the file: two are under
//! way for a buffered reader, several for a direct read of some MiB, and they
//! come through several threads. So a READ may lie a little ahead of the run's
//! end, past one that it overtook, or a little behind it, having been
//! overtaken. A player's short seek forward lands inside what was told already
//! and goes on as well.
//!
//! What a run may ask for is also bounded by what was read of it: so however
//! a program jumps about, it cannot make the provider deliver more than a small
//! multiple of what it reads.

use std::ops::Range;

use fuse_promise_core::limits::READ_LEN_MAX;

/// The largest request to a provider. The bytes wanted grow in steps of this
/// size once the window is wide enough, and end at its multiples.
const REQUEST: u64 = READ_LEN_MAX as u64;

/// Bytes that may be told for each byte that was read. A sequential reader
/// reaches a depth of 32 MiB with its fifth MiB and is never held up by it:
/// all it was told came to be read. With what was read itself the provider
/// delivers at most nine times what was asked for, in any pattern.
const TOLD_PER_READ: u64 = 8;

/// READs of the same size that may overtake one. The kernel has two in flight
/// for a buffered reader, whose size may double from one to the next, and a
/// direct read of 4 MiB arrives as four of 1 MiB.
const OVERTAKING: u64 = 4;

/// How far ahead of the end a READ continues the run in any case: the largest
/// READ of a buffered reader is 256 KiB, and the kernel may hold its pages from
/// an earlier fault, or a short one at the end of the file may have overtaken it.
const GAP: u64 = 256 << 10;

/// How far behind the end a READ counts as overtaken in any case: two such
/// READs.
const BEHIND: u64 = 512 << 10;

/// READs elsewhere for which a run that was continued is worth more than one
/// that is a single READ: random reads beside a sequential reader push out each
/// other, not the reader.
const REMEMBERED: u64 = 64;

#[derive(Debug)]
pub(super) struct Run {
    start: u64,
    /// The furthest byte that was read.
    end: u64,
    /// The furthest byte that was told; `end` or more after each READ.
    told: u64,
    /// How far ahead of `end` bytes are wanted.
    window: u64,
    /// Bytes that READs moved `end` by, the gaps between them not counted.
    read: u64,
    /// The furthest byte that was ever told or read; beyond `told` if bytes
    /// were given up.
    reached: u64,
    /// Bytes told, those told again not counted.
    given: u64,
    continued: bool,
    last_read: u64,
}

impl Run {
    pub(super) fn new(read: Range<u64>, number: u64) -> Self {
        Self {
            start: read.start,
            end: read.end,
            told: read.end,
            window: 0,
            read: read.end - read.start,
            reached: read.end,
            given: 0,
            continued: false,
            last_read: number,
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn last_read(&self) -> u64 {
        self.last_read
    }

    pub(super) fn is_continued(&self) -> bool {
        self.continued
    }

    /// Whether the READ may be one of this run.
    pub(super) fn takes(&self, read: &Range<u64>) -> bool {
        let overtaking = OVERTAKING * (read.end - read.start);
        if read.start >= self.end {
            self.is_next(read) || read.start <= self.told
        } else {
            read.end >= self.start && self.end - read.start <= overtaking.max(BEHIND)
        }
    }

    /// What is lost if this run is forgotten: first that it was continued of
    /// late, then how lately.
    pub(super) fn worth(&self, now: u64) -> (bool, u64) {
        let remembered = self.continued && now - self.last_read <= REMEMBERED;
        (remembered, self.last_read)
    }

    /// Takes the READ into the run. Returns the bytes told before that it
    /// passed over.
    pub(super) fn extend(&mut self, read: Range<u64>, number: u64) -> Option<Range<u64>> {
        self.last_read = number;
        self.continued = true;
        self.start = self.start.min(read.start);
        if read.end <= self.end {
            return None;
        }
        let length = read.end - read.start;
        let seek = !self.is_next(&read);
        self.window = if seek {
            // One seek is made good by the next READ; a reader that only takes
            // samples soon has no window.
            self.window / 2
        } else {
            2 * self.window.max(length)
        };
        self.read += read.end - read.start.max(self.end);
        let passed_over = self.end..read.start;
        self.end = read.end;
        self.told = self.told.max(read.end);
        self.reached = self.reached.max(read.end);
        seek.then_some(passed_over)
    }

    /// The bytes that the window reaches beyond what was told, if they are
    /// worth a request.
    pub(super) fn tell(&mut self, file_size: u64, depth: u64) -> Option<Range<u64>> {
        let paid_for = self.reached - self.end;
        let earned = (TOLD_PER_READ * self.read + paid_for).saturating_sub(self.given);
        self.window = self.window.min(depth).min(earned);
        let mut target = self.end.saturating_add(self.window).min(file_size);
        let step = REQUEST.min(self.window / 2);
        if target < file_size {
            // At twice a request, half the window is left ahead all the same.
            if self.window >= 2 * REQUEST {
                target -= target % REQUEST;
            }
            if target < self.told + step {
                return None;
            }
        }
        if target <= self.told {
            return None;
        }
        let range = self.told..target;
        self.given += target.saturating_sub(self.reached);
        self.reached = self.reached.max(target);
        self.told = target;
        Some(range)
    }

    /// Forgets that bytes beyond the end were told. Returns them.
    pub(super) fn give_up_unread(&mut self) -> Option<Range<u64>> {
        let unread = self.end..self.told;
        self.told = self.end;
        (!unread.is_empty()).then_some(unread)
    }

    /// Whether the READ lies where the next one is expected, but for one that
    /// it overtook.
    fn is_next(&self, read: &Range<u64>) -> bool {
        let overtaking = OVERTAKING * (read.end - read.start);
        read.start <= self.end.saturating_add(overtaking.max(GAP))
    }
}
