//! The threads that read local files for readers of promises: a disk may wait, and
//! nobody waits on the kernel's side.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use fuse_promise_core::limits::READ_LEN_MAX;

use crate::sync::Mutex;

/// Two keep two disks or one fast one busy.
const THREADS: usize = 2;

/// A read, given a buffer for the longest there is.
pub(crate) type DiskRead = Box<dyn FnOnce(&mut [u8]) + Send>;

/// The queue to the threads, which start with the first read.
#[derive(Default)]
pub(crate) struct DiskReaders {
    queue: OnceLock<Sender<DiskRead>>,
}

impl DiskReaders {
    /// Hands the read to a thread.
    pub(crate) fn submit(&self, read: DiskRead) {
        let queue = self.queue.get_or_init(start);
        if let Err(refused) = queue.send(read) {
            // No thread could be started: better to wait here than not to answer.
            (refused.0)(&mut vec![0; READ_LEN_MAX as usize]);
        }
    }
}

fn start() -> Sender<DiskRead> {
    let (queue, reads) = channel();
    let reads = Arc::new(Mutex::new(reads));
    for number in 0..THREADS {
        let reads = Arc::clone(&reads);
        let thread = std::thread::Builder::new().name(format!("fp-disk-{number}"));
        if let Err(error) = thread.spawn(move || serve(&reads)) {
            tracing::warn!("a thread for reading local files does not start: {error}");
        }
    }
    queue
}

fn serve(reads: &Mutex<Receiver<DiskRead>>) {
    let mut buffer = vec![0; READ_LEN_MAX as usize];
    loop {
        let next = reads.lock().recv();
        let Ok(read) = next else { return };
        read(&mut buffer);
    }
}
