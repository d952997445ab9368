//! What the daemon says it holds, and how many descriptors it has open.

use std::collections::BTreeMap;
use std::time::Duration;

use fuse_promise_testkit::Session;

use super::wait_until_right;

/// What must be zero when nothing is being read.
pub const OF_READS: [&str; 4] = ["in_flight", "queued", "slots_in_use", "unsent_frames"];

/// What must be zero when nothing is published or open.
pub const OF_PROMISES: [&str; 5] = ["providers", "promises", "nodes", "image_bytes", "opens"];

/// Every gauge and counter by name.
pub fn gauges(session: &Session) -> BTreeMap<String, u64> {
    let status = session.fpctl(&["status"]).ok();
    let lines = status.lines().filter_map(|line| line.split_once('='));
    lines
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// One of them.
#[track_caller]
pub fn gauge(session: &Session, name: &str) -> u64 {
    let gauges = gauges(session);
    let value = gauges.get(name).copied();
    value.unwrap_or_else(|| panic!("no {name} in {gauges:?}"))
}

/// Waits until as many reads wait for their provider, sent to it or not.
#[track_caller]
pub fn await_reads(session: &Session, count: u64) {
    wait_until_right(|| {
        let gauges = gauges(session);
        let waiting = gauges["in_flight"] + gauges["queued"];
        (waiting != count).then(|| format!("{waiting} reads wait instead of {count}"))
    });
}

/// Waits until all of these are zero.
#[track_caller]
pub fn await_zero(session: &Session, names: &[&str]) {
    wait_until_right(|| {
        let gauges = gauges(session);
        let held = names.iter().any(|name| gauges[*name] > 0);
        held.then(|| format!("the balance is not zero: {gauges:?}"))
    });
}

/// What the daemon has open now.
pub fn descriptors(session: &mut Session) -> Vec<String> {
    let pid = session.daemon_pid().expect("a running daemon");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a living daemon");
    // One that was closed since it was listed has no name any more.
    let names = open.flatten().map(|entry| std::fs::read_link(entry.path()));
    let names = names.map(|name| format!("{:?}", name.unwrap_or_default()));
    names.collect()
}

/// What the daemon has open while nothing goes on: what is open only for a
/// moment, such as the connection of somebody who has just gone, is not in it.
pub fn lasting_descriptors(session: &mut Session) -> Vec<String> {
    let looks = (0..20).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        descriptors(session)
    });
    looks.min_by_key(Vec::len).expect("several looks")
}

/// Waits until the daemon has no more descriptors open than it had before.
#[track_caller]
pub fn await_descriptors(session: &mut Session, before: &[String]) {
    wait_until_right(|| {
        let now = descriptors(session);
        (now.len() > before.len()).then(|| format!("open: {now:?}\nbefore: {before:?}"))
    });
}
