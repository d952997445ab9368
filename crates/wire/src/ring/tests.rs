//! A ring between two mappings of one arena, and a taker that goes to sleep all the time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::*;
use crate::arena::{Arena, Geometry};

const GEOMETRY: Geometry = Geometry {
    small_len: 128 << 10,
    small_count: 1,
    large_len: 1 << 20,
    large_count: 0,
};

/// Longer than any of this takes.
const HANG: Duration = Duration::from_secs(60);

fn ring() -> (RingPutter, RingTaker) {
    let (daemon, fd) = Arena::create(GEOMETRY).expect("an arena");
    let provider = Arena::map(fd, GEOMETRY).expect("the same memory");
    (
        daemon.putter(Direction::ToProvider),
        provider.taker(Direction::ToProvider),
    )
}

fn frame(number: u64) -> FrameBytes {
    let mut frame = [7; FRAME_LEN];
    frame[..8].copy_from_slice(&number.to_ne_bytes());
    frame[56..].copy_from_slice(&number.to_ne_bytes());
    frame
}

#[test]
fn a_taker_that_was_never_awake_gets_nothing() {
    let (mut putter, mut taker) = ring();
    assert_eq!(putter.put(&frame(1)), Put::Not);
    assert_eq!(taker.take(), Ok(None));
    putter.note_elsewhere();
    assert_eq!(taker.sent_elsewhere(), 2);
}

#[test]
fn frames_come_out_in_their_order_until_the_ring_is_full() {
    let (mut putter, mut taker) = ring();
    taker.wake();
    for round in 0..3 {
        for number in 0..FRAMES {
            assert_eq!(putter.put(&frame(round * 1000 + number)), Put::Done);
        }
        assert_eq!(putter.put(&frame(0)), Put::Not, "one too many");
        assert!(!taker.sleep(), "with frames to take");
        for number in 0..FRAMES {
            assert_eq!(taker.take(), Ok(Some(frame(round * 1000 + number))));
        }
        assert_eq!(taker.take(), Ok(None));
    }
    assert!(taker.sleep());
    assert_eq!(putter.put(&frame(0)), Put::Not, "it sleeps");
}

#[test]
fn a_putter_knows_whether_its_frame_is_looked_for() {
    let (mut putter, mut taker) = ring();
    assert!(!putter.is_polled());
    taker.poll();
    assert_eq!(putter.put(&frame(1)), Put::Done);
    assert!(putter.is_polled());
    assert!(!taker.is_empty());
    assert_eq!(taker.take(), Ok(Some(frame(1))));
    taker.wake();
    assert_eq!(putter.put(&frame(2)), Put::Done);
    assert!(!putter.is_polled(), "it is awake for another reason");
    assert_eq!(taker.take(), Ok(Some(frame(2))));
    taker.poll();
    assert!(taker.sleep());
    assert!(!putter.is_polled());
}

#[test]
fn the_two_directions_do_not_meet() {
    let (daemon, fd) = Arena::create(GEOMETRY).expect("an arena");
    let provider = Arena::map(fd, GEOMETRY).expect("the same memory");
    let mut requests = provider.taker(Direction::ToProvider);
    let mut answers = daemon.taker(Direction::ToDaemon);
    requests.wake();
    answers.wake();
    assert_eq!(
        daemon.putter(Direction::ToProvider).put(&frame(1)),
        Put::Done
    );
    assert_eq!(
        provider.putter(Direction::ToDaemon).put(&frame(2)),
        Put::Done
    );
    assert_eq!(requests.take(), Ok(Some(frame(1))));
    assert_eq!(answers.take(), Ok(Some(frame(2))));
}

#[test]
fn a_putter_that_claims_too_much_is_found_out() {
    let (putter, mut taker) = ring();
    for claim in [FRAMES + 1, u64::MAX, 1 << 63] {
        putter.ring.word(PUT).store(claim, Ordering::Relaxed);
        assert_eq!(taker.take(), Err(Overfull));
    }
}

#[test]
fn a_taker_that_claims_nonsense_only_gets_its_frames_elsewhere() {
    let (mut putter, mut taker) = ring();
    taker.wake();
    for claim in [1, u64::MAX / 2] {
        taker.ring.word(TAKEN).store(claim, Ordering::Relaxed);
        assert_eq!(putter.put(&frame(0)), Put::Not);
    }
}

/// What is not put into the ring, or rings the bell, goes through `wake_ups`.
fn put_all(putter: &mut RingPutter, count: u64, wake_ups: &Sender<Option<u64>>) {
    for number in 0..count {
        let woken = match putter.put(&frame(number)) {
            Put::Done => continue,
            Put::RingBell => None,
            Put::Not => Some(number),
        };
        wake_ups.send(woken).expect("a living taker");
    }
}

fn take_all(taker: &mut RingTaker, count: u64, wake_ups: &Receiver<Option<u64>>) -> Vec<u64> {
    let mut got = Vec::new();
    while (got.len() as u64) < count {
        while let Some(frame) = taker.take().expect("an honest putter") {
            let (number, _) = frame.split_first_chunk().expect("8 bytes");
            got.push(u64::from_ne_bytes(*number));
        }
        if taker.sleep() && (got.len() as u64) < count {
            // As a thread that waits in its channel: only a wake-up ends this.
            let woken = wake_ups.recv_timeout(HANG);
            got.extend(woken.expect("a wake-up was lost"));
            taker.wake();
        }
    }
    got
}

#[test]
fn no_wake_up_is_lost() {
    const COUNT: u64 = 200_000;
    let (mut putter, mut taker) = ring();
    let (wake, wake_ups) = channel();
    let putting = thread::spawn(move || put_all(&mut putter, COUNT, &wake));
    let mut got = take_all(&mut taker, COUNT, &wake_ups);
    putting.join().expect("a putter that ends");
    got.sort_unstable();
    assert!(got.into_iter().eq(0..COUNT), "each frame once");
}
