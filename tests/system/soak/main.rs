//! Everything at once, for as long as one likes: `cargo xtask soak --minutes N`.
//!
//! An age is the life of one daemon. Providers come, publish and go in every way there is; readers
//! compare every byte, here and in processes that are killed; copies are made, cancelled and
//! killed. Once in an age everybody leaves, and what the daemon then has is noted; at its end
//! everybody leaves again, and it must have no more than that. It is killed then, or stopped, and
//! the next one must not give any id a second time.

mod board;
mod copiers;
mod publishers;
mod readers;
#[path = "../support/mod.rs"]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use fuse_promise_testkit::process::HANG_LIMIT;
use fuse_promise_testkit::{Random, Session, Shape};
use rustix::process::Signal;

use board::Board;
use support::balance::{
    OF_PROMISES, OF_READS, await_descriptors, await_zero, gauge, lasting_descriptors,
};

/// What must be zero besides when everybody has left.
const OF_THE_REST: [&str; 5] = [
    "jobs",
    "lookups",
    "cache_bytes",
    "cache_fetches",
    "cache_readers",
];
const AGES: u32 = 2;
/// How long an age of the short form is.
const SHORT_AGE: Duration = Duration::from_secs(6);
/// What a daemon may have grown by since it was warm, in KiB. With a cache, buffers of 8 MiB are
/// kept for the next reads, and the allocator keeps pieces of what was around them; in the short
/// form nothing is warm yet.
const GROWTH_MAX: u64 = 2 << 10;
const GROWTH_MAX_WITH_CACHE: u64 = 16 << 10;
const PUBLISHERS: usize = 3;
const READERS: usize = 3;

#[test]
fn without_a_cache() {
    soak(Shape::Private, &[]);
}

#[test]
fn under_systemd_with_a_small_cache() {
    soak(Shape::Systemd, &["--cache=read-through", "--cache-size=2M"]);
}

fn soak(shape: Shape, flags: &[&str]) {
    // What is copied or cached whole would be read on for longer than an age.
    let options = Session::options(shape).flag("--linger=50ms");
    let options = options.flag("--linger-materialized=50ms");
    let options = flags
        .iter()
        .fold(options, |options, flag| options.flag(flag));
    let mut session = options.start();
    let mut random = Random::from_environment();
    let board = Board::default();
    let minutes = minutes();
    let growth_max = if flags.is_empty() && minutes.is_some() {
        GROWTH_MAX
    } else {
        GROWTH_MAX_WITH_CACHE
    };
    for age in 0..AGES {
        let growth = live(&mut session, &board, &mut random, age_length(minutes));
        assert!(growth <= growth_max, "grown by {growth} KiB");
        if shape == Shape::Private && random.below(2) == 0 {
            session.signal_daemon(Signal::KILL);
            session.wait_daemon_end();
        } else {
            assert_eq!(session.stop_daemon(), Some(0));
        }
        println!("age {age}: {:?}", board.tally());
        session.start_daemon();
    }
    board.assert_lively(minutes.is_some());
    assert_eq!(session.stop_daemon(), Some(0));
}

/// How long to go on; None for the short form.
fn minutes() -> Option<u32> {
    let minutes = std::env::var("FUSE_PROMISE_SOAK_MINUTES").ok()?;
    Some(minutes.parse().expect("a number of minutes"))
}

fn age_length(minutes: Option<u32>) -> Duration {
    minutes.map_or(SHORT_AGE, |minutes| {
        Duration::from_secs(60) * minutes / AGES
    })
}

/// One age; what the daemon has grown by since it was warm, in KiB.
fn live(session: &mut Session, board: &Board, random: &mut Random, length: Duration) -> u64 {
    session.allow(length + HANG_LIMIT);
    busy(session, board, random, length / 3);
    let before = rest(session);
    busy(session, board, random, length * 2 / 3);
    session.allow(HANG_LIMIT);
    let after = rest(session);
    await_descriptors(session, &before.descriptors);
    assert_eq!(gauge(session, "faulty_sessions"), 0);
    assert_eq!(gauge(session, "timeouts"), 0);
    after.kibibytes.saturating_sub(before.kibibytes)
}

/// Everybody at once, until the time is over; then everybody has left.
fn busy(session: &Session, board: &Board, random: &mut Random, length: Duration) {
    let end = Instant::now() + length;
    let mut own = || Random::new(random.next_number());
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            let random = own();
            scope.spawn(|| publishers::publish(session, board, random, end));
        }
        for _ in 0..READERS {
            let random = own();
            scope.spawn(|| readers::read(session, board, random, end));
        }
        let random = own();
        scope.spawn(|| copiers::copy(session, board, random, end));
    });
}

/// What a daemon has while nobody wants anything of it.
struct AtRest {
    descriptors: Vec<String>,
    kibibytes: u64,
}

fn rest(session: &mut Session) -> AtRest {
    await_zero(session, &OF_READS);
    await_zero(session, &OF_PROMISES);
    await_zero(session, &OF_THE_REST);
    let descriptors = lasting_descriptors(session);
    let pid = session.daemon_pid().expect("a running daemon");
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let rollup = rollup.expect("a living daemon");
    let mut lines = rollup.lines();
    // Not what it shares with other daemons, of which there are more or fewer.
    let own = lines.find_map(|line| line.strip_prefix("Pss_Anon:")?.strip_suffix("kB"));
    let kibibytes = own.and_then(|own| own.trim().parse().ok());
    AtRest {
        descriptors,
        kibibytes: kibibytes.expect("a figure"),
    }
}
