//! Read-through: what the provider is asked for, counted byte by byte, and what a
//! reader gets when the provider is gone.

mod support;

use fuse_promise_core::status::Status;
use fuse_promise_core::words::{CachePolicy, NodeState};
use fuse_promise_engine::{CommitOptions, ProviderConfig};
use fuse_promise_wire::ReadFrame;
use rustix::io::Errno;
use support::cached::{KIB, MIB, answer_all, range, rig, rig_with};
use support::{FakeProvider, Told, bytes, node};

#[test]
fn what_was_read_once_is_not_asked_for_again() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let first = rig.read_as(a, handle, 100_000, 4096);
    let asked = provider.asked();
    assert_eq!(range(&asked), (100_000, 4096), "a probe asks for itself");
    provider.answer(&asked);
    assert_eq!(first.answer(), Ok(bytes(1, 100_000, 4096)));
    rig.settle("nothing is kept", |gauges| gauges.cache_fetches == 0);
    let again = rig.read_as(a, handle, 101_000, 1000);
    assert_eq!(again.answer(), Ok(bytes(1, 101_000, 1000)));
    // Only the part that is missing.
    let more = rig.read_as(a, handle, 102_000, 8000);
    let asked = provider.asked();
    assert_eq!(range(&asked), (104_096, 5904));
    provider.answer(&asked);
    assert_eq!(more.answer(), Ok(bytes(1, 102_000, 8000)));
    assert_eq!(rig.engine.gauges().cache_hits, 1);
    rig.engine.release(a, handle);
    rig.assert_idle();
}

#[test]
fn readers_of_the_same_bytes_share_a_request() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let whole = rig.read_as(a, handle, 0, 8192);
    let part = rig.read_as(a, handle, 4096, 100);
    let beyond = rig.read_as(a, handle, 8000, 1000);
    let asked = [provider.asked(), provider.asked()];
    assert_eq!(asked.map(|read| range(&read)), [(0, 8192), (8192, 808)]);
    assert_eq!(rig.engine.gauges().cache_joins, 2);
    assert!(part.peek().is_none());
    provider.answer(&asked[1]);
    provider.answer(&asked[0]);
    assert_eq!(whole.answer(), Ok(bytes(1, 0, 8192)));
    assert_eq!(part.answer(), Ok(bytes(1, 4096, 100)));
    assert_eq!(beyond.answer(), Ok(bytes(1, 8000, 1000)));
    rig.assert_idle();
}

#[test]
fn a_read_does_not_fail_for_bytes_it_did_not_ask_for() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let long = rig.read_as(a, handle, 0, 65536);
    let asked = provider.asked();
    let short = rig.read_as(a, handle, 0, 512);
    provider.done(&asked, Status::Permission.code(), 0);
    assert_eq!(long.answer(), Err(Errno::ACCESS.raw_os_error()));
    let alone = provider.asked();
    assert_eq!(range(&alone), (0, 512));
    provider.answer(&alone);
    assert_eq!(short.answer(), Ok(bytes(1, 0, 512)));
}

#[test]
fn a_file_that_is_read_in_sequence_is_asked_for_ahead_and_each_byte_once() {
    let rig = rig_with(|options| options.readahead = 4 * MIB);
    let provider = rig.provider();
    let size = 20 * MIB + 12_345;
    let promise = rig.commit(&provider, &[("a", size)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let mut asked = Vec::new();
    let mut offset = 0;
    while offset < size {
        let length = (128 * KIB).min(size - offset);
        let reader = rig.read_as(a, handle, offset, length as u32);
        let (answer, asked_now) = answer_all(&provider, &reader);
        assert_eq!(answer, Ok(bytes(1, offset, length as usize)));
        asked.extend(asked_now);
        offset += length;
    }
    asked.sort_by_key(|read| read.offset);
    let mut end = 0;
    for read in &asked {
        assert_eq!(read.offset, end, "a gap, or a byte twice");
        end += u64::from(read.length);
    }
    assert_eq!(end, size);
    let large = asked.iter().filter(|read| u64::from(read.length) == MIB);
    assert!(
        large.count() >= 16,
        "{:?}",
        asked.iter().map(range).collect::<Vec<_>>()
    );
    assert!(rig.engine.gauges().prefetches >= 16);
    rig.engine.release(a, handle);
    rig.assert_idle();
}

#[test]
fn random_reads_ask_for_little_more_than_they_read() {
    let rig = rig_with(|options| options.readahead = 32 * MIB);
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 30)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let mut place = 1_u64;
    let mut asked = 0;
    const READS: u64 = 300;
    for _ in 0..READS {
        place = place
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let offset = (place >> 34) % ((1 << 30) / 4096) * 4096;
        let reader = rig.read_as(a, handle, offset, 4096);
        let (answer, asked_now) = answer_all(&provider, &reader);
        assert_eq!(answer, Ok(bytes(1, offset, 4096)));
        asked += asked_now
            .iter()
            .map(|read| u64::from(read.length))
            .sum::<u64>();
    }
    assert!(
        asked <= READS * 4096 * 16,
        "{asked} bytes for {READS} reads"
    );
}

#[test]
fn closing_the_file_calls_off_what_was_asked_ahead() {
    let rig = rig_with(|options| options.readahead = 8 * MIB);
    let config = ProviderConfig {
        max_concurrent_reads: 8,
        ..ProviderConfig::default()
    };
    let provider = rig.provider_with(config);
    let promise = rig.commit(&provider, &[("a", 64 * MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let mut owed: Vec<ReadFrame> = Vec::new();
    for index in 0..16 {
        let offset = index * 128 * KIB;
        let reader = rig.read_as(a, handle, offset, 128 << 10);
        // Whatever covers the read is answered, what lies ahead of it is not.
        let covers = |read: &ReadFrame| read.offset < offset + 128 * KIB;
        for read in owed.extract_if(.., |read| covers(read)) {
            provider.answer(&read);
        }
        let answer = provider.serve(&reader, |read| match covers(&read) {
            true => provider.answer(&read),
            false => owed.push(read),
        });
        answer.unwrap();
    }
    assert!(!owed.is_empty());
    rig.engine.release(a, handle);
    let gauges = rig.engine.gauges();
    assert!(
        gauges.cancelled_prefetches >= owed.len() as u64,
        "{gauges:?}"
    );
    assert_eq!((gauges.cache_fetches, gauges.cache_readers), (0, 0));
    // Answers that come all the same free their slots.
    for read in owed {
        provider.answer(&read);
    }
}

#[test]
fn a_read_that_joined_a_hung_prefetch_waits_for_one_deadline() {
    let rig = rig_with(|options| options.readahead = 8 * MIB);
    let with_timeout = |millis| ProviderConfig {
        max_concurrent_reads: 8,
        read_timeout: Some(std::time::Duration::from_millis(millis)),
    };
    let provider = rig.provider_with(with_timeout(1000));
    let patient = rig.provider_with(with_timeout(1500));
    let promise = rig.commit(&provider, &[("a", 64 * MIB)]);
    let other = rig.commit(&patient, &[("b", MIB)]);
    let (a, b) = (node(promise, 1), node(other, 1));
    let [of_a, of_b] = [a, b].map(|inode| rig.engine.open(inode, false).unwrap().handle);
    let mut offset = 0;
    // Until the next read is part of a longer request that is owed.
    while rig.engine.gauges().cache_joins == 0 {
        let reader = rig.read_as(a, of_a, offset, 128 << 10);
        if rig.engine.gauges().cache_joins > 0 {
            let clock = rig.read_as(b, of_b, 0, 4096);
            assert_eq!(reader.answer(), Err(Errno::TIMEDOUT.raw_os_error()));
            assert!(clock.peek().is_none(), "half a deadline longer than one");
            return;
        }
        let covers = |read: &ReadFrame| read.offset == offset;
        let answer = provider.serve(&reader, |read| {
            if covers(&read) {
                provider.answer(&read);
            }
        });
        answer.unwrap();
        offset += 128 * KIB;
    }
}

#[test]
fn a_promise_that_is_held_whole_lives_without_its_provider() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 10_000), ("b", 10_000), ("empty", 0)]);
    let (a, b) = (node(promise, 1), node(promise, 2));
    let read = |inode, offset, length| {
        let handle = rig.engine.open(inode, false)?.handle;
        let reader = rig.read_as(inode, handle, offset, length);
        let (answer, _) = answer_all(&provider, &reader);
        rig.engine.release(inode, handle);
        answer
    };
    let state = || rig.engine.promise(promise).unwrap().state;
    read(a, 0, 10_000).unwrap();
    rig.settle("not kept", |gauges| gauges.cache_fetches == 0);
    assert_eq!(state(), NodeState::Available);
    let xattr = rig.engine.xattr(a, b"user.fuse-promise.state");
    assert_eq!(xattr, Ok(b"cached".to_vec()));
    read(b, 0, 10_000).unwrap();
    rig.settle("not kept", |gauges| gauges.cache_fetches == 0);
    assert_eq!(state(), NodeState::Cached);
    provider.channel.shutdown();
    rig.settle("not lost", |_| {
        rig.engine.provider(provider.number).unwrap().state
            == fuse_promise_core::words::ProviderState::Disconnected
    });
    assert_eq!(state(), NodeState::Cached);
    assert_eq!(read(a, 3000, 2000), Ok(bytes(1, 3000, 2000)));
    assert_eq!(read(b, 0, 10_000), Ok(bytes(2, 0, 10_000)));
}

#[test]
fn a_file_that_is_held_in_part_fails_everywhere_without_its_provider() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 10_000)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let reader = rig.read_as(a, handle, 0, 4096);
    provider.answer(&provider.asked());
    reader.answer().unwrap();
    provider.channel.shutdown();
    let told = rig.told.recv_timeout(support::HANG).unwrap();
    assert_eq!(told, Told::PagesStale(a));
    let eio = Err(Errno::IO.raw_os_error());
    assert_eq!(rig.read_as(a, handle, 0, 4096).answer(), eio);
    assert_eq!(rig.read_as(a, handle, 5000, 10).answer(), eio);
    assert_eq!(rig.engine.gauges().cache_bytes, 0);
    rig.engine.release(a, handle);
}

#[test]
fn a_freed_promise_leaves_nothing_in_the_cache() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100_000)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let reader = rig.read_as(a, handle, 0, 100_000);
    provider.answer(&provider.asked());
    reader.answer().unwrap();
    rig.settle("not kept", |gauges| gauges.cache_bytes >= 100_000);
    rig.engine.destroy(promise).unwrap();
    // Open files are served on, from what is held.
    let reader = rig.read_as(a, handle, 0, 100);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 100)));
    rig.engine.release(a, handle);
    rig.settle("it stays", |gauges| gauges.cache_bytes == 0);
}

#[test]
fn the_providers_policy_wins_over_the_daemons() {
    let rig = rig();
    let provider = rig.provider();
    let commit = |policy| {
        let options = CommitOptions {
            cache_policy: Some(policy),
            ..CommitOptions::default()
        };
        rig.try_commit(&provider, &[("a", 100)], options).unwrap()
    };
    let direct = commit(CachePolicy::NoCache);
    let opened = rig.engine.open(node(direct, 1), false).unwrap();
    assert!(opened.direct_io && !opened.keep_cache);
    let kept = commit(CachePolicy::Keep);
    let opened = rig.engine.open(node(kept, 1), false).unwrap();
    assert!(!opened.direct_io && opened.keep_cache);
}

#[test]
fn what_a_copy_finds_in_the_cache_is_not_asked_for_again() {
    use fuse_promise_core::words::ConflictPolicy;
    let rig = rig();
    let tree = support::tree(&[("a", 100_000), ("b", 3000)]);
    let served = support::served::Served::on(rig, &tree, FakeProvider::answer);
    let a = node(served.promise, 1);
    let handle = served.rig.engine.open(a, false).unwrap().handle;
    let half = served.rig.read_as(a, handle, 0, 60_000);
    half.answer().unwrap();
    served
        .rig
        .settle("not kept", |gauges| gauges.cache_fetches == 0);
    let before = served.bytes();
    assert_eq!(before, 60_000);
    served.copy("", ConflictPolicy::Fail);
    assert_eq!(
        served.bytes() - before,
        43_000,
        "the rest, and nothing twice"
    );
    let copied = std::fs::read(served.path("promise-1/a")).unwrap();
    assert_eq!(copied, bytes(1, 0, 100_000));
}
