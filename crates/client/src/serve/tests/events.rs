//! What the handler hears of promises.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::handler::PromiseEvent::{self, Destroyed, Released};

/// A handler whose reads pass a gate, and which hears and says what it heard.
struct Hearing {
    gate: Arc<Gate>,
    heard: Mutex<Sender<(String, PromiseEvent)>>,
    hear: fn(&str),
}

impl ReadHandler for Hearing {
    fn read(&self, _: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        self.gate.pass();
        Ok(buffer.len())
    }

    fn event(&self, promise_id: &std::ffi::CStr, event: PromiseEvent) {
        let id = promise_id.to_str().unwrap();
        // Before anybody who waits for it goes on.
        let heard = (id.to_owned(), event);
        let _ = self.heard.lock().unwrap().send(heard);
        (self.hear)(id);
    }
}

struct Heard(Receiver<(String, PromiseEvent)>);

impl Heard {
    #[track_caller]
    fn next(&self, promise: u32, event: PromiseEvent) {
        let next = self.0.recv_timeout(GUARD);
        assert_eq!(next, Ok((format!("promise-{promise}"), event)));
    }

    #[track_caller]
    fn nothing_more(&self) {
        assert!(self.0.try_recv().is_err());
    }
}

fn rig(at_once: u32, gate: &Arc<Gate>, hear: fn(&str)) -> (Rig, Heard) {
    let (heard, hears) = channel();
    let handler = Hearing {
        gate: Arc::clone(gate),
        heard: Mutex::new(heard),
        hear,
    };
    (Rig::calling(handler, at_once), Heard(hears))
}

impl Rig {
    /// Commits another promise with the tree of number 5.
    fn commit_again(&self, promise: u32) {
        // The answer comes behind number 5's own commit.
        let of_no_file = ReadFrame {
            row: u32::MAX,
            ..self.frame(0)
        };
        assert_failed(&self.read(of_no_file), Status::NotFound);
        let image = Arc::clone(&self.session.promises.get(5).unwrap().image);
        self.commit_image(&image, promise);
    }
}

#[test]
fn a_promise_is_heard_of_in_order_and_each_event_once() {
    for at_once in [1, 4] {
        let (rig, heard) = rig(at_once, &Arc::new(Gate::open()), |_| {});
        let row = rig.commit();
        assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
        rig.event(SessionEvent::Destroyed, 5, 0);
        heard.next(5, Destroyed);
        // Files that are open are still read.
        assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
        heard.nothing_more();
        rig.event(SessionEvent::Released, 5, 0);
        heard.next(5, Released);
        // A daemon that says it twice is not passed on.
        rig.event(SessionEvent::Released, 5, 0);
        let answer = rig.read(rig.frame(row));
        assert_failed(&answer, Status::NotFound);
        heard.nothing_more();
    }
}

#[test]
fn a_release_is_heard_of_when_the_last_call_for_the_promise_has_returned() {
    let gate = Arc::default();
    let (rig, heard) = rig(3, &gate, |_| {});
    let row = rig.commit();
    rig.commit_again(6);
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    rig.send(ToProvider::Read(rig.for_slot(row, 1)));
    gate.await_inside(2);
    for promise in [5, 6] {
        rig.event(SessionEvent::Destroyed, promise, 0);
        rig.event(SessionEvent::Released, promise, 0);
    }
    heard.next(5, Destroyed);
    heard.next(6, Destroyed);
    heard.next(6, Released);
    gate.let_go(1);
    rig.done();
    heard.nothing_more();
    gate.let_go(1);
    rig.done();
    heard.next(5, Released);
}

#[test]
fn reads_go_on_while_an_event_is_heard_if_several_may_run() {
    static HOLD: Mutex<()> = Mutex::new(());
    let held = HOLD.lock().unwrap();
    let (rig, heard) = rig(2, &Arc::new(Gate::open()), |_| drop(HOLD.lock().unwrap()));
    let row = rig.commit();
    rig.commit_again(6);
    rig.event(SessionEvent::Destroyed, 6, 0);
    heard.next(6, Destroyed);
    for _ in 0..10 {
        assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
    }
    // One is heard at a time.
    rig.event(SessionEvent::Released, 6, 0);
    assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
    heard.nothing_more();
    drop(held);
    heard.next(6, Released);
}

#[test]
fn a_handler_that_panics_over_an_event_goes_on_serving() {
    for at_once in [1, 4] {
        let (rig, heard) = rig(at_once, &Arc::new(Gate::open()), |_| panic!("of the test"));
        let row = rig.commit();
        rig.event(SessionEvent::Destroyed, 5, 0);
        heard.next(5, Destroyed);
        assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
        rig.event(SessionEvent::Released, 5, 0);
        heard.next(5, Released);
    }
}

#[test]
fn nothing_is_heard_once_the_session_is_being_closed() {
    let gate = Arc::default();
    let (rig, heard) = rig(2, &gate, |_| {});
    let row = rig.commit();
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    gate.await_inside(1);
    rig.event(SessionEvent::Destroyed, 5, 0);
    heard.next(5, Destroyed);
    rig.event(SessionEvent::Released, 5, 0);
    rig.session.close();
    gate.let_go(1);
    assert!(rig.session.wait_until_ended());
    heard.nothing_more();
}

#[test]
fn order_is_kept_among_many_promises_and_reads() {
    let (rig, heard) = rig(4, &Arc::new(Gate::open()), |_| {});
    let row = rig.commit();
    for round in 0..200 {
        let promise = 10 + round;
        rig.commit_again(promise);
        for slot in 0..4 {
            rig.send(ToProvider::Read(ReadFrame {
                promise,
                ..rig.for_slot(row, slot)
            }));
        }
        rig.event(SessionEvent::Destroyed, promise, 0);
        rig.event(SessionEvent::Released, promise, 0);
        heard.next(promise, Destroyed);
        heard.next(promise, Released);
        for _ in 0..4 {
            assert_eq!(rig.done().1.status, Some(Status::Ok));
        }
    }
}
