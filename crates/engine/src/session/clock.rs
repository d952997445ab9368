//! The pump's ticks: a timer that its epoll watches.
//!
//! A timeout of epoll itself would be set and taken back with every wait, for
//! every read, and to set a timer is dear on a virtual machine. This one is set
//! once for each tick.

use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Becomes readable when a tick is due.
pub(super) struct Timer(OwnedFd);

impl Timer {
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    fn set(&self, delay: Duration) {
        let zero = Timespec::default();
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec::try_from(delay).unwrap_or(zero),
        };
        // Fails only for times that make no sense.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How the ticks go.
#[derive(Default)]
pub(super) struct Clock {
    running: bool,
    /// The time of the next tick has come.
    due: bool,
    /// Ticks since the last one that was needed.
    pub(super) quiet: u32,
}

impl Clock {
    pub(super) fn start(&mut self, timer: &Timer, tick: Duration) {
        if !self.running {
            self.restart(timer, tick);
        }
    }

    /// The next tick comes this much later than now, however late the last one was.
    pub(super) fn restart(&mut self, timer: &Timer, tick: Duration) {
        self.running = true;
        self.due = false;
        timer.set(tick);
    }

    pub(super) fn stop(&mut self, timer: &Timer) {
        self.running = false;
        self.due = false;
        timer.set(Duration::ZERO);
    }

    /// The timer is readable. Setting it anew makes it unreadable again.
    pub(super) fn note_due(&mut self) {
        self.due = true;
    }

    pub(super) fn is_due(&self) -> bool {
        self.due
    }
}
