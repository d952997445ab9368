//! What the daemon says it holds, and how many descriptors it has open.

use std::collections::BTreeMap;

use fuse_promise_testkit::Session;

use super::wait_until;

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
    wait_until("waiting reads", || {
        let gauges = gauges(session);
        gauges["in_flight"] + gauges["queued"] == count
    });
}

/// Waits until all of these are zero.
#[track_caller]
pub fn await_zero(session: &Session, names: &[&str]) {
    wait_until("a balance of zero", || {
        let gauges = gauges(session);
        names.iter().all(|name| gauges[*name] == 0)
    });
}

/// Descriptors the daemon has open now.
pub fn descriptors(session: &mut Session) -> usize {
    let pid = session.daemon_pid().expect("a running daemon");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    open.expect("a living daemon").count()
}

/// Waits until the daemon has as many descriptors open as it had before.
#[track_caller]
pub fn await_descriptors(session: &mut Session, before: usize) {
    wait_until("the descriptors of before", || {
        descriptors(session) == before
    });
}
