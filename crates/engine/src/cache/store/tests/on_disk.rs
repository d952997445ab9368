//! The store with a file under it whose writes wait for a word of the test, and
//! fail if it says so.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// Nothing here takes long; a test that waits for so long hangs.
const HANG: Duration = Duration::from_secs(60);

struct Watched {
    file: UnlinkedFile,
    is_full: Arc<AtomicBool>,
    /// A word for each write; without a sender they need none.
    go: Mutex<Receiver<()>>,
    done: Sender<Done>,
}

#[derive(Debug, PartialEq)]
enum Done {
    Wrote,
    Punched(u64),
}

impl Backing for Watched {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _ = self.go.lock().recv();
        let wrote = if self.is_full.load(Ordering::SeqCst) {
            // As a disk that fills up does: a part is written.
            let part = &bytes[..bytes.len() / 2];
            self.file.write_at(part, offset).unwrap();
            Err(Error::from(ErrorKind::StorageFull))
        } else {
            self.file.write_at(bytes, offset)
        };
        let _ = self.done.send(Done::Wrote);
        wrote
    }

    fn punch(&self, range: &Range<u64>) -> io::Result<()> {
        let _ = self.done.send(Done::Punched(range.end - range.start));
        self.file.punch(range)
    }
}

struct Rig {
    store: Store,
    is_full: Arc<AtomicBool>,
    go: Sender<()>,
    done: Receiver<Done>,
    rows: u32,
}

impl Rig {
    fn new(limit: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (go, go_on) = channel();
        let (tell, done) = channel();
        let is_full = Arc::<AtomicBool>::default();
        let file = Watched {
            file: UnlinkedFile::create(directory.path()).unwrap(),
            is_full: Arc::clone(&is_full),
            go: Mutex::new(go_on),
            done: tell,
        };
        Self {
            store: Store::with_backing(limit, Box::new(file)).unwrap(),
            is_full,
            go,
            done,
            rows: 0,
        }
    }

    fn next_write(&self) {
        self.go.send(()).unwrap();
        while self.done.recv_timeout(HANG).unwrap() != Done::Wrote {}
    }

    /// Waits until the thread is done with all before, the last write's outcome
    /// included, by giving it one more write of a file of its own. Returns which
    /// files that insert was told to be no longer whole.
    fn settle(&mut self) -> Vec<FileKey> {
        self.rows += 1;
        let last = insert(&self.store, file(9, self.rows), 10, 0..10);
        assert!(last.kept);
        self.next_write();
        last.no_longer_whole
    }

    fn is_in_memory(&self, file: FileKey, range: Range<u64>) -> bool {
        let found = self.store.look(file, range.clone());
        assert_found(&found, file, 0, &range);
        assert_eq!(found.missing, []);
        found.pieces.iter().all(|piece| piece.in_memory().is_some())
    }
}

#[test]
fn bytes_are_read_from_memory_until_they_are_on_disk() {
    let mut rig = Rig::new(4 * MIB);
    let f = file(1, 1);
    assert!(insert(&rig.store, f, 100_000, 0..100_000).whole);
    assert!(rig.is_in_memory(f, 0..100_000));
    rig.next_write();
    rig.settle();
    assert!(!rig.is_in_memory(f, 0..100_000));
    assert!(rig.store.is_whole(f, 100_000));
    assert_balanced(&rig.store);
}

#[test]
fn what_waits_is_bounded_and_what_is_too_much_is_not_kept() {
    let rig = Rig::new(64 * MIB);
    let inserts = (1..=40).map(|row| insert(&rig.store, file(1, row), MIB, 0..MIB));
    let kept = inserts.filter(|inserted| inserted.kept).count();
    assert_eq!(kept, 32);
    assert_eq!(rig.store.whole_files(PromiseNumber(1)), 32);
    (0..32).for_each(|_| rig.next_write());
    assert!(insert(&rig.store, file(2, 1), MIB, 0..MIB).kept);
    assert_eq!(rig.store.usage().unwritten_extents, 0);
}

#[test]
fn a_full_disk_loses_bytes_and_never_gives_wrong_ones() {
    let mut rig = Rig::new(4 * MIB);
    rig.is_full.store(true, Ordering::SeqCst);
    let mut told = Vec::new();
    for row in 1..=3 {
        let inserted = insert(&rig.store, file(1, row), 50_000, 0..50_000);
        assert!(inserted.kept && inserted.whole);
        told.extend(inserted.no_longer_whole);
        rig.next_write();
    }
    rig.is_full.store(false, Ordering::SeqCst);
    let held = rig.store.look(file(1, 3), 0..50_000);
    told.extend(rig.settle());
    told.extend(rig.store.take_unwritten());
    told.sort();
    assert_eq!(told, [file(1, 1), file(1, 2), file(1, 3)]);
    assert_found(&held, file(1, 3), 0, &(0..50_000));
    for row in 1..=3 {
        assert!(!rig.store.is_whole(file(1, row), 50_000));
        assert_eq!(rig.store.missing(file(1, row), 0..50_000), only(0..50_000));
        assert!(insert(&rig.store, file(1, row), 50_000, 0..50_000).whole);
        rig.next_write();
    }
    rig.settle();
    for row in 1..=3 {
        assert!(!rig.is_in_memory(file(1, row), 0..50_000));
    }
    assert_eq!(rig.store.usage().unwritten_extents, 3);
    assert_eq!(rig.store.take_unwritten(), []);
    assert_balanced(&rig.store);
}

#[test]
fn what_goes_before_its_turn_is_not_written_and_rooms_become_holes() {
    let rig = Rig::new(4 * MIB);
    // The first keeps the thread busy until its word.
    for promise in 1..=3 {
        insert(&rig.store, file(promise, 1), 100_000, 0..100_000);
    }
    rig.store.remove_promise(PromiseNumber(2));
    rig.store.remove_promise(PromiseNumber(3));
    drop(rig.go);
    drop(rig.store);
    let mut done = Vec::new();
    // It ends with the store, and with it the file.
    while let Ok(one) = rig.done.recv_timeout(HANG) {
        done.push(one);
    }
    let block_len = 100_000_u64.next_multiple_of(4096);
    let wrote = done.iter().filter(|one| **one == Done::Wrote).count();
    assert!(wrote <= 1, "{done:?}");
    let punched = done.iter().filter(|one| **one == Done::Punched(block_len));
    assert_eq!(punched.count(), 3, "{done:?}");
}

#[test]
fn a_piece_on_disk_keeps_its_room() {
    let mut rig = Rig::new(4 * MIB);
    let f = file(1, 1);
    insert(&rig.store, f, 100_000, 0..100_000);
    rig.next_write();
    rig.settle();
    let found = rig.store.look(f, 10..99_999);
    assert!(found.pieces.iter().all(|piece| piece.in_memory().is_none()));
    rig.store.remove_promise(PromiseNumber(1));
    for row in 1..=20 {
        insert(&rig.store, file(2, row), 100_000, 0..100_000);
        rig.next_write();
    }
    assert_found(&found, f, 0, &(10..99_999));
    drop(found);
    rig.settle();
}

#[test]
fn readers_get_right_bytes_while_others_are_written_and_evicted() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::on_disk(512 * KIB, directory.path()).unwrap();
    let size = 300 * KIB;
    std::thread::scope(|scope| {
        for promise in 1..=4 {
            let store = &store;
            scope.spawn(move || {
                for step in 0..400 {
                    // Every other look is at the file of another thread.
                    let f = file((promise + step % 2) % 4 + 1, 1);
                    let start = u64::from(step * 7919 % 270) * KIB;
                    let range = start..start + 30 * KIB;
                    let found = store.look(f, range.clone());
                    assert_found(&found, f, 0, &range);
                    insert(store, f, size, range);
                    if step % 97 == 0 {
                        store.remove_file(f);
                    }
                }
            });
        }
    });
    assert!(store.usage().evicted_extents > 0);
    assert_eq!(store.usage().unwritten_extents, 0);
    assert_balanced(&store);
}
