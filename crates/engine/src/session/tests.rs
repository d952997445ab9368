//! The tables of a session under every interleaving that shuttle finds, with the
//! steps of readers, provider, clock and end in threads of their own. Without the
//! feature `shuttle` the same runs on real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::ids::{PromiseNumber, ProviderNumber, Row};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::words::CachePolicy;
use fuse_promise_wire::{Channel, RecvOutcome, SegmentStore, ToProvider};

#[cfg(not(feature = "shuttle"))]
use super::outcome::Placed;
use super::outcome::{Answer, Done, Settled};
use super::*;
use crate::cache::Store;
use crate::promise::Promise;
use crate::read::ReadReply;
use crate::sync::{explore, thread};

/// Counts how often each reader was answered: a byte of a word per reader.
#[derive(Default)]
struct Answers(AtomicU64);

impl Answers {
    fn of(&self, reader: u32) -> u8 {
        (self.0.load(Ordering::SeqCst) >> (8 * reader)) as u8
    }
}

struct CountedReply(Arc<Answers>, u32);

impl ReadReply for CountedReply {
    fn data(self: Box<Self>, _bytes: &[u8]) {
        self.0.0.fetch_add(1 << (8 * self.1), Ordering::SeqCst);
    }

    fn error(self: Box<Self>, _status: fuse_promise_core::Status) {
        self.0.0.fetch_add(1 << (8 * self.1), Ordering::SeqCst);
    }
}

struct Rig {
    session: Arc<Session>,
    promise: Arc<Promise>,
    provider: Arc<Channel>,
    answers: Arc<Answers>,
}

impl Rig {
    fn new() -> Self {
        let client = Client {
            pid: 1,
            uid: 1,
            program: "test".into(),
            process: None,
        };
        let pump = Arc::new(Pump::new().unwrap());
        let (session, registration) = Session::open(
            ProviderNumber(1),
            client,
            ProviderConfig::default(),
            Waits {
                read_timeout: Duration::from_secs(1),
                answer_poll: Duration::ZERO,
            },
            pump,
        )
        .unwrap();
        let session = Arc::new(session);
        let mut tree = TreeBuilder::new(PathRule::Utf8);
        let attr = NodeAttr {
            mode: 0o644,
            size: 1 << 40,
            mtime_nsec: 0,
        };
        tree.add_file(b"a", attr, b"a").unwrap();
        let image = fuse_promise_wire::image::seal(&tree).unwrap();
        let image = fuse_promise_wire::MappedImage::open(image).unwrap();
        let charge = session.account.charge(1).unwrap();
        let image = SegmentStore::new().place(image).unwrap();
        let promise = Promise::new(
            PromiseNumber(1),
            Arc::clone(&session),
            CachePolicy::NoCache,
            &Arc::new(Store::in_memory(0)),
            image,
            charge,
        );
        Self {
            session,
            promise: Arc::new(promise),
            provider: Arc::new(Channel::from_fd(registration.channel).unwrap()),
            answers: Arc::default(),
        }
    }

    fn read(&self, reader: u32) -> thread::JoinHandle<()> {
        let (session, promise) = (Arc::clone(&self.session), Arc::clone(&self.promise));
        let reply = Box::new(CountedReply(Arc::clone(&self.answers), reader));
        thread::spawn(move || {
            let want = Want {
                promise: 1,
                row: Row(1),
                offset: u64::from(reader) << 20,
                length: 1 << 20,
                tid: 0,
            };
            let waiter = Waiter {
                reply,
                promise,
                cached: false,
            };
            if let Err((waiter, failure)) = session.request(want, waiter) {
                waiter.reply.error(failure.status);
            }
        })
    }

    /// Answers `count` requests as they come; with `split`, the first of them in
    /// two pieces.
    fn serve(&self, count: u32, mut split: bool) -> thread::JoinHandle<()> {
        let (session, provider) = (Arc::clone(&self.session), Arc::clone(&self.provider));
        thread::spawn(move || {
            let mut answered = 0;
            while answered < count {
                match next_read(&provider) {
                    Next::Read(read) => {
                        let length = if split { 1 } else { read.length };
                        answered += u32::from(!split);
                        split = false;
                        answer(&session, &read, length);
                    }
                    Next::Nothing => thread::yield_now(),
                    Next::Over => return,
                }
            }
        })
    }

    fn assert_balanced(&self, readers: u32) {
        for reader in 0..readers {
            assert_eq!(self.answers.of(reader), 1, "reader {reader}");
        }
        assert_eq!(self.session.load(), [0; 4]);
    }
}

enum Next {
    Read(fuse_promise_wire::ReadFrame),
    Nothing,
    Over,
}

fn next_read(provider: &Channel) -> Next {
    let mut packet = [0; fuse_promise_wire::channel::RECV_LEN];
    match provider.recv(&mut packet).unwrap() {
        RecvOutcome::Frame(frame) => match ToProvider::decode(&frame).unwrap() {
            ToProvider::Read(read) => Next::Read(read),
            _ => Next::Nothing,
        },
        RecvOutcome::Empty => Next::Nothing,
        RecvOutcome::NotAFrame(_) | RecvOutcome::Closed => Next::Over,
    }
}

/// The pump's part: settle, answer, free, send what waited.
fn answer(session: &Session, read: &fuse_promise_wire::ReadFrame, length: u32) {
    let done = Done {
        request: read.request,
        epoch: read.epoch,
        status: 0,
        length,
    };
    let settled = session.traffic.lock().settle(done);
    match settled {
        Settled::Answer(mut asked, answer) => {
            assert_eq!(answer, Answer::Whole);
            let waiter = asked.waiter.take().unwrap();
            waiter.reply.data(asked.slot.bytes(1));
            let next = session.traffic.lock().finish(asked, 0);
            if let Some(outgoing) = next {
                session.send(outgoing);
            }
        }
        Settled::Continued(Some(outgoing)) => session.send(outgoing),
        Settled::Continued(None) | Settled::Late => {}
        // After the end of the session nothing is known any more.
        Settled::Faulty(_) => assert!(session.has_ended()),
    }
    session.advance();
}

#[test]
fn every_reader_is_answered_once_however_answers_and_reads_meet() {
    explore(|| {
        let rig = Rig::new();
        let server = rig.serve(4, true);
        let readers: Vec<_> = (0..4).map(|reader| rig.read(reader)).collect();
        for thread in readers {
            thread.join().unwrap();
        }
        server.join().unwrap();
        rig.assert_balanced(4);
    });
}

#[test]
fn a_deadline_that_meets_the_answer_answers_once() {
    explore(|| {
        let rig = Rig::new();
        let server = rig.serve(3, false);
        let readers: Vec<_> = (0..3).map(|reader| rig.read(reader)).collect();
        let session = Arc::clone(&rig.session);
        let clock = thread::spawn(move || {
            for now in [1, 100, 10_000] {
                let overdue = session.traffic.lock().overdue(now, 10);
                for (_, waiter) in overdue.readers {
                    waiter.reply.error(fuse_promise_core::Status::Timeout);
                }
            }
        });
        for thread in readers {
            thread.join().unwrap();
        }
        clock.join().unwrap();
        // Requests whose readers were answered stay owed until the provider is done.
        server.join().unwrap();
        rig.assert_balanced(3);
    });
}

#[test]
fn an_end_that_meets_everything_else_answers_each_reader_once() {
    explore(|| {
        let rig = Rig::new();
        let server = rig.serve(3, true);
        let readers: Vec<_> = (0..3).map(|reader| rig.read(reader)).collect();
        let session = Arc::clone(&rig.session);
        let end = thread::spawn(move || {
            let ended = session.traffic.lock().end();
            let (link, left) = ended.unwrap();
            link.channel.shutdown();
            for (_, waiter) in left.readers {
                waiter.reply.error(fuse_promise_core::Status::ProviderGone);
            }
        });
        for thread in readers {
            thread.join().unwrap();
        }
        end.join().unwrap();
        server.join().unwrap();
        rig.assert_balanced(3);
    });
}

#[cfg(not(feature = "shuttle"))]
#[test]
fn a_slot_is_taken_for_each_request_and_reads_beyond_them_wait() {
    let rig = Rig::new();
    let slots = u64::from(super::slots::geometry(1).large_count);
    for reader in 0..8 {
        rig.read(reader).join().unwrap();
    }
    let mut traffic = rig.session.traffic.lock();
    assert_eq!(traffic.in_flight(), slots.min(8));
    let want = Want {
        promise: 1,
        row: Row(1),
        offset: 0,
        length: 1 << 20,
        tid: 0,
    };
    let waiter = Waiter {
        reply: Box::new(CountedReply(Arc::default(), 0)),
        promise: Arc::clone(&rig.promise),
        cached: false,
    };
    assert!(matches!(traffic.place(want, waiter, 0), Placed::Waits));
    assert_eq!(traffic.queued(), 1);
}

#[cfg(not(feature = "shuttle"))]
#[test]
fn a_provider_that_leaves_too_many_frames_unread_is_ended() {
    let rig = Rig::new();
    let unsent = || rig.session.traffic.lock().unsent();
    let event = ToProvider::Event {
        event: fuse_promise_wire::SessionEvent::Destroyed,
        promise: 1,
        argument: 0,
    };
    while unsent() < limits::UNSENT_FRAMES_MAX as u64 {
        rig.session.notify(&event);
    }
    let is_told = || {
        let mut frame = [0; fuse_promise_wire::channel::RECV_LEN];
        !matches!(rig.provider.recv(&mut frame), Ok(RecvOutcome::Closed))
    };
    assert!(is_told(), "as many may wait");
    rig.session.notify(&event);
    assert_eq!(unsent(), limits::UNSENT_FRAMES_MAX as u64);
    // What its channel had taken before is still there.
    let mut told = 0;
    while is_told() {
        told += 1;
        assert!(
            told < limits::UNSENT_FRAMES_MAX,
            "the channel is not closed"
        );
    }
}
