//! Extents in a file instead of memory.
//!
//! The file has no name, so nothing of it is left behind however the process
//! ends. Each extent has a room in it, whole blocks, given back when the last
//! holder drops it: a reader that still copies out of it keeps it from being
//! written over. All writing is done by one thread. Bytes on their way to it are
//! still in memory and are bounded; what does not fit is refused. The same thread
//! punches holes where rooms were, before they are given out again, so that the
//! disk really gets the space back.

use std::io::{ErrorKind, Result};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fuse_promise_wire::FreeRanges;

use super::buffer::Buffer;
use super::policy::Place;
use crate::sync::Mutex;

/// Bytes that may wait to be written: what a reader with the deepest readahead
/// has under way, so that a burst of that is taken in by a slow disk.
const WAITING_MAX: u64 = 32 << 20;
/// Rooms are whole blocks of the usual file systems: only those can be freed.
pub(super) const BLOCK: u64 = 4096;
/// A full disk fails every write; that is said once in this time.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The file, as far as extents need one.
pub(super) trait Backing: Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    fn punch(&self, range: &Range<u64>) -> Result<()>;
}

pub(super) struct Disk {
    file: Arc<dyn Backing>,
    free: Arc<Mutex<FreeRanges>>,
    waiting: Arc<AtomicU64>,
    work: Sender<Work>,
}

/// A part of the file that belongs to one extent.
pub(super) struct Room {
    disk: Arc<Disk>,
    range: Range<u64>,
}

/// A place among the bytes that may wait to be written.
pub(super) struct Turn {
    waiting: Arc<AtomicU64>,
    len: u64,
}

enum Work {
    Write {
        place: Place,
        /// Gone if the extent was dropped before its turn came.
        room: Weak<Room>,
        bytes: Arc<Buffer>,
        turn: Turn,
    },
    Free(Range<u64>),
}

/// Told by the writing thread after each write.
pub(super) type Written = Box<dyn Fn(Place, &Arc<Room>, Result<()>) + Send>;

impl Disk {
    pub(super) fn start(file: Box<dyn Backing>, written: Written) -> Result<Arc<Self>> {
        let (work, receiver) = channel();
        let disk = Self {
            file: Arc::from(file),
            // Longer than any file system allows: the file is as long as the rooms
            // need, because the first places that fit are taken.
            free: Arc::new(Mutex::new(FreeRanges::new(
                isize::MAX.cast_unsigned() & !(BLOCK as usize - 1),
            ))),
            waiting: Arc::default(),
            work,
        };
        let writer = Writer {
            file: Arc::clone(&disk.file),
            free: Arc::clone(&disk.free),
            written,
            complaints: Complaints::default(),
        };
        // It ends when the last sender is gone: with the store and its rooms.
        std::thread::Builder::new()
            .name("cache-writer".into())
            .spawn(move || writer.run(&receiver))?;
        Ok(Arc::new(disk))
    }

    /// Room for an extent and a turn to write it; `None` while too much waits.
    pub(super) fn reserve(self: &Arc<Self>, len: u64) -> Option<(Arc<Room>, Turn)> {
        let fits = |waiting: u64| (waiting + len <= WAITING_MAX).then_some(waiting + len);
        let order = Ordering::Relaxed;
        self.waiting.fetch_update(order, order, fits).ok()?;
        let turn = Turn {
            waiting: Arc::clone(&self.waiting),
            len,
        };
        let blocks = usize::try_from(len.next_multiple_of(BLOCK)).ok()?;
        let range = self.free.lock().take(blocks)?;
        let room = Room {
            disk: Arc::clone(self),
            range: range.start as u64..range.end as u64,
        };
        Some((Arc::new(room), turn))
    }

    pub(super) fn write(&self, place: Place, room: &Arc<Room>, bytes: Arc<Buffer>, turn: Turn) {
        let room = Arc::downgrade(room);
        // Without its thread nothing is written and the bytes stay in memory.
        let _ = self.work.send(Work::Write {
            place,
            room,
            bytes,
            turn,
        });
    }
}

impl Room {
    /// Bytes of disk it takes.
    pub(super) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.disk.file.read_at(buffer, self.range.start + offset)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.disk.work.send(Work::Free(self.range.clone()));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// What the writing thread has.
struct Writer {
    file: Arc<dyn Backing>,
    free: Arc<Mutex<FreeRanges>>,
    written: Written,
    complaints: Complaints,
}

impl Writer {
    fn run(mut self, work: &Receiver<Work>) {
        while let Ok(work) = work.recv() {
            match work {
                Work::Write {
                    place,
                    room,
                    bytes,
                    turn,
                } => {
                    if let Some(room) = room.upgrade() {
                        self.write(place, &room, &bytes);
                    }
                    // Waiting ends when the memory does.
                    drop(bytes);
                    drop(turn);
                }
                Work::Free(range) => self.free(&range),
            }
        }
    }

    fn write(&mut self, place: Place, room: &Arc<Room>, bytes: &[u8]) {
        let wrote = self.file.write_at(bytes, room.range.start);
        if let Err(error) = &wrote
            && let Some(unsaid) = self.complaints.may_say(Instant::now())
        {
            tracing::warn!(
                unsaid,
                "what cannot be written to the cache directory is not cached: {error}"
            );
        }
        (self.written)(place, room, wrote);
    }

    fn free(&mut self, range: &Range<u64>) {
        // Where holes are unknown the space comes back when the room is used again.
        if let Err(error) = self.file.punch(range)
            && error.kind() != ErrorKind::Unsupported
            && let Some(unsaid) = self.complaints.may_say(Instant::now())
        {
            tracing::warn!(unsaid, "space in the cache directory is not freed: {error}");
        }
        let index = |offset: u64| usize::try_from(offset).expect("given out as one");
        let range = index(range.start)..index(range.end);
        self.free.lock().give_back(range);
    }
}

/// When something was last said about the disk.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// How many went unsaid before, if the next may be said.
    fn may_say(&mut self, now: Instant) -> Option<u64> {
        let is_early = |last| now.duration_since(last) < COMPLAINT_INTERVAL;
        if self.last.is_some_and(is_early) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_is_complained_about_once_a_minute() {
        let mut complaints = Complaints::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(complaints.may_say(start), Some(0));
        assert_eq!(complaints.may_say(after(1)), None);
        assert_eq!(complaints.may_say(after(59)), None);
        assert_eq!(complaints.may_say(after(60)), Some(2));
        assert_eq!(complaints.may_say(after(61)), None);
    }
}
