//! Answers that the thread which asks takes itself.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use fuse_promise_core::ids::PromiseNumber;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{ReadReply, ReadRequest};
use fuse_promise_wire::{Direction, Put, ReadFrame, RingPutter, ToDaemon};
use support::{FakeProvider, HANG, Rig, node};

/// Tells which thread answered, and may keep it for a while.
struct Told {
    by: Sender<ThreadId>,
    go_on: Option<Receiver<()>>,
}

impl ReadReply for Told {
    fn data(self: Box<Self>, _: &[u8]) {
        self.by.send(thread::current().id()).unwrap();
        if let Some(go_on) = self.go_on {
            go_on.recv_timeout(HANG).unwrap();
        }
    }

    fn error(self: Box<Self>, status: Status) {
        panic!("{status:?}");
    }
}

fn told() -> (Box<Told>, Receiver<ThreadId>) {
    let (by, answered) = channel();
    (Box::new(Told { by, go_on: None }), answered)
}

fn request(promise: PromiseNumber, offset: u64) -> ReadRequest {
    ReadRequest {
        inode: node(promise, 1),
        handle: 0,
        offset,
        length: 100,
        tid: 0,
    }
}

struct Scene {
    rig: Rig,
    provider: FakeProvider,
    promise: PromiseNumber,
    ring: RingPutter,
}

/// A provider that has said hello and takes one read at a time; the pump sleeps.
fn scene(answer_poll: Duration) -> Scene {
    let rig = Rig::with(|options| options.answer_poll = answer_poll);
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let ring = provider.arena.putter(Direction::ToDaemon);
    read_by_pump(&rig, &provider, promise);
    rig.settle("awake", |_| !ring.is_awake());
    // Once the pump answers for another provider it has let go of this one's ring.
    let other = rig.provider();
    let of_other = rig.commit(&other, &[("b", 1 << 20)]);
    read_by_pump(&rig, &other, of_other);
    Scene {
        rig,
        provider,
        promise,
        ring,
    }
}

fn read_by_pump(rig: &Rig, provider: &FakeProvider, promise: PromiseNumber) {
    let reader = rig.read(node(promise, 1), 0, 10);
    provider.answer(&provider.asked());
    reader.answer().unwrap();
}

impl Scene {
    fn put_answer(&mut self, read: &ReadFrame) -> Put {
        self.provider.write(read, read.length);
        let done = ToDaemon::Done {
            request: read.request,
            epoch: read.epoch,
            status: Status::Ok.code(),
            length: read.length,
        };
        self.ring.put(&done.encode())
    }

    /// Another thread reads as the mount does; it ends when that is done with it.
    fn read_and_poll(&self, reply: Box<Told>) -> thread::JoinHandle<ThreadId> {
        let engine = self.rig.engine.clone();
        let request = request(self.promise, 0);
        thread::spawn(move || {
            engine.read_and_poll(request, reply);
            thread::current().id()
        })
    }
}

#[test]
fn a_lone_reader_is_answered_by_the_thread_that_asked() {
    let mut scene = scene(HANG);
    let (reply, answered) = told();
    let asking = scene.read_and_poll(reply);
    let read = scene.provider.asked();
    assert_eq!(scene.put_answer(&read), Put::Done);
    assert!(scene.ring.is_polled());
    let by = answered.recv_timeout(HANG).unwrap();
    assert_eq!(asking.join().unwrap(), by);
    // Nobody looks now, so answers come through the channel.
    let reader = scene.rig.read(node(scene.promise, 1), 0, 100);
    let read = scene.provider.asked();
    assert_eq!(scene.put_answer(&read), Put::Not);
    scene.provider.answer(&read);
    reader.answer().unwrap();
    scene.rig.assert_idle();
}

#[test]
fn one_of_several_reads_is_left_to_the_pump() {
    let scene = scene(HANG);
    let first = scene.rig.read(node(scene.promise, 1), 0, 100);
    let (reply, answered) = told();
    let asking = scene.read_and_poll(reply);
    // It ends before anything is answered.
    let asked_by = asking.join().unwrap();
    for _ in 0..2 {
        scene.provider.answer(&scene.provider.asked());
    }
    first.answer().unwrap();
    assert_ne!(answered.recv_timeout(HANG).unwrap(), asked_by);
    scene.rig.assert_idle();
    // Of several readers, too, there may be none that waits at the moment.
    let (reply, answered) = told();
    let asked_by = scene.read_and_poll(reply).join().unwrap();
    scene.provider.answer(&scene.provider.asked());
    assert_ne!(answered.recv_timeout(HANG).unwrap(), asked_by);
    scene.rig.assert_idle();
}

#[test]
fn a_provider_that_takes_its_time_finds_everybody_asleep() {
    let mut scene = scene(Duration::from_nanos(1));
    let (reply, answered) = told();
    let asked_by = scene.read_and_poll(reply).join().unwrap();
    let read = scene.provider.asked();
    assert_eq!(scene.put_answer(&read), Put::Not);
    scene.provider.answer(&read);
    assert_ne!(answered.recv_timeout(HANG).unwrap(), asked_by);
    scene.rig.assert_idle();
}

/// While the pump is busy, a thread that asks for one reader takes what is there for others.
#[test]
fn answers_are_taken_in_passing() {
    let mut scene = scene(Duration::ZERO);
    let (by, answered) = channel();
    let (go_on, wait) = channel();
    let slow = Box::new(Told {
        by,
        go_on: Some(wait),
    });
    scene.rig.engine.read(request(scene.promise, 0), slow);
    scene.provider.answer(&scene.provider.asked());
    let pump = answered.recv_timeout(HANG).unwrap();
    // The pump is inside that answer now, and awake.
    let mut others = Vec::new();
    for offset in 1..=6 {
        let (reply, answered) = told();
        scene.rig.engine.read(request(scene.promise, offset), reply);
        let read = scene.provider.asked();
        assert_eq!(scene.put_answer(&read), Put::Done);
        others.push(answered);
    }
    let (reply, last) = told();
    let asked_by = scene.read_and_poll(reply).join().unwrap();
    let by_now: Vec<_> = others.iter().map(|told| told.try_recv().ok()).collect();
    assert_eq!(by_now[..4], [Some(asked_by); 4]);
    assert_eq!(
        by_now[4..],
        [None; 2],
        "the next reader is not kept waiting"
    );
    go_on.send(()).unwrap();
    for told in &others[4..] {
        assert_eq!(told.recv_timeout(HANG).unwrap(), pump);
    }
    scene.provider.answer(&scene.provider.asked());
    last.recv_timeout(HANG).unwrap();
    scene.rig.assert_idle();
}

/// The thread that asked has other things to do than to answer everybody.
#[test]
fn a_flood_of_answers_is_handed_to_the_pump() {
    let mut scene = scene(HANG);
    let (by, answered) = channel();
    let (go_on, wait) = channel();
    let asking = scene.read_and_poll(Box::new(Told {
        by,
        go_on: Some(wait),
    }));
    let read = scene.provider.asked();
    assert_eq!(scene.put_answer(&read), Put::Done);
    let asked_by = answered.recv_timeout(HANG).unwrap();
    let mut others = Vec::new();
    for offset in 1..=20 {
        let (reply, answered) = told();
        scene.rig.engine.read(request(scene.promise, offset), reply);
        others.push(answered);
    }
    for _ in &others {
        let read = scene.provider.asked();
        assert_eq!(scene.put_answer(&read), Put::Done);
    }
    go_on.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), asked_by);
    let by: Vec<_> = others
        .iter()
        .map(|answered| answered.recv_timeout(HANG).unwrap())
        .collect();
    assert!(by.iter().filter(|by| **by == asked_by).count() <= 8);
    scene.rig.assert_idle();
}
