//! A provider dies while a child of it lives on with its channel.

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use fuse_promise_core::Record;
use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Session, both_shapes};
use rustix::io::Errno;
use support::balance::{OF_READS, await_reads, await_zero};
use support::reader::Reader;
use support::wait_for_state;

both_shapes! {
    /// > If a provider dies, its reads in flight fail with EIO at once, even while a forked child
    /// > of it lives on.
    fn a_child_that_holds_the_channel_does_not_keep_the_provider_alive(session) {
        let (mut provider, ready) = start(&session);
        let text = |key: &str| String::from_utf8(ready.get(key).unwrap().to_vec()).unwrap();
        let (channel, child) = (text("channel"), text("child"));
        let held_by = |pid: &str| std::fs::read_link(format!("/proc/{pid}/fd/{channel}"));
        let held = held_by(&child).unwrap();
        assert!(held.to_str().unwrap().starts_with("socket:"), "{held:?}");
        assert_eq!(held_by(&provider.pid().to_string()).unwrap(), held);

        let promise = PathBuf::from(text("path"));
        let readers = Reader::many(&promise.join("a"), 20, 4096);
        await_reads(&session, 20);
        provider.kill();
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::IO));
        }
        wait_for_state(&promise, "provider-gone");
        await_zero(&session, &OF_READS);
        // All that time the channel was open in the child.
        assert_eq!(held_by(&child).unwrap(), held);
    }
}

/// The provider and what it said when it was ready.
fn start(session: &Session) -> (Process, Record) {
    let log = session.dirs().log("forking-provider");
    let mut command = session.command("forking-provider");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap());
    let mut provider = Process::spawn_piped(command, &log);
    let mut line = String::new();
    BufReader::new(provider.child().stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready = Record::parse(line.trim_end());
    let ready = ready.unwrap_or_else(|| panic!("{line}{}", provider.log()));
    (provider, ready)
}
