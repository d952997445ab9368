//! `fpctl list` of a great promise: it streams, and what is not asked for is not told.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use fuse_promise_core::record::Record;
use fuse_promise_testkit::process::{Process, run};
use fuse_promise_testkit::{HandPlayed, Session, Tree, both_shapes, programs};
use support::wait_until;

const DIRECTORIES: usize = 100;

/// With all the time in the world as many as the largest ordinary tree has.
fn files() -> usize {
    match std::env::var_os("FUSE_PROMISE_TEST_FULL") {
        Some(_) => 1_000_000,
        None => 200_000,
    }
}

/// By how many KiB the daemon may grow: by a thread and its buffer, where the lines of 200,000
/// nodes are more than 20 MiB.
const GROWTH_MAX: u64 = 2048;

/// A line of /proc/PID/status in KiB; `None` once the process has no memory any more.
fn memory(pid: u32, line: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|found| found.strip_prefix(line))?;
    let number = value.trim_start_matches(':').trim().trim_end_matches(" kB");
    Some(number.parse().expect("a number of KiB"))
}

fn threads(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks.expect("a living daemon").count()
}

fn publish(session: &Session, files: usize) -> HandPlayed {
    let mut provider = HandPlayed::register(session, &[]);
    let mut tree = Tree::new();
    for directory in 0..DIRECTORIES {
        tree = tree.files(&format!("dir-{directory}/a file "), files / DIRECTORIES, 10);
    }
    provider.publish(&tree);
    provider
}

fn list(session: &Session, flags: &[&str]) -> (Process, BufReader<ChildStdout>) {
    let mut command = session.command(programs::program("fpctl"));
    command.arg("list").args(flags);
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = Process::spawn_piped(command, &session.dirs().log("fpctl-list"));
    let output = process.child().stdout.take().expect("a pipe");
    (process, BufReader::new(output))
}

both_shapes! {
    fn a_list_of_a_great_promise_is_streamed_by_both_sides(session) {
        session.allow(Duration::from_secs(300));
        let files = files();
        let _provider = publish(&session, files);
        let daemon = session.daemon_pid().unwrap();
        let of_daemon = || memory(daemon, "RssAnon").expect("a living daemon");
        let (before, mut daemon_max) = (of_daemon(), 0);
        let (mut fpctl, mut lines) = list(&session, &[]);
        let mut fpctl_max = 0;
        // By row; the promise's own directory is no node.
        let mut seen = vec![false; files + DIRECTORIES + 1];
        let mut line = String::new();
        let (mut count, mut bytes) = (0, 0);
        while lines.read_line(&mut line).unwrap() > 0 {
            bytes += line.len() as u64;
            let record = Record::parse(line.trim_end()).expect("a record");
            line.clear();
            if record.word() != "node" {
                continue;
            }
            let inode = std::str::from_utf8(record.get("inode").unwrap()).unwrap();
            let row = inode.parse::<u64>().unwrap() as u32 as usize;
            assert!(!std::mem::replace(&mut seen[row], true), "{row} came twice");
            if count % 10_000 == 0 {
                fpctl_max = fpctl_max.max(memory(fpctl.pid(), "VmHWM").unwrap_or(0));
                daemon_max = daemon_max.max(of_daemon());
            }
            count += 1;
        }
        assert_eq!(fpctl.wait().code(), Some(0));
        assert_eq!(seen.iter().position(|seen| !seen), Some(0));
        assert_eq!(seen.iter().filter(|seen| !**seen).count(), 1);
        // All that it needs, the program itself included, is less than half of what it passed on.
        assert!(fpctl_max > 0 && fpctl_max * 1024 < bytes / 2, "{fpctl_max} KiB of {bytes}");
        let growth = daemon_max.saturating_sub(before);
        assert!(growth < GROWTH_MAX, "the daemon grew by {growth} KiB");
    }

    fn a_list_of_promises_alone_has_no_lines_for_nodes(session) {
        let _provider = publish(&session, 1000);
        let listed = session.fpctl(&["list", "--promises"]).ok();
        let words: Vec<_> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(words, ["providers=1", "promises=1", "promise"]);
        let counted = session.run("sh", &["-c", "fpctl list --promises | wc -l"]).ok();
        assert_eq!(counted.trim(), "3");
    }

    fn a_list_whose_reader_has_seen_enough_ends_on_both_sides(session) {
        session.allow(Duration::from_secs(120));
        let _provider = publish(&session, 50_000);
        let daemon = session.daemon_pid().unwrap();
        session.fpctl(&["status"]).ok();
        let before = threads(daemon);
        let script = "set -o pipefail; fpctl list | head -n 1";
        let mut command = session.command("bash");
        let ran = run(command.args(["-c", script]));
        assert_eq!(ran.err, "");
        assert_eq!(ran.ok(), "providers=1\n");
        wait_until("the end of the listing's thread", || threads(daemon) <= before);
        assert!(!session.daemon_log().contains("cut short"));
    }
}
