//! One daemon per runtime directory.
//!
//! The daemon holds an exclusive flock on a file of the runtime directory as long as it lives; the
//! kernel takes it away when the process ends, however it ends. A client that wants to know whether
//! a daemon lives asks for the same lock, shared, and lets it go at once: by itself, because in a
//! child that another thread forks meanwhile the descriptor stays open. It never connects to find
//! out: a connection would start the daemon.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use fuse_promise_core::{Failure, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::errno::failed;
use crate::runtime_dir::RuntimeDir;

/// A probe holds the lock for microseconds; one that is stopped in between must not keep a daemon
/// from starting for long, so the daemon asks again for this long before it gives up.
const PROBE_PATIENCE: Duration = Duration::from_millis(200);

/// Long beside a probe, short beside the patience.
const PAUSE: Duration = Duration::from_millis(2);

/// The lock of the one daemon of a runtime directory. Released when dropped, or with the process.
#[derive(Debug)]
pub struct DaemonLock {
    fd: OwnedFd,
}

impl DaemonLock {
    /// `None` if another daemon has it.
    pub fn acquire(dir: &RuntimeDir) -> Result<Option<Self>> {
        let path = dir.lock_path();
        let what = format!("lock {}", path.display());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed(&what, errno))?;
        let give_up = Instant::now() + PROBE_PATIENCE;
        loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { fd })),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() >= give_up => return Ok(None),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(errno) => return Err(failed(&what, errno)),
            }
        }
    }

    /// Takes over the descriptor of a lock that was kept over exec. Asking again for a lock that
    /// the descriptor already holds changes nothing; one that does not hold it is refused.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { fd }),
            Err(Errno::WOULDBLOCK) => Err(Failure::unavailable(
                "the lock handed over is held by another daemon",
            )),
            Err(errno) => Err(failed("the lock handed over", errno)),
        }
    }
}

impl AsFd for DaemonLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks whether a daemon lives. Creates nothing and starts nothing.
#[derive(Debug)]
pub struct Probe {
    fd: OwnedFd,
    /// For messages.
    what: String,
}

impl Probe {
    /// `None` if there is no lock file, and so no daemon.
    pub fn open(dir: &RuntimeDir) -> Result<Option<Self>> {
        let path = dir.lock_path();
        let what = format!("lock {}", path.display());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, what })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed(&what, errno)),
        }
    }

    /// Whether a daemon holds the lock.
    pub fn is_held(&self) -> Result<bool> {
        match self.flock(FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(true),
            Err(errno) => return Err(failed(&self.what, errno)),
        }
        self.flock(FlockOperation::Unlock)
            .map_err(|errno| failed(&self.what, errno))?;
        Ok(false)
    }

    fn flock(&self, operation: FlockOperation) -> Result<(), Errno> {
        loop {
            match flock(&self.fd, operation) {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

impl AsFd for Probe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests;
