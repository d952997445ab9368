//! Copies that are made, cancelled and killed.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fuse_promise_core::Status;
use fuse_promise_testkit::fixture::check::assert_tree;
use fuse_promise_testkit::{Random, Session};
use rustix::process::Signal;

use crate::board::{Board, Shown, pause};
use crate::support::balance::await_zero;
use crate::support::copying::{begin, names};

/// When a copy is cut short, at the latest.
const LATEST_CUT: Duration = Duration::from_millis(30);
/// Exit codes of fpctl are ten more than the status (docs/man/fpctl.1).
const CANCELLED: i32 = 10 + Status::Cancelled as i32;

pub fn copy(session: &Session, board: &Board, mut random: Random, end: Instant) {
    let target = session.dirs().root().join("copies");
    while Instant::now() < end {
        let Some(shown) = board.pick(&mut random) else {
            pause(&mut random, LATEST_CUT);
            continue;
        };
        std::fs::create_dir(&target).expect("a target directory");
        copy_once(session, board, &shown, &target, &mut random);
        std::fs::remove_dir_all(&target).expect("a directory nobody writes to");
    }
}

fn copy_once(session: &Session, board: &Board, shown: &Shown, target: &Path, random: &mut Random) {
    let flags = random.one_of(&[&[] as &[&str], &["--sync"], &["--progress", "--overwrite"]]);
    let mut copying = begin(session, flags, &shown.published.path, target);
    let cut = random.one_of(&[None, Some(Signal::INT), Some(Signal::KILL)]);
    if let Some(signal) = cut {
        pause(random, LATEST_CUT);
        copying.signal(signal);
    }
    let code = copying.wait().code();
    let copy = target.join(shown.published.id());
    match (code, cut) {
        (Some(0), _) => {
            assert_tree(&copy, &shown.published.tree);
            board.whole_copies.fetch_add(1, Ordering::Relaxed);
        }
        // The daemon takes away what it has made once it sees that nobody wants it.
        (None, Some(_)) => {
            await_zero(session, &["jobs"]);
            if !names(target).is_empty() {
                assert_tree(&copy, &shown.published.tree);
            }
            board.cancelled_copies.fetch_add(1, Ordering::Relaxed);
        }
        (Some(CANCELLED), Some(Signal::INT)) => {
            assert!(names(target).is_empty(), "{:?}", names(target));
            board.cancelled_copies.fetch_add(1, Ordering::Relaxed);
        }
        (Some(_), _) if shown.may_fail() => {
            assert!(names(target).is_empty(), "{:?}", names(target));
        }
        (code, _) => panic!("{code:?}: {}", copying.log()),
    }
}
