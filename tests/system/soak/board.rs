//! What is published now, for everybody to see.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuse_promise_testkit::{Published, Random};

/// A promise that can be read, or could be just now.
#[derive(Debug)]
pub struct Shown {
    pub published: Published,
    /// Its end has begun; from now on it may fail.
    leaving: AtomicBool,
}

impl Shown {
    pub fn may_fail(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Default)]
pub struct Board {
    shown: Mutex<Vec<Arc<Shown>>>,
    /// Every id there ever was.
    ids: Mutex<HashSet<String>>,
    pub whole_files: AtomicU64,
    pub failed_reads: AtomicU64,
    pub killed_readers: AtomicU64,
    pub whole_copies: AtomicU64,
    pub cancelled_copies: AtomicU64,
}

impl Board {
    /// A promise nobody has seen before.
    pub fn show(&self, published: Published) -> Arc<Shown> {
        let id = published.id();
        assert!(self.ids.lock().unwrap().insert(id.clone()), "{id} again");
        let shown = Arc::new(Shown {
            published,
            leaving: AtomicBool::new(false),
        });
        self.shown.lock().unwrap().push(Arc::clone(&shown));
        shown
    }

    /// Before anything is done to end it.
    pub fn leave(&self, leaving: &Arc<Shown>) {
        leaving.leaving.store(true, Ordering::SeqCst);
        let mut shown = self.shown.lock().unwrap();
        shown.retain(|other| !Arc::ptr_eq(other, leaving));
    }

    /// One of those that are shown.
    pub fn pick(&self, random: &mut Random) -> Option<Arc<Shown>> {
        let shown = self.shown.lock().unwrap();
        let count = shown.len() as u64;
        (count > 0).then(|| Arc::clone(&shown[random.below(count) as usize]))
    }

    /// What has happened so far, by its names in this struct.
    pub fn tally(&self) -> [(&'static str, u64); 6] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("promises", self.ids.lock().unwrap().len() as u64),
            ("whole_files", count(&self.whole_files)),
            ("failed_reads", count(&self.failed_reads)),
            ("killed_readers", count(&self.killed_readers)),
            ("whole_copies", count(&self.whole_copies)),
            ("cancelled_copies", count(&self.cancelled_copies)),
        ]
    }

    /// Where nothing happens, nothing is tested. In a short time not everything need have happened.
    pub fn assert_lively(&self, long: bool) {
        let tally = self.tally();
        let must_have_happened = if long { tally.len() } else { 2 };
        for (what, count) in &tally[..must_have_happened] {
            assert!(*count > 0, "no {what}: {tally:?}");
        }
    }
}

/// A random moment; not a wait for anything.
pub fn pause(random: &mut Random, latest: Duration) {
    let micros = random.below(latest.as_micros() as u64);
    std::thread::sleep(Duration::from_micros(micros));
}
