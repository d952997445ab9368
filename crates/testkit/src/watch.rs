//! The hang guard: a thread that acts when a test takes far too long.
//!
//! A blocked `read` on a mount cannot be given up by the thread that waits in
//! it, so the watch ends what it waits for instead: it prints the evidence,
//! then runs the action it was given (which kills the session), and the
//! blocked call returns with an error that fails the test.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::thread::JoinHandle;
use std::time::Duration;

/// Armed from its start until it is dropped.
#[derive(Debug)]
pub struct Watch {
    limits: Option<Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
    expired: Arc<AtomicBool>,
}

impl Watch {
    /// Runs `action` once if nothing is heard for `limit`.
    pub fn start(limit: Duration, action: impl FnOnce() + Send + 'static) -> Self {
        let (limits, heard) = channel();
        let expired = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&expired);
        let thread = std::thread::Builder::new()
            .name("test-watch".into())
            .spawn(move || watch(&heard, limit, &flag, action))
            .expect("a thread");
        Self {
            limits: Some(limits),
            thread: Some(thread),
            expired,
        }
    }

    /// Starts the time anew with another limit.
    pub fn allow(&self, limit: Duration) {
        if let Some(limits) = &self.limits {
            // Nobody listens any more when it has run out already.
            let _ = limits.send(limit);
        }
    }

    /// Whether the action has run.
    pub fn expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.limits = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(
    heard: &Receiver<Duration>,
    mut limit: Duration,
    expired: &AtomicBool,
    action: impl FnOnce(),
) {
    loop {
        match heard.recv_timeout(limit) {
            Ok(next) => limit = next,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                expired.store(true, Ordering::Release);
                action();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_acts_when_the_time_is_over() {
        let (told, tell) = channel();
        let watch = Watch::start(Duration::ZERO, move || told.send(()).unwrap());
        tell.recv().unwrap();
        assert!(watch.expired());
    }

    #[test]
    fn it_does_nothing_when_it_is_dropped_before() {
        let (told, tell) = channel::<()>();
        drop(Watch::start(Duration::from_secs(3600), move || {
            told.send(()).unwrap()
        }));
        assert!(tell.recv().is_err());
    }
}
