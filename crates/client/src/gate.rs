//! Where handler calls are held, for tests of calls that run at a time.

use std::sync::{Condvar, Mutex, MutexGuard};

use crate::test_support::GUARD;

/// Holds calls until a test lets them go on. One that is not let go on panics after a while.
#[derive(Default)]
pub(crate) struct Gate {
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    inside: usize,
    /// Of all moments so far.
    most: usize,
    entered: usize,
    /// Calls that may leave.
    leaving: usize,
}

impl Gate {
    /// Through which nobody waits.
    pub(crate) fn open() -> Self {
        let gate = Self::default();
        gate.let_go(usize::MAX);
        gate
    }

    /// Goes in, and out again when it may.
    pub(crate) fn pass(&self) {
        let mut calls = self.lock();
        calls.entered += 1;
        calls.inside += 1;
        calls.most = calls.most.max(calls.inside);
        self.changed.notify_all();
        drop(calls);
        // Lets others in, if there are any.
        std::thread::yield_now();
        let mut calls = self.wait_while(self.lock(), |calls| calls.leaving == 0);
        calls.leaving -= 1;
        calls.inside -= 1;
        self.changed.notify_all();
    }

    pub(crate) fn let_go(&self, calls: usize) {
        let mut held = self.lock();
        held.leaving = held.leaving.saturating_add(calls);
        drop(held);
        self.changed.notify_all();
    }

    /// Waits until so many calls are inside.
    pub(crate) fn await_inside(&self, wanted: usize) {
        drop(self.wait_while(self.lock(), |calls| calls.inside != wanted));
    }

    pub(crate) fn inside(&self) -> usize {
        self.lock().inside
    }

    pub(crate) fn entered(&self) -> usize {
        self.lock().entered
    }

    pub(crate) fn most(&self) -> usize {
        self.lock().most
    }

    fn wait_while<'a>(
        &self,
        calls: MutexGuard<'a, Calls>,
        condition: impl FnMut(&mut Calls) -> bool,
    ) -> MutexGuard<'a, Calls> {
        let waited = self.changed.wait_timeout_while(calls, GUARD, condition);
        let (calls, waited) = waited.unwrap();
        if waited.timed_out() {
            drop(calls);
            panic!("it never happened");
        }
        calls
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap()
    }
}
