//! What the daemon says of promises, until the handler has heard it.
//!
//! Events wait here in the order in which they came, and one thread at a time passes one on. A
//! promise that is released may still be read by calls of other threads; its event waits for them
//! and lets those of other promises past.

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use fuse_promise_core::PromiseNumber;

use crate::fork::ParentOnly;
use crate::handler::PromiseEvent;
use crate::promises::{KnownPromise, Promise};

#[derive(Default)]
pub(crate) struct Events {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// A thread is passing one on.
    telling: bool,
}

struct Waiting {
    told: Told,
    /// Held by each call that still runs for the promise.
    calls: Weak<ParentOnly<Promise>>,
}

/// One event, on its way to the handler.
pub(crate) struct Told {
    pub(crate) promise_id: CString,
    pub(crate) event: PromiseEvent,
}

impl Events {
    pub(crate) fn destroyed(&self, number: PromiseNumber) {
        self.push(number, PromiseEvent::Destroyed, Weak::new());
    }

    /// A promise that has just been taken from those that may be read.
    pub(crate) fn released(&self, number: PromiseNumber, promise: &KnownPromise) {
        let calls = KnownPromise::downgrade(promise);
        self.push(number, PromiseEvent::Released, calls);
    }

    fn push(&self, number: PromiseNumber, event: PromiseEvent, calls: Weak<ParentOnly<Promise>>) {
        // An id holds no NUL.
        let promise_id = CString::new(number.id()).unwrap_or_default();
        let told = Told { promise_id, event };
        self.lock().waiting.push_back(Waiting { told, calls });
    }

    /// The next event, unless another thread is passing one on: that one then takes the rest too.
    /// Whoever gets one says [`heard`](Self::heard) afterwards.
    ///
    /// To be asked behind every packet and behind every call for a read, since each may have been
    /// what an event was waiting for.
    pub(crate) fn next(&self) -> Option<Told> {
        let mut queue = self.lock();
        if queue.telling {
            return None;
        }
        let is_due = |waiting: &Waiting| waiting.calls.strong_count() == 0;
        let due = queue.waiting.iter().position(is_due)?;
        queue.telling = true;
        queue.waiting.remove(due).map(|waiting| waiting.told)
    }

    pub(crate) fn heard(&self) {
        self.lock().telling = false;
    }

    /// Nothing in here panics half way, so a poisoned queue is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::PromiseImage;

    fn known(number: u32) -> KnownPromise {
        let id = CString::new(PromiseNumber(number).id()).unwrap();
        let image = Arc::new(PromiseImage::Heap(Vec::new()));
        Arc::new(ParentOnly::new(Promise { id, image }))
    }

    fn next(events: &Events) -> Option<(String, PromiseEvent)> {
        let told = events.next()?;
        events.heard();
        Some((told.promise_id.into_string().unwrap(), told.event))
    }

    fn some(id: &str, event: PromiseEvent) -> Option<(String, PromiseEvent)> {
        Some((id.to_owned(), event))
    }

    #[test]
    fn a_release_waits_for_calls_and_lets_other_promises_past() {
        let events = Events::default();
        let in_call = known(1);
        events.destroyed(PromiseNumber(1));
        events.released(PromiseNumber(1), &in_call);
        events.destroyed(PromiseNumber(2));
        events.released(PromiseNumber(2), &known(2));
        assert_eq!(next(&events), some("promise-1", PromiseEvent::Destroyed));
        assert_eq!(next(&events), some("promise-2", PromiseEvent::Destroyed));
        assert_eq!(next(&events), some("promise-2", PromiseEvent::Released));
        assert_eq!(next(&events), None);
        drop(in_call);
        assert_eq!(next(&events), some("promise-1", PromiseEvent::Released));
        assert_eq!(next(&events), None);
    }

    #[test]
    fn one_event_is_passed_on_at_a_time() {
        let events = Events::default();
        events.destroyed(PromiseNumber(1));
        events.destroyed(PromiseNumber(2));
        assert!(events.next().is_some());
        assert!(events.next().is_none());
        events.heard();
        assert_eq!(next(&events), some("promise-2", PromiseEvent::Destroyed));
    }
}
