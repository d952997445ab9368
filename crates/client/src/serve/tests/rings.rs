//! Frames in shared memory, as long as the other side is awake.

use fuse_promise_core::image::{ImageView, TreeBuilder};
use fuse_promise_core::{NodeAttr, PathRule};
use fuse_promise_wire::{Direction, Put, RingPutter, ToDaemon};

use super::*;
use crate::image::PromiseImage;

fn put(ring: &mut RingPutter, read: ReadFrame) -> Put {
    ring.put(&ToProvider::Read(read).encode())
}

#[test]
fn a_thread_that_is_busy_finds_the_next_reads_in_the_ring() {
    let gate = Arc::default();
    let rig = Rig::new(gated(&gate));
    let row = rig.commit();
    let mut ring = rig.arena.putter(Direction::ToProvider);
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    gate.await_inside(1);
    for slot in 1..8 {
        assert_eq!(put(&mut ring, rig.for_slot(row, slot)), Put::Done);
    }
    gate.let_go(usize::MAX);
    for slot in 0..8 {
        let (request, done) = rig.done();
        assert_eq!((request, done.status), (u64::from(slot), Some(Status::Ok)));
        assert_eq!(rig.slot(slot, 16), [slot as u8; 16]);
    }
}

#[test]
fn a_thread_that_waits_wants_its_reads_in_the_channel() {
    let rig = Rig::new(gated(&Arc::new(Gate::open())));
    let row = rig.commit();
    let mut ring = rig.arena.putter(Direction::ToProvider);
    for slot in 0..8 {
        let read = rig.for_slot(row, slot);
        let frame = ToProvider::Read(read).encode();
        // It falls asleep at a moment of its own choice; what it does not get by the ring it
        // must get by the channel, and a bell counts as much as a frame.
        match ring.put(&frame) {
            Put::Done => {}
            Put::RingBell => rig.send(ToProvider::Bell),
            Put::Not => rig.send(ToProvider::Read(read)),
        }
        assert_eq!(rig.done().0, read.request);
    }
}

#[test]
fn reads_that_were_sent_before_it_woke_come_first() {
    let gate = Arc::default();
    let rig = Rig::new(gated(&gate));
    let row = rig.commit();
    let mut ring = rig.arena.putter(Direction::ToProvider);
    let mut sent = Vec::new();
    for slot in 0..4 {
        let read = rig.for_slot(row, slot);
        ring.note_elsewhere();
        rig.send(ToProvider::Read(read));
        sent.push(read.request);
    }
    gate.await_inside(1);
    for slot in 4..8 {
        let read = rig.for_slot(row, slot);
        assert_eq!(put(&mut ring, read), Put::Done);
        sent.push(read.request);
    }
    gate.let_go(usize::MAX);
    let answered: Vec<_> = sent.iter().map(|_| rig.done().0).collect();
    assert_eq!(answered, sent);
}

#[test]
fn a_promise_is_known_before_a_read_of_it_that_came_by_the_ring() {
    let gate = Arc::default();
    let rig = Rig::new(gated(&gate));
    let row = rig.commit();
    let mut ring = rig.arena.putter(Direction::ToProvider);
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    gate.await_inside(1);
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let attr = NodeAttr {
        mode: 0o600,
        size: 100,
        mtime_nsec: 0,
    };
    tree.add_file(b"new", attr, b"id").unwrap();
    let mut bytes = Vec::new();
    tree.write_image(&mut bytes).unwrap();
    let new = ImageView::trusted(&bytes).resolve(b"new").unwrap();
    rig.commit_image(&Arc::new(PromiseImage::Heap(bytes)), 6);
    let of_new = ReadFrame {
        promise: 6,
        ..rig.for_slot(new.0, 1)
    };
    let of_nobody = ReadFrame {
        promise: 99,
        ..rig.for_slot(new.0, 2)
    };
    for read in [of_new, of_nobody] {
        assert_eq!(put(&mut ring, read), Put::Done);
    }
    gate.let_go(usize::MAX);
    assert_eq!(rig.done().1.status, Some(Status::Ok));
    assert_eq!(rig.done().1.status, Some(Status::Ok));
    assert_failed(&rig.done().1, Status::NotFound);
}

#[test]
fn a_daemon_that_is_awake_finds_the_answers_in_the_ring() {
    let rig = Rig::new(gated(&Arc::new(Gate::open())));
    let row = rig.commit();
    let mut answers = rig.arena.taker(Direction::ToDaemon);
    answers.wake();
    rig.send(ToProvider::Read(rig.for_slot(row, 3)));
    let answer = loop {
        if let Some(frame) = answers.take().unwrap() {
            break ToDaemon::decode(&frame).unwrap();
        }
        std::thread::yield_now();
    };
    assert!(
        matches!(answer, ToDaemon::Done { length: 16, .. }),
        "{answer:?}"
    );
    assert!(answers.sleep());
    rig.send(ToProvider::Read(rig.for_slot(row, 3)));
    assert_eq!(rig.done().1.length, 16);
}

#[test]
fn frames_of_the_channel_have_their_turn_beside_those_of_the_ring() {
    let gate = Arc::default();
    let rig = Rig::new(gated(&gate));
    let row = rig.commit();
    let mut ring = rig.arena.putter(Direction::ToProvider);
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    gate.await_inside(1);
    rig.send(ToProvider::Cancel { request: 77 });
    for _ in 0..100 {
        assert_eq!(put(&mut ring, rig.for_slot(row, 0)), Put::Done);
    }
    gate.let_go(99);
    for _ in 0..99 {
        rig.done();
    }
    assert_eq!(rig.session.cancelled(), 1);
    gate.let_go(usize::MAX);
}

#[test]
fn a_ring_that_cannot_be_ends_the_session() {
    let gate = Arc::default();
    let rig = Rig::new(gated(&gate));
    let row = rig.commit();
    rig.send(ToProvider::Read(rig.for_slot(row, 0)));
    gate.await_inside(1);
    let mut ring = rig.arena.putter(Direction::ToProvider);
    ring.put(&[0xff; 64]);
    gate.let_go(usize::MAX);
    rig.done();
    assert!(rig.fault().contains("kind"), "{}", rig.fault());
}
