//! For tests of what waits: a hang is a failure, not a test run that never ends.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Runs the test on a thread of its own and fails if it takes a minute.
pub fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel();
    let running = thread::spawn(move || {
        test();
        // Nobody listens once the minute is over.
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("still waiting after a minute"),
        Err(RecvTimeoutError::Disconnected) => {
            resume_unwind(running.join().expect_err("it ended without being done"));
        }
    }
}
