//! Reads that are asked ahead of readers: whose failure they are, and that they come
//! as soon as there is room for them.

mod support;

use std::time::Duration;

use fuse_promise_core::ids::Inode;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::CachePolicy;
use fuse_promise_engine::{CommitOptions, ProviderConfig};
use fuse_promise_wire::{ReadFrame, ToProvider};
use rustix::io::Errno;
use support::cached::{KIB, MIB, answer_all, range, rig_with};
use support::{FakeProvider, Rig, node};

/// A file that is being read in sequence, by a provider that owes what was asked ahead.
struct Ahead {
    rig: Rig,
    provider: FakeProvider,
    inode: Inode,
    handle: u64,
    owed: Vec<ReadFrame>,
}

impl Ahead {
    fn with_timeout(read_timeout: Option<Duration>) -> Self {
        let rig = rig_with(|options| options.readahead = 8 * MIB);
        let config = ProviderConfig {
            max_concurrent_reads: 8,
            read_timeout,
        };
        let provider = rig.provider_with(config);
        let promise = rig.commit(&provider, &[("a", 64 * MIB)]);
        let inode = node(promise, 1);
        let handle = rig.engine.open(inode, false).unwrap().handle;
        let mut owed = Vec::new();
        let mut offset = 0;
        while owed.is_empty() {
            let reader = rig.read_as(inode, handle, offset, 128 << 10);
            let next = offset + 128 * KIB;
            let answer = provider.serve(&reader, |read| match read.offset < next {
                true => provider.answer(&read),
                false => owed.push(read),
            });
            answer.unwrap();
            while let Some(read) = provider.asked_already() {
                owed.push(read);
            }
            offset = next;
        }
        Self {
            rig,
            provider,
            inode,
            handle,
            owed,
        }
    }

    fn new() -> Self {
        Self::with_timeout(None)
    }

    /// How many failures are remembered of the file, and why the last one was.
    fn remembered(&self) -> (u64, String) {
        let promise = self.inode.split().expect("a node").0;
        let path = self.rig.engine.promise_path(promise).join("a");
        let path = path.into_os_string().into_encoded_bytes();
        let file = self.rig.engine.inspect(&path).unwrap();
        let why = file.last_error.map(|error| error.reason);
        (file.node_errors, why.unwrap_or_default())
    }

    /// Errors and timeouts counted so far.
    fn failures(&self) -> [u64; 2] {
        let gauges = self.rig.engine.gauges();
        [gauges.errors, gauges.timeouts]
    }

    /// A reader of just the bytes that were asked ahead first.
    fn join(&self) -> support::Reader {
        let first = &self.owed[0];
        let reader = (self.rig).read_as(self.inode, self.handle, first.offset, first.length);
        assert_eq!(self.rig.engine.gauges().cache_joins, 1);
        reader
    }

    /// Waits until the provider is told that a request has waited too long.
    fn wait_for_cancel(&self) {
        while !matches!(self.provider.frame(), ToProvider::Cancel { .. }) {}
    }
}

#[test]
fn what_fails_ahead_of_all_readers_is_nobodys_error() {
    let ahead = Ahead::new();
    for read in &ahead.owed {
        ahead.provider.done(read, Status::Io.code(), 0);
    }
    ahead.rig.settle("not taken", |gauges| {
        while let Some(read) = ahead.provider.asked_already() {
            ahead.provider.done(&read, Status::Io.code(), 0);
        }
        gauges.in_flight == 0
    });
    assert_eq!(ahead.failures(), [0, 0]);
}

#[test]
fn what_comes_too_late_ahead_of_all_readers_is_nobodys_timeout() {
    let ahead = Ahead::with_timeout(Some(Duration::from_secs(2)));
    ahead.wait_for_cancel();
    assert_eq!(ahead.failures(), [0, 0]);
}

#[test]
fn what_is_lost_with_its_provider_ahead_of_all_readers_is_nobodys_error() {
    let ahead = Ahead::new();
    let (provider, token) = (ahead.provider.number, &ahead.provider.token);
    ahead.rig.engine.unregister(provider, token).unwrap();
    ahead.rig.assert_idle();
    assert_eq!(ahead.failures(), [0, 0]);
}

#[test]
fn a_reader_that_joined_and_fails_is_counted_once() {
    let ahead = Ahead::new();
    let reader = ahead.join();
    ahead.provider.done(&ahead.owed[0], Status::Io.code(), 0);
    assert_eq!(reader.answer(), Err(Errno::IO.raw_os_error()));
    assert_eq!(ahead.failures(), [1, 0]);
    let why = "provider 1 refused the read: io error";
    assert_eq!(ahead.remembered(), (1, why.into()));
}

#[test]
fn a_reader_that_joined_and_waits_too_long_is_counted_once() {
    let ahead = Ahead::with_timeout(Some(Duration::from_secs(2)));
    let reader = ahead.join();
    assert_eq!(reader.answer(), Err(Errno::TIMEDOUT.raw_os_error()));
    ahead.wait_for_cancel();
    assert_eq!(ahead.failures(), [1, 1]);
    let why = "provider 1 did not answer a read in time";
    assert_eq!(ahead.remembered(), (1, why.into()));
}

/// Reads past the cache take all slots while a cached file is read on.
#[test]
fn what_found_no_room_is_asked_when_reads_past_the_cache_have_left_some() {
    let rig = rig_with(|options| options.readahead = 8 * MIB);
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 64 * MIB)]);
    let past_the_cache = CommitOptions {
        cache_policy: Some(CachePolicy::NoCache),
        ..CommitOptions::default()
    };
    let direct = rig.try_commit(&provider, &[("b", 64 * MIB)], past_the_cache);
    provider.frame();
    let (a, b) = (node(promise, 1), node(direct.unwrap(), 1));
    let open = |inode| rig.engine.open(inode, false).unwrap().handle;
    // What is read in sequence below is held.
    let first = rig.read_as(a, open(a), 0, 256 << 10);
    answer_all(&provider, &first).0.unwrap();
    rig.settle("not kept", |gauges| gauges.cache_fetches == 0);
    let in_sequence = open(a);
    let held = |offset| rig.read_as(a, in_sequence, offset, 128 << 10).answer();
    held(0).unwrap();
    let handle = open(b);
    let place = |number| rig.read_as(b, handle, number * MIB, 1 << 20);
    let readers: Vec<_> = (0..16).map(place).collect();
    assert!(rig.engine.gauges().queued > 0);
    held(128 * KIB).unwrap();
    for reader in &readers {
        let read = provider.asked();
        assert_eq!(read.promise, direct_number(b));
        provider.answer(&read);
        reader.answer().unwrap();
    }
    let ahead = provider.asked();
    assert_eq!((ahead.promise, range(&ahead).0), (promise.0, 256 * KIB));
}

fn direct_number(inode: Inode) -> u32 {
    inode.split().unwrap().0.0
}
