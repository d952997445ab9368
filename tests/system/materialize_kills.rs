//! Copies whose provider, program or daemon is killed at a random moment, again
//! and again. Whatever is under a name then is whole and right, or the user's.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fuse_promise_testkit::fixture::check::assert_content;
use fuse_promise_testkit::{Published, Random, Session, Shape, Tree};
use rustix::process::Signal;
use support::balance::{OF_READS, await_zero};
use support::copying::{begin, names, target};
use support::wait_until;

const ROUNDS: u64 = 25;

/// With `cargo xtask test --full`.
const ROUNDS_FULL: u64 = 400;

/// A copy takes about as long here, its program's start included.
const LATEST_KILL_MICROS: u64 = 60_000;

/// Of the user: beside the copy, and where the copy wants to be.
const BESIDE: &str = "users";
const IN_THE_WAY: &str = "dir/f1";
const USERS_BYTES: &[u8] = b"the user's own bytes";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Provider,
    Program,
    Daemon,
}

/// > A file of a copy appears under its name whole or not at all, whatever ends in the
/// > meantime: its provider, the daemon, or the program that asked for it.
#[test]
fn whatever_is_killed_no_name_has_half_a_file() {
    let mut session = Session::start(Shape::Private);
    let mut random = Random::from_environment();
    let full = std::env::var_os("FUSE_PROMISE_TEST_FULL").is_some();
    let mut cut_short = 0;
    for _ in 0..if full { ROUNDS_FULL } else { ROUNDS } {
        session.allow(Duration::from_secs(60));
        cut_short += u64::from(round(&mut session, &mut random));
    }
    assert!(
        cut_short > 0,
        "no copy was cut short, so nothing was tested"
    );
}

/// One copy and one kill; whether the copy was not complete.
fn round(session: &mut Session, random: &mut Random) -> bool {
    let mut provider = session.provider();
    let tree = Tree::new()
        .files("dir/f", 30, 40_000)
        .file("dir/large", 6 << 20);
    let promise = provider.publish(&tree);
    let target = prepared_target(session);
    let mut fpctl = begin(session, &["--overwrite"], &promise.join("dir"), &target);
    let victim = random.one_of(&[Victim::Provider, Victim::Program, Victim::Daemon]);
    // The moment is what is drawn here; nothing waits for it.
    std::thread::sleep(Duration::from_micros(random.below(LATEST_KILL_MICROS)));
    match victim {
        Victim::Provider => provider.kill(),
        Victim::Program => fpctl.kill(),
        Victim::Daemon => {
            session.signal_daemon(Signal::KILL);
            session.wait_daemon_end();
        }
    }
    if victim != Victim::Program {
        fpctl.wait();
    }
    if victim == Victim::Daemon {
        session.start_daemon();
    } else {
        wait_until("the end of the job", || !is_running(session));
        await_zero(session, &OF_READS);
    }
    let complete = check(&target, &promise, victim);
    fs::remove_dir_all(&target).unwrap();
    !complete
}

fn prepared_target(session: &Session) -> PathBuf {
    let target = target(session);
    fs::create_dir(target.join("dir")).unwrap();
    for name in [BESIDE, IN_THE_WAY] {
        fs::write(target.join(name), USERS_BYTES).unwrap();
    }
    target
}

fn is_running(session: &Session) -> bool {
    support::balance::gauge(session, "jobs") > 0
}

/// Looks at everything in the target; whether it is the whole copy.
fn check(target: &Path, promise: &Published, victim: Victim) -> bool {
    let found = names(target);
    assert_eq!(fs::read(target.join(BESIDE)).unwrap(), USERS_BYTES);
    let nodes = || promise.tree.file_nodes();
    let mut copied = BTreeSet::new();
    for node in nodes().filter(|node| found.contains(&node.path)) {
        if node.path == IN_THE_WAY && fs::read(target.join(IN_THE_WAY)).unwrap() == USERS_BYTES {
            continue;
        }
        assert_content(&target.join(&node.path), node);
        copied.insert(node.path.clone());
    }
    assert!(found.contains(IN_THE_WAY), "the user's file is gone");
    let strangers = found.iter().filter(|name| {
        let known = ["dir", BESIDE, IN_THE_WAY].contains(&name.as_str());
        !known && !copied.contains(*name)
    });
    assert_eq!(
        strangers.collect::<Vec<_>>(),
        [""; 0],
        "after the end of the {victim:?}"
    );
    let complete = copied.len() == nodes().count();
    if !complete && victim != Victim::Daemon {
        copied.remove(IN_THE_WAY);
        assert_eq!(
            copied,
            BTreeSet::new(),
            "what the copy made was not taken away"
        );
    }
    complete
}
