//! Providers that break the protocol on a channel that was given to them by
//! an honest registration.

mod support;

use std::io::IoSlice;
use std::mem::MaybeUninit;

use fuse_promise_testkit::fixture::control::Place;
use fuse_promise_testkit::{HandPlayed, Session, Tree, both_shapes};
use fuse_promise_wire::{PROTOCOL_VERSION, ReadFrame, SendOutcome, ToDaemon};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::balance::{
    OF_READS, await_descriptors, await_zero, descriptors, gauge, lasting_descriptors,
};
use support::reader::Reader;
use support::{SHAPES, wait_for_state, wait_until};

type Misdeed = fn(&HandPlayed, &ReadFrame);

/// Each ends the session of who does it. The read given is one it owes an answer for.
const MISDEEDS: &[(&str, Misdeed)] = &[
    ("an unknown request", |rude, read| {
        let unknown = ReadFrame {
            request: 77 << 32,
            ..*read
        };
        rude.done(&unknown, 0, 1);
    }),
    ("a request that was never made", |rude, read| {
        let wrong = ReadFrame {
            request: read.request ^ (1 << 31),
            ..*read
        };
        rude.done(&wrong, 0, 1);
    }),
    ("more than was asked for", |rude, read| {
        rude.done(read, 0, read.length + 1)
    }),
    ("the largest length", |rude, read| {
        rude.done(read, 0, u32::MAX)
    }),
    ("an undefined status", |rude, read| rude.done(read, 11, 0)),
    ("the largest status", |rude, read| {
        rude.done(read, u32::MAX, 0)
    }),
    ("an answer that comes twice", |rude, read| {
        rude.answer(read);
        rude.answer(read);
    }),
    ("half a frame", |rude, _| assert!(rude.send_bytes(&[0; 32]))),
    ("one byte", |rude, _| assert!(rude.send_bytes(&[18]))),
    ("a byte more than a frame", |rude, _| {
        assert!(rude.send_bytes(&[0; 65]))
    }),
    ("a large packet", |rude, _| {
        assert!(rude.send_bytes(&[0; 60_000]))
    }),
    ("an unknown kind", |rude, _| {
        assert!(rude.send_bytes(&[0xff; 64]))
    }),
    ("a frame of zeros", |rude, _| {
        assert!(rude.send_bytes(&[0; 64]))
    }),
    ("reserved bytes that are set", |rude, read| {
        let mut frame = done(read);
        frame[63] = 1;
        assert!(rude.send_bytes(&frame));
    }),
    ("another protocol", |rude, _| {
        rude.send(&ToDaemon::Hello { protocol: 999 })
    }),
];

fn done(read: &ReadFrame) -> [u8; 64] {
    ToDaemon::Done {
        request: read.request,
        epoch: read.epoch,
        status: 0,
        length: read.length,
    }
    .encode()
}

/// Frames that do not fit into a channel many times over.
const FLOOD: u64 = 1000;

both_shapes! {
    /// > A provider that breaks the protocol loses its own session and harms nobody else.
    fn each_misdeed_ends_its_own_session_only(session) {
        let tree = Tree::new().file("a", 1 << 20);
        let mut good = session.provider();
        let served = good.publish(&tree);
        served.check();
        for (number, (what, misdeed)) in MISDEEDS.iter().enumerate() {
            let mut rude = HandPlayed::register(&session, &[]);
            let promise = rude.publish(&tree);
            let readers = Reader::many(&promise.join("a"), 2, 4096);
            let first = rude.asked();
            rude.asked();
            misdeed(&rude, &first);
            rude.wait_closed();
            let failed = readers.iter().filter(|reader| reader.outcome() == Err(Errno::IO));
            // The first answer of the one who answers twice is an honest one.
            assert!(failed.count() >= 1, "{what}");
            wait_for_state(&promise.path, "provider-gone");
            assert_eq!(gauge(&session, "faulty_sessions"), number as u64 + 1, "{what}");
            served.check();
        }
        let log = session.daemon_log();
        assert_eq!(log.matches("provider session closed: it ").count(), MISDEEDS.len(), "{log}");
        await_zero(&session, &OF_READS);
    }

    fn a_packet_without_bytes_is_the_end_of_the_session(session) {
        let mut rude = HandPlayed::register(&session, &[]);
        let promise = rude.publish(&Tree::new().file("a", 4096));
        let reader = Reader::of(&promise.join("a"), 0, 4096);
        rude.asked();
        assert!(rude.send_bytes(&[]));
        assert_eq!(reader.outcome(), Err(Errno::IO));
        wait_for_state(&promise.path, "provider-gone");
    }

    fn who_speaks_before_the_hello_is_shut_out(session) {
        let rude = HandPlayed::silent(&Place::of_session(&session), &[]).unwrap();
        rude.send(&ToDaemon::Alive { request: 1, epoch: 1 });
        rude.wait_closed();
        // Counted when the channel is closed already.
        wait_until("a faulty session", || gauge(&session, "faulty_sessions") == 1);
        // A hello alone is a good beginning.
        let polite = HandPlayed::silent(&Place::of_session(&session), &[]).unwrap();
        polite.send(&ToDaemon::Hello { protocol: PROTOCOL_VERSION });
        good_read(&session, polite);
    }

    /// Signs of life may come as often as they like.
    fn a_flood_of_frames_harms_nobody(session) {
        let mut good = session.provider();
        let served = good.publish(&Tree::new().file("a", 1 << 20));
        let flooding = HandPlayed::register(&session, &[]);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let flood = std::thread::spawn(move || {
            let mut sent = 0;
            let frame = ToDaemon::Alive { request: 9, epoch: 1 };
            let goes_on = || stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty);
            // However seldom it has its turn, it is a flood in the end.
            while goes_on() || sent <= FLOOD {
                match flooding.try_send(&frame) {
                    SendOutcome::Sent => sent += 1,
                    SendOutcome::Full => std::thread::yield_now(),
                    SendOutcome::Closed => panic!("closed after {sent} frames"),
                }
            }
            flooding
        });
        for _ in 0..20 {
            served.check();
        }
        session.run("ls", &["-lR", session.mount().to_str().unwrap()]).ok();
        drop(stop);
        let flooding = flood.join().unwrap();
        good_read(&session, flooding);
    }
}

/// Descriptors that come along with a frame are not kept.
#[test]
fn descriptors_sent_along_are_dropped() {
    for shape in SHAPES {
        let mut session = Session::options(shape).flag("--linger=50ms").start();
        let before = lasting_descriptors(&mut session);
        let provider = HandPlayed::register(&session, &[]);
        let own = std::fs::File::open("/dev/null").unwrap();
        for _ in 0..300 {
            send_with_descriptor(&provider, &own);
        }
        // The daemon has taken all of that when this has been served.
        let provider = good_read(&session, provider);
        let now = descriptors(&mut session);
        assert!(now.len() < before.len() + 20, "{now:?}");
        drop(provider);
        await_descriptors(&mut session, &before);
    }
}

/// The provider serves a read as it should.
fn good_read(session: &Session, mut provider: HandPlayed) -> HandPlayed {
    let promise = provider.publish(&Tree::new().file("a", 4096));
    let reader = Reader::of(&promise.join("a"), 0, 4096);
    let read = provider.asked();
    provider.answer(&read);
    reader.assert_got(&provider.bytes(&read));
    await_zero(session, &OF_READS);
    provider
}

fn send_with_descriptor(provider: &HandPlayed, descriptor: &std::fs::File) {
    let frame = ToDaemon::Alive {
        request: 1,
        epoch: 1,
    };
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = frame.encode();
    let packet = [IoSlice::new(&bytes)];
    let sent = sendmsg(
        provider.channel(),
        &packet,
        &mut ancillary,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent, Ok(64));
}
