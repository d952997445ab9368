//! The threads that read local files for readers of promises: a disk may wait, and
//! nobody waits on the kernel's side.
//!
//! They start with the first read. A system that is short of threads mostly has one a
//! little later, so those that are missing are tried again with each read; until there
//! is one, reads are done by whoever brings them.

use std::io::Result;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use fuse_promise_core::limits::READ_LEN_MAX;

use crate::sync::Mutex;

/// Two keep two disks or one fast one busy.
const THREADS: usize = 2;

/// A read, given a buffer for the longest there is.
pub(crate) type DiskRead = Box<dyn FnOnce(&mut [u8]) + Send>;

/// Starts a thread of this name.
type Start = fn(String, Box<dyn FnOnce() + Send>) -> Result<()>;

/// The queue to the threads.
pub(crate) struct DiskReaders {
    queue: Sender<DiskRead>,
    reads: Arc<Mutex<Receiver<DiskRead>>>,
    threads: Mutex<Threads>,
    start: Start,
}

#[derive(Default)]
struct Threads {
    running: usize,
    /// The last one did not start, and that was said.
    complained: bool,
}

impl Default for DiskReaders {
    fn default() -> Self {
        Self::with(|name, work| {
            let thread = std::thread::Builder::new().name(name);
            thread.spawn(work).map(drop)
        })
    }
}

impl DiskReaders {
    fn with(start: Start) -> Self {
        let (queue, reads) = channel();
        Self {
            queue,
            reads: Arc::new(Mutex::new(reads)),
            threads: Mutex::default(),
            start,
        }
    }

    /// Hands the read to a thread.
    pub(crate) fn submit(&self, read: DiskRead) {
        if !self.has_threads() {
            // Better to wait here than not to answer.
            return read(&mut vec![0; READ_LEN_MAX as usize]);
        }
        // The receiver is our own.
        let _ = self.queue.send(read);
    }

    /// Starts what is missing of the threads; whether there is any.
    fn has_threads(&self) -> bool {
        let mut threads = self.threads.lock();
        while threads.running < THREADS {
            let name = format!("fp-disk-{}", threads.running);
            let reads = Arc::clone(&self.reads);
            match (self.start)(name, Box::new(move || serve(&reads))) {
                Ok(()) => {
                    threads.running += 1;
                    threads.complained = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut threads.complained, true) {
                        tracing::warn!(
                            running = threads.running,
                            "a thread for reading local files does not start: {error}"
                        );
                    }
                    break;
                }
            }
        }
        threads.running > 0
    }
}

fn serve(reads: &Mutex<Receiver<DiskRead>>) {
    let mut buffer = vec![0; READ_LEN_MAX as usize];
    loop {
        let next = reads.lock().recv();
        let Ok(read) = next else { return };
        read(&mut buffer);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;

    /// The thread that did a read.
    fn done_by(readers: &DiskReaders) -> Option<String> {
        let (done, by) = sync_channel(1);
        readers.submit(Box::new(move |buffer| {
            assert_eq!(buffer.len(), READ_LEN_MAX as usize);
            let name = std::thread::current().name().map(str::to_owned);
            done.send(name).unwrap();
        }));
        by.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn threads_that_did_not_start_are_tried_again_with_the_next_read() {
        static TRIES: AtomicUsize = AtomicUsize::new(0);
        let readers = DiskReaders::with(|name, work| {
            // The first fails, then the second of the two that are wanted.
            if matches!(TRIES.fetch_add(1, Ordering::SeqCst), 0 | 2) {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            std::thread::Builder::new().name(name).spawn(work).map(drop)
        });
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(done_by(&readers), here, "there is no thread yet");
        assert_eq!(done_by(&readers).as_deref(), Some("fp-disk-0"));
        assert_eq!(TRIES.load(Ordering::SeqCst), 3);
        assert_ne!(done_by(&readers), here);
        done_by(&readers);
        assert_eq!(TRIES.load(Ordering::SeqCst), 4, "both are there");
    }
}
