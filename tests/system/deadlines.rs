//! Reads that are not answered in time, and what comes after.

mod support;

use std::time::{Duration, Instant};

use fuse_promise_testkit::process::send;
use fuse_promise_testkit::{
    Answer, HandPlayed, ProviderProcess, Session, Shape, Tree, both_shapes,
};
use fuse_promise_wire::ToProvider;
use rustix::io::Errno;
use rustix::process::Signal;
use support::balance::{OF_READS, await_reads, await_zero, gauge};
use support::reader::Reader;
use support::{SHAPES, stop};

/// Long enough that a busy machine answers within it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The same as an option of RegisterProvider.
const IMPATIENT: [(&str, u32); 1] = [("read_timeout_ms", 3000)];

/// As a flag of the daemon.
const FLAG: &str = "--read-timeout=3s";

both_shapes! {
    /// > A read that its provider does not answer in time fails with ETIMEDOUT, and an answer that
    /// > comes later reaches nobody.
    fn a_late_write_and_a_late_answer_reach_nobody(session) {
        let mut provider = HandPlayed::register(&session, &IMPATIENT);
        let promise = provider.publish(&Tree::new().file("a", 1 << 20));
        let path = promise.join("a");
        let late = Reader::of(&path, 0, 4096);
        let first = provider.asked();
        assert_eq!(late.outcome(), Err(Errno::TIMEDOUT));
        let told = provider.frame();
        assert!(matches!(told, ToProvider::Cancel { request } if request == first.request));
        // The slot is the provider's until it has answered, so that it writes into nobody's.
        assert_eq!(gauge(&session, "slots_in_use"), 1);

        let reader = Reader::of(&path, 8192, 4096);
        let second = provider.asked();
        assert_ne!(second.slot, first.slot);
        provider.write(&second, &provider.bytes(&second));
        provider.write(&first, &[0xee; 4096]);
        provider.done(&first, 0, 4096);
        provider.done(&second, 0, 4096);
        reader.assert_got(&provider.bytes(&second));

        // The range that timed out is asked for anew, in the slot that came back.
        let reader = Reader::of(&path, 0, 4096);
        let third = provider.asked();
        assert_ne!(third.request, first.request);
        provider.answer(&third);
        reader.assert_got(&provider.bytes(&third));
        await_zero(&session, &OF_READS);
        assert_eq!(gauge(&session, "timeouts"), 1);
        assert_eq!(gauge(&session, "late_replies"), 1);
        assert_eq!(gauge(&session, "faulty_sessions"), 0);
    }

    fn a_stopped_provider_times_out_and_goes_on_afterwards(session) {
        let mut provider = ProviderProcess::launch(&session, None);
        provider.register(&[("read_timeout_ms", "3000")]).unwrap();
        let promise = provider.publish(&Tree::new().file("a", 100_000));
        promise.check();
        let pid = provider.process().pid();
        stop(pid);
        let readers = Reader::many(&promise.join("a"), 8, 4096);
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::TIMEDOUT));
        }
        send(pid, Signal::CONT);
        promise.check();
        await_zero(&session, &OF_READS);
        assert_eq!(gauge(&session, "late_replies"), 8);
    }
}

#[test]
fn the_daemons_own_timeout_holds_for_who_chose_none() {
    for shape in SHAPES {
        let session = Session::options(shape).flag(FLAG).start();
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 100_000));
        provider.answer(None, Answer::Hang);
        let begin = Instant::now();
        let reader = Reader::of(&promise.join("a"), 0, 100_000);
        assert_eq!(reader.outcome(), Err(Errno::TIMEDOUT));
        // The tick in which it was asked may have been nearly over.
        let least = TIMEOUT - Duration::from_millis(100);
        assert!(begin.elapsed() >= least, "{:?}", begin.elapsed());
        // The read that was held back is answered late now, and later ones in time.
        provider.release();
        promise.check();
        await_zero(&session, &OF_READS);
        assert_eq!(gauge(&session, "late_replies"), 1);
    }
}

/// A read that could not even be handed to its provider waits longer, but not for ever.
#[test]
fn a_provider_that_takes_nothing_times_out() {
    let session = Session::start(Shape::Private);
    let mut provider = HandPlayed::register(&session, &IMPATIENT);
    let promise = provider.publish(&Tree::new().file("a", 1 << 20));
    // Each leaves an event in the channel, until nothing more fits.
    let small = Tree::new().file("b", 1);
    while gauge(&session, "unsent_frames") == 0 {
        for _ in 0..50 {
            provider.commit(&small).unwrap();
        }
    }
    let reader = Reader::of(&promise.join("a"), 0, 4096);
    await_reads(&session, 1);
    assert_eq!(reader.outcome(), Err(Errno::TIMEDOUT));
    // It wakes up, and everything reaches it in order; what it says is late.
    let read = provider.asked();
    provider.answer(&read);
    let reader = Reader::of(&promise.join("a"), 4096, 4096);
    let read = provider.asked();
    provider.answer(&read);
    reader.assert_got(&provider.bytes(&read));
    await_zero(&session, &OF_READS);
}

both_shapes! {
    /// The daemon's clock is its own ticks: while it is stopped, no time passes.
    fn an_answer_given_while_the_daemon_is_stopped_is_taken(session) {
        let mut provider = HandPlayed::register(&session, &IMPATIENT);
        let promise = provider.publish(&Tree::new().file("a", 1 << 20));
        let daemon = session.daemon_pid().unwrap();
        let reader = Reader::of(&promise.join("a"), 0, 4096);
        let read = provider.asked();
        stop(daemon);
        provider.answer(&read);
        // What is tested is this time, not anything that happens in it.
        std::thread::sleep(TIMEOUT + TIMEOUT / 4);
        send(daemon, Signal::CONT);
        reader.assert_got(&provider.bytes(&read));
        assert_eq!(gauge(&session, "timeouts"), 0);
    }

    /// As before, with an answer that comes only when the daemon goes on.
    fn an_answer_given_after_the_daemon_was_stopped_is_in_time(session) {
        let mut provider = HandPlayed::register(&session, &IMPATIENT);
        let promise = provider.publish(&Tree::new().file("a", 1 << 20));
        let daemon = session.daemon_pid().unwrap();
        let reader = Reader::of(&promise.join("a"), 0, 4096);
        let read = provider.asked();
        stop(daemon);
        std::thread::sleep(TIMEOUT + TIMEOUT / 4);
        send(daemon, Signal::CONT);
        // Answered by the daemon, so it has had the time to count what it missed.
        assert_eq!(gauge(&session, "in_flight"), 1);
        provider.answer(&read);
        reader.assert_got(&provider.bytes(&read));
        assert_eq!(gauge(&session, "timeouts"), 0);
    }
}
