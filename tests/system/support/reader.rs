//! A read on a thread of its own, whose end can be waited for or looked at.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use fuse_promise_testkit::process::HANG_LIMIT;
use rustix::io::Errno;

/// One pread(2).
pub struct Reader {
    told: Receiver<Outcome>,
    outcome: RefCell<Option<Outcome>>,
}

type Outcome = Result<Vec<u8>, Errno>;

impl Reader {
    /// Opens the file and reads once.
    pub fn of(path: &Path, offset: u64, length: usize) -> Self {
        let path = path.to_owned();
        Self::start(move || File::open(path), offset, length)
    }

    /// Reads once from a file that is open already.
    pub fn of_open(file: &Arc<File>, offset: u64, length: usize) -> Self {
        let file = Arc::clone(file);
        Self::start(move || Ok(file), offset, length)
    }

    /// `count` readers of the same file, each with a range of its own.
    pub fn many(path: &Path, count: u64, length: usize) -> Vec<Self> {
        let ranges = 0..count;
        ranges
            .map(|n| Self::of(path, n * length as u64, length))
            .collect()
    }

    fn start<F: Borrow<File>>(
        open: impl FnOnce() -> std::io::Result<F> + Send + 'static,
        offset: u64,
        length: usize,
    ) -> Self {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let read = open().and_then(|file| {
                let mut bytes = vec![0; length];
                let read = file.borrow().read_at(&mut bytes, offset)?;
                bytes.truncate(read);
                Ok(bytes)
            });
            // The test may have failed meanwhile.
            let _ = tell.send(read.map_err(|error| Errno::from_io_error(&error).unwrap()));
        });
        Self {
            told,
            outcome: RefCell::new(None),
        }
    }

    /// Waits for the end of the read.
    #[track_caller]
    pub fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.borrow_mut();
        let told = || self.told.recv_timeout(HANG_LIMIT);
        outcome
            .get_or_insert_with(|| told().expect("the end of a read"))
            .clone()
    }

    /// Waits for the end of the read, which must have got these bytes. They are
    /// too many to be shown.
    #[track_caller]
    pub fn assert_got(&self, bytes: &[u8]) {
        let outcome = self.outcome();
        let lengths = outcome.as_ref().map(Vec::len);
        assert_eq!(lengths, Ok(bytes.len()));
        let differs = outcome.unwrap().iter().zip(bytes).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first wrong byte");
    }

    /// Whether the read still waits.
    pub fn waits(&self) -> bool {
        let mut outcome = self.outcome.borrow_mut();
        if outcome.is_none() {
            *outcome = self.told.try_recv().ok();
        }
        outcome.is_none()
    }
}
