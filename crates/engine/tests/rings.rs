//! Frames in shared memory: a daemon and a provider that find each other awake.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use fuse_promise_core::ids::PromiseNumber;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{ProviderConfig, ReadReply, ReadRequest};
use fuse_promise_wire::{Direction, Put, ReadFrame, RingPutter, ToDaemon, ToProvider};
use support::{FakeProvider, HANG, Reader, Rig, bytes, node};

/// A reader whose answer keeps the pump busy until it is let go.
struct Slow {
    answered: Sender<()>,
    go_on: Receiver<()>,
}

impl ReadReply for Slow {
    fn data(self: Box<Self>, _: &[u8]) {
        self.answered.send(()).unwrap();
        self.go_on.recv_timeout(HANG).unwrap();
    }

    fn error(self: Box<Self>, status: Status) {
        panic!("{status:?}");
    }
}

/// Notes whose turn it was.
struct Noted(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl ReadReply for Noted {
    fn data(self: Box<Self>, _: &[u8]) {
        self.1.lock().unwrap().push(self.0);
    }

    fn error(self: Box<Self>, status: Status) {
        panic!("{status:?}");
    }
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

/// A provider that allows so many reads that none waits in the daemon.
fn provider_of_many(rig: &Rig) -> FakeProvider {
    rig.provider_with(ProviderConfig {
        max_concurrent_reads: 64,
        ..ProviderConfig::default()
    })
}

/// The pump is inside an answer of this provider until the sender is used.
fn occupy_pump(rig: &Rig, provider: &FakeProvider, promise: PromiseNumber) -> Sender<()> {
    let (answered, is_answered) = channel();
    let (go_on, wait) = channel();
    let slow = Slow {
        answered,
        go_on: wait,
    };
    rig.engine.read(request(promise, 0), Box::new(slow));
    provider.answer(&provider.asked());
    is_answered.recv_timeout(HANG).unwrap();
    go_on
}

fn put_answer(ring: &mut RingPutter, provider: &FakeProvider, read: &ReadFrame) -> Put {
    provider.write(read, read.length);
    let done = ToDaemon::Done {
        request: read.request,
        epoch: read.epoch,
        status: Status::Ok.code(),
        length: read.length,
    };
    ring.put(&done.encode())
}

/// Twenty reads, each answered into the ring of a pump that is awake.
fn put_twenty(rig: &Rig, provider: &FakeProvider, promise: PromiseNumber) -> Vec<Reader> {
    let mut ring = provider.arena.putter(Direction::ToDaemon);
    let readers: Vec<_> = (1..=20)
        .map(|index| rig.read(node(promise, 1), index * 100, 100))
        .collect();
    for _ in &readers {
        let read = provider.asked();
        assert_eq!(put_answer(&mut ring, provider, &read), Put::Done);
    }
    readers
}

fn assert_answered(readers: &[Reader]) {
    for (index, reader) in (1..).zip(readers) {
        assert_eq!(reader.answer(), Ok(bytes(1, index * 100, 100)));
    }
}

#[test]
fn a_busy_pump_finds_answers_in_the_ring() {
    let rig = Rig::new();
    let provider = provider_of_many(&rig);
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let go_on = occupy_pump(&rig, &provider, promise);
    let readers = put_twenty(&rig, &provider, promise);
    go_on.send(()).unwrap();
    assert_answered(&readers);
    rig.assert_idle();
    // It sleeps by now or soon, and then answers come through the channel.
    let reader = rig.read(node(promise, 1), 0, 10);
    provider.answer(&provider.asked());
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
}

#[test]
fn a_busy_provider_finds_reads_in_the_ring() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let mut ring = provider.arena.taker(Direction::ToProvider);
    ring.wake();
    let readers = [0, 100, 200].map(|offset| rig.read(node(promise, 1), offset, 100));
    assert!(provider.asked_already().is_none(), "no frame, no wake-up");
    for (offset, reader) in [0, 100, 200].into_iter().zip(&readers) {
        let frame = ring.take().unwrap().expect("a read");
        let Ok(ToProvider::Read(read)) = ToProvider::decode(&frame) else {
            panic!("{frame:?} instead of Read");
        };
        provider.answer(&read);
        assert_eq!(reader.answer(), Ok(bytes(1, offset, 100)));
    }
    assert!(ring.sleep());
    let reader = rig.read(node(promise, 1), 0, 10);
    provider.answer(&provider.asked());
    reader.answer().unwrap();
    rig.assert_idle();
}

#[test]
fn nobody_waits_behind_more_than_eight_answers_of_another_provider() {
    let rig = Rig::new();
    let (many, one) = (provider_of_many(&rig), rig.provider());
    let (of_many, of_one) = (
        rig.commit(&many, &[("a", 1 << 20)]),
        rig.commit(&one, &[("b", 1 << 20)]),
    );
    let mut ring = many.arena.putter(Direction::ToDaemon);
    let go_on = occupy_pump(&rig, &many, of_many);
    let order = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..60 {
        let noted = Noted("many", Arc::clone(&order));
        rig.engine.read(request(of_many, 0), Box::new(noted));
        put_answer(&mut ring, &many, &many.asked());
    }
    let noted = Noted("one", Arc::clone(&order));
    rig.engine.read(request(of_one, 0), Box::new(noted));
    one.answer(&one.asked());
    go_on.send(()).unwrap();
    rig.settle("not answered", |_| order.lock().unwrap().len() == 61);
    let order = order.lock().unwrap();
    let place = order.iter().position(|who| *who == "one").unwrap();
    assert!(place <= 8, "behind {place} of the other's");
}

#[test]
fn an_impossible_ring_ends_its_session_alone() {
    let rig = Rig::new();
    let (rude, other) = (provider_of_many(&rig), rig.provider());
    let promise = rig.commit(&rude, &[("a", 1 << 20)]);
    let of_other = rig.commit(&other, &[("b", 1 << 20)]);
    let mut ring = rude.arena.putter(Direction::ToDaemon);
    let go_on = occupy_pump(&rig, &rude, promise);
    assert_eq!(ring.put(&[0xff; 64]), Put::Done);
    go_on.send(()).unwrap();
    assert!(rude.is_closed());
    let reader = rig.read(node(of_other, 1), 0, 10);
    other.answer(&other.asked());
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
    rig.settle("not counted", |gauges| gauges.faulty_sessions == 1);
}

#[test]
fn what_a_provider_put_into_the_ring_before_it_went_still_counts() {
    let rig = Rig::new();
    let provider = provider_of_many(&rig);
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let go_on = occupy_pump(&rig, &provider, promise);
    let readers = put_twenty(&rig, &provider, promise);
    provider.channel.shutdown();
    go_on.send(()).unwrap();
    assert_answered(&readers);
}
