//! Several reads at a time.

use fuse_promise_wire::arena::Arena;

use super::*;

impl Rig {
    /// Sends a read into a slot of its own.
    fn ask(&self, row: u32, slot: u32) {
        self.send(ToProvider::Read(self.for_slot(row, slot)));
    }

    /// Has so many calls run at a time, and opens the gate.
    fn start_threads(&self, row: u32, gate: &Gate, count: u32) {
        (0..count).for_each(|slot| self.ask(row, slot));
        gate.await_inside(count as usize);
        gate.let_go(usize::MAX);
        for _ in 0..count {
            self.done();
        }
        assert_eq!(self.session.thread_count(), count as usize);
    }

    /// Keeps eight slots busy until `count` reads are answered, all of them rightly.
    fn storm(&self, row: u32, count: usize) {
        let first = self.requests.load(Ordering::Relaxed);
        let slot_of = |request: u64| u32::try_from(request).unwrap() - first;
        let mut slots: Vec<u32> = (0..8).collect();
        slots.iter().for_each(|slot| self.ask(row, *slot));
        for answered in 0..count {
            let (request, done) = self.done();
            assert_eq!((done.status, done.length), (Some(Status::Ok), 16));
            let slot = slots[slot_of(request) as usize];
            assert_eq!(self.slot(slot, 16), [slot.to_le_bytes()[0]; 16]);
            if answered + 8 < count {
                slots.push(slot);
                self.ask(row, slot);
            }
        }
    }
}

#[test]
fn as_many_calls_run_at_a_time_as_are_allowed() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    (0..6).for_each(|slot| rig.ask(row, slot));
    gate.await_inside(4);
    assert_eq!(rig.session.thread_count(), 4);
    gate.let_go(6);
    for _ in 0..6 {
        assert_eq!(rig.done().1.status, Some(Status::Ok));
    }
    assert_eq!((gate.entered(), gate.most()), (6, 4));
}

#[test]
fn never_more_calls_run_than_are_allowed() {
    for at_once in [1, 3] {
        let gate = Arc::new(Gate::open());
        let rig = Rig::calling(gated(&gate), at_once);
        let row = rig.commit();
        rig.storm(row, 2000);
        assert!((1..=at_once as usize).contains(&gate.most()));
        assert!(rig.session.thread_count() <= at_once as usize);
    }
}

#[test]
fn threads_come_with_the_reads_and_no_more_than_there_are_slots() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4096);
    assert_eq!(rig.session.thread_count(), 1);
    let row = rig.commit();
    for _ in 0..100 {
        gate.let_go(1);
        assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
    }
    assert_eq!(rig.session.thread_count(), 2, "one answers, one waits");
    let slots = GEOMETRY.slot_count();
    (0..slots).for_each(|slot| rig.ask(row, slot));
    gate.await_inside(slots as usize);
    assert_eq!(rig.session.thread_count(), slots as usize);
    gate.let_go(slots as usize);
}

#[test]
fn frames_keep_their_order_whichever_thread_takes_them() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    rig.start_threads(row, &gate, 4);
    let image = Arc::clone(&rig.session.promises.get(5).unwrap().image);
    for round in 0..1000 {
        for slot in 0..8 {
            let promise = 10 + 8 * round + slot;
            rig.commit_image(&image, promise);
            rig.send(ToProvider::Read(ReadFrame {
                promise,
                slot,
                ..rig.frame(row)
            }));
            rig.event(SessionEvent::Released, promise, 0);
        }
        for _ in 0..8 {
            assert_eq!(rig.done().1.status, Some(Status::Ok));
        }
    }
}

#[test]
fn a_released_promise_lives_as_long_as_a_call_for_it() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 2);
    let row = rig.commit();
    rig.ask(row, 0);
    gate.await_inside(1);
    let promise = Arc::downgrade(&rig.session.promises.get(5).unwrap());
    rig.event(SessionEvent::Released, 5, 0);
    assert_failed(
        &rig.read(ReadFrame {
            slot: 1,
            ..rig.frame(row)
        }),
        Status::NotFound,
    );
    assert!(promise.upgrade().is_some());
    gate.let_go(1);
    assert_eq!(rig.done().1.status, Some(Status::Ok));
}

/// Sends a hello with the epoch, and later its memory.
fn renew(rig: &Rig, epoch: u32) -> Arena {
    let (renewed, memory) = arena();
    rig.send(hello(epoch));
    std::thread::yield_now();
    let greeting = hello(epoch).encode();
    let sent = rig.channel.send_with_fd(&greeting, memory.as_fd());
    assert_eq!(sent, Ok(SendOutcome::Sent));
    renewed
}

#[test]
fn a_new_arena_comes_while_calls_write_into_the_old_one() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 3);
    let row = rig.commit();
    let frame = rig.frame(row);
    rig.ask(row, 7);
    gate.await_inside(1);
    let renewed = renew(&rig, 2);
    let asked = ReadFrame {
        epoch: 2,
        offset: 9,
        slot: 7,
        ..frame
    };
    rig.send(ToProvider::Read(asked));
    gate.await_inside(2);
    // A read of the old epoch that comes late is answered by nobody's bytes.
    let late = rig.read(ReadFrame {
        slot: 7,
        ..rig.frame(row)
    });
    assert_failed(&late, Status::Io);
    gate.let_go(2);
    let mut epochs = [rig.done().1, rig.done().1].map(|done| {
        assert_eq!((done.status, done.length), (Some(Status::Ok), 16));
        done.epoch
    });
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2]);
    assert_eq!(rig.slot(7, 16), [7; 16]);
    assert_eq!(renewed.claim(7).unwrap().bytes(16), [9; 16]);
}

#[test]
fn a_new_arena_comes_while_all_threads_wait() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    rig.start_threads(row, &gate, 4);
    for epoch in 2..100 {
        let renewed = renew(&rig, epoch);
        let frame = ReadFrame {
            epoch,
            offset: epoch.into(),
            ..rig.frame(row)
        };
        assert_eq!(rig.read(frame).status, Some(Status::Ok));
        let byte = epoch.to_le_bytes()[0];
        assert_eq!(renewed.claim(0).unwrap().bytes(16), [byte; 16]);
    }
}

#[test]
fn a_panic_is_one_reads_failure_and_costs_no_thread() {
    let gate = Arc::new(Gate::default());
    let rig = Rig::calling(
        Handler({
            let gate = Arc::clone(&gate);
            move |request: &ReadRequest<'_>, buffer: &mut [u8]| {
                gate.pass();
                assert!(request.offset.is_multiple_of(2), "the handler's own");
                Ok(buffer.len())
            }
        }),
        4,
    );
    let row = rig.commit();
    for _ in 0..5 {
        (0..4).for_each(|slot| rig.ask(row, slot));
        // All of them, so none of the threads is lost.
        gate.await_inside(4);
        gate.let_go(4);
        let failed = (0..4).filter(|_| match rig.done().1 {
            Done {
                status: Some(Status::Io),
                length: 0,
                ..
            } => true,
            done => {
                assert_eq!((done.status, done.length), (Some(Status::Ok), 16));
                false
            }
        });
        assert_eq!(failed.count(), 2);
    }
    assert_eq!(rig.session.thread_count(), 4);
}

#[test]
fn a_fault_ends_the_session_once_and_after_the_calls_that_run() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    (0..3).for_each(|slot| rig.ask(row, slot));
    gate.await_inside(3);
    rustix::net::send(&rig.channel, &[1], SendFlags::empty()).unwrap();
    // What lies in the channel behind it is not carried out, if it is not too late even to be
    // sent.
    let behind = ToProvider::Read(ReadFrame {
        slot: 3,
        ..rig.frame(row)
    });
    let sent = rig.channel.send(&behind.encode()).unwrap();
    assert!(matches!(sent, SendOutcome::Sent | SendOutcome::Closed));
    assert_eq!(rig.receive(), None);
    assert!(rig.session.is_over());
    assert_eq!(rig.session.end(), None, "calls are still running");
    gate.let_go(3);
    assert!(rig.session.wait_until_ended());
    assert!(matches!(rig.session.end(), Some(End::Faulty(what)) if what.contains("1 bytes")));
    assert_eq!((gate.inside(), gate.entered()), (0, 3));
}

#[test]
fn a_slot_that_is_taken_ends_the_session() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    rig.ask(row, 0);
    gate.await_inside(1);
    rig.ask(row, 0);
    assert_eq!(rig.receive(), None);
    gate.let_go(1);
    assert!(rig.fault().contains("slot 0"));
}

#[test]
fn a_close_ends_threads_that_wait_and_begins_no_call() {
    let gate = Arc::default();
    let rig = Rig::calling(gated(&gate), 4);
    let row = rig.commit();
    (0..4).for_each(|slot| rig.ask(row, slot));
    gate.await_inside(4);
    // More than are allowed, so they lie in the channel.
    (4..8).for_each(|slot| rig.ask(row, slot));
    rig.session.close();
    gate.let_go(usize::MAX);
    assert!(rig.session.wait_until_ended());
    assert_eq!(rig.session.end(), Some(End::Closed));
    assert_eq!(gate.entered(), 4);

    let rig = Rig::calling(gated(&Arc::new(Gate::open())), 4);
    let row = rig.commit();
    rig.storm(row, 100);
    rig.session.close();
    assert!(rig.session.wait_until_ended());
    assert_eq!(rig.end(), End::Closed);
}
