//! The READs of the kernel that are owed an answer, by file.
//!
//! The kernel fills the pages of a READ until it is answered, and whoever tells it to
//! drop them meanwhile waits for that answer, as does whatever it is to be told after
//! that. So when pages of a file become stale while READs of it are owed, they are dropped
//! once those have been answered, whichever way each of them is. READs that come later are not
//! waited for here, or a file that is read all the time would keep its old pages; one that comes
//! in just while they are dropped is waited for by the kernel.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fuse_promise_core::ids::Inode;
use fuse_promise_core::status::Status;

use super::FileKey;
use crate::engine::Engine;
use crate::open::reader_of;
use crate::read::{ReadReply, ReadRequest};
use crate::session::SlotAnswer;
use crate::sync::Mutex;

/// All that are owed. Reads that the cache answers at once are not counted.
#[derive(Default)]
pub(super) struct OwedReads(Mutex<Table>);

#[derive(Default)]
struct Table {
    files: HashMap<FileKey, OwedOfFile>,
    /// READs counted so far: the number of the next.
    next: u64,
}

#[derive(Default)]
struct OwedOfFile {
    reads: BTreeSet<u64>,
    /// Its pages are to be dropped once all READs before each of these numbers have
    /// been answered. In order; never more than there are READs.
    taken_back: Vec<u64>,
}

impl OwedReads {
    fn enter(&self, file: FileKey) -> u64 {
        let mut table = self.0.lock();
        let number = table.next;
        table.next += 1;
        table.files.entry(file).or_default().reads.insert(number);
        number
    }

    /// A READ has been answered. True if the pages of its file are to be dropped now.
    fn leave(&self, file: FileKey, number: u64) -> bool {
        let mut table = self.0.lock();
        let Some(owed) = table.files.get_mut(&file) else {
            return false;
        };
        owed.reads.remove(&number);
        let oldest = owed.reads.first().copied().unwrap_or(u64::MAX);
        let over = owed.taken_back.partition_point(|end| *end <= oldest);
        owed.taken_back.drain(..over);
        if owed.reads.is_empty() {
            table.files.remove(&file);
        }
        over > 0
    }

    /// The file is taken back. True if answers are owed: the last of those sees to the
    /// pages.
    pub(super) fn take_back(&self, file: FileKey) -> bool {
        let mut table = self.0.lock();
        let next = table.next;
        let Some(owed) = table.files.get_mut(&file) else {
            return false;
        };
        // Unless that was seen to when the file was taken back before.
        let seen_to = owed.taken_back.last().copied().unwrap_or(0);
        if owed.reads.last().is_some_and(|newest| *newest >= seen_to) {
            owed.taken_back.push(next);
        }
        true
    }
}

impl Engine {
    /// What the kernel has of a file is stale. It is told now, or, if answers are owed,
    /// once it has those. Whether now.
    pub(super) fn drop_pages(&self, file: FileKey) -> bool {
        let now = !self.cache.owed.take_back(file);
        if now {
            self.notifier
                .pages_stale(Inode::new(file.promise, file.row));
        }
        now
    }

    /// Counts a READ as owed until it is answered. A job's reads fill no pages.
    pub(super) fn owe(
        self: &Arc<Self>,
        file: FileKey,
        request: &ReadRequest,
        reply: Box<dyn ReadReply>,
    ) -> Box<dyn ReadReply> {
        if reader_of(request.handle) == 0 {
            return reply;
        }
        let owed = Owed {
            engine: Arc::clone(self),
            file,
            number: self.cache.owed.enter(file),
        };
        Box::new(OwedReply { reply, owed })
    }
}

/// One READ of which it is known that it is owed.
struct Owed {
    engine: Arc<Engine>,
    file: FileKey,
    number: u64,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.engine.cache.owed.leave(self.file, self.number) {
            let inode = Inode::new(self.file.promise, self.file.row);
            self.engine.notifier.pages_stale(inode);
        }
    }
}

/// The reply to it. The order matters: it is owed until the kernel has the answer.
struct OwedReply {
    reply: Box<dyn ReadReply>,
    owed: Owed,
}

impl ReadReply for OwedReply {
    fn data(self: Box<Self>, bytes: &[u8]) {
        let Self { reply, owed } = *self;
        reply.data(bytes);
        drop(owed);
    }

    fn error(self: Box<Self>, status: Status) {
        let Self { reply, owed } = *self;
        reply.error(status);
        drop(owed);
    }

    fn answer(self: Box<Self>, answer: SlotAnswer) {
        let Self { reply, owed } = *self;
        reply.answer(answer);
        drop(owed);
    }

    fn ended(self: Box<Self>, end: u64) {
        let Self { reply, owed } = *self;
        reply.ended(end);
        drop(owed);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use fuse_promise_core::ids::{PromiseNumber, Row};

    use super::*;

    const FILE: FileKey = FileKey {
        promise: PromiseNumber(1),
        row: Row(1),
    };

    #[test]
    fn pages_go_with_the_last_read_that_was_owed_when_they_were_taken_back() {
        let owed = OwedReads::default();
        assert!(!owed.take_back(FILE), "nothing is owed");
        let before = [owed.enter(FILE), owed.enter(FILE)];
        assert!(owed.take_back(FILE));
        let later = owed.enter(FILE);
        assert!(!owed.leave(FILE, before[1]));
        assert!(owed.leave(FILE, before[0]), "whatever came later");
        assert!(owed.take_back(FILE) && owed.take_back(FILE));
        assert!(owed.leave(FILE, later));
        assert!(owed.0.lock().files.is_empty());
    }

    #[test]
    fn each_time_it_was_taken_back_is_seen_to_and_no_more_is_noted() {
        let owed = OwedReads::default();
        let hung = owed.enter(FILE);
        for _ in 0..1000 {
            assert!(owed.take_back(FILE));
            let short = owed.enter(FILE);
            assert!(!owed.leave(FILE, short));
        }
        assert_eq!(owed.0.lock().files[&FILE].taken_back.len(), 1);
        let newer = owed.enter(FILE);
        assert!(owed.take_back(FILE));
        assert!(owed.leave(FILE, hung), "for the first time");
        assert!(owed.leave(FILE, newer), "for the last");
    }
}
