//! One read after another, with a provider that answers as the test says.

mod support;

use fuse_promise_core::status::Status;
use fuse_promise_core::words::CachePolicy;
use fuse_promise_engine::{CommitOptions, ProviderConfig};
use fuse_promise_wire::ToProvider;
use rustix::io::Errno;
use support::{Rig, Told, bytes, node};

#[test]
fn a_read_is_answered_with_the_bytes_of_its_range() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 12345, 4096);
    let asked = provider.asked();
    assert_eq!(
        (asked.promise, asked.row, asked.offset, asked.length),
        (promise.0, 1, 12345, 4096)
    );
    assert!(reader.peek().is_none());
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, 12345, 4096)));
    rig.assert_idle();
}

#[test]
fn a_read_is_capped_at_the_end_and_empty_beyond_it() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100), ("empty", 0)]);
    let reader = rig.read(node(promise, 1), 90, 4096);
    let asked = provider.asked();
    assert_eq!((asked.offset, asked.length), (90, 10));
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, 90, 10)));
    for (row, offset) in [(1, 100), (1, 101), (1, u64::MAX), (2, 0)] {
        assert_eq!(
            rig.read(node(promise, row), offset, 10).answer(),
            Ok(vec![])
        );
    }
    // The provider was asked for none of these: the next frame is the next read.
    rig.read(node(promise, 1), 0, 1);
    assert_eq!(provider.asked().offset, 0);
}

#[test]
fn a_file_of_the_largest_size_is_read_at_its_very_end() {
    let rig = Rig::new();
    let provider = rig.provider();
    let size = i64::MAX as u64;
    let promise = rig.commit(&provider, &[("huge", size)]);
    let reader = rig.read(node(promise, 1), size - 5, 4096);
    let asked = provider.asked();
    assert_eq!((asked.offset, asked.length), (size - 5, 5));
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, size - 5, 5)));
}

#[test]
fn a_short_answer_is_continued_into_the_same_slot() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 1000, 5000);
    let first = provider.asked();
    provider.answer_some(&first, 10);
    let second = provider.asked();
    assert_eq!(second.slot, first.slot);
    assert_eq!(
        (second.offset, second.length, second.slot_offset),
        (1010, 4990, 10)
    );
    provider.answer_some(&second, 1);
    let third = provider.asked();
    assert_eq!((third.offset, third.slot_offset), (1011, 11));
    assert!(reader.peek().is_none());
    provider.answer(&third);
    assert_eq!(reader.answer(), Ok(bytes(1, 1000, 5000)));
    rig.assert_idle();
}

#[test]
fn content_that_ends_early_gives_a_direct_reader_what_there_is() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 0, 100);
    let asked = provider.asked();
    provider.answer_some(&asked, 40);
    let asked = provider.asked();
    provider.answer_some(&asked, 0);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 40)));
    let reader = rig.read(node(promise, 1), 40, 100);
    let asked = provider.asked();
    provider.answer_some(&asked, 0);
    assert_eq!(reader.answer(), Ok(vec![]));
    rig.assert_idle();
}

#[test]
fn content_that_ends_early_fails_a_cached_read_and_later_opens_are_direct() {
    let rig = Rig::with(|options| options.cache_policy = CachePolicy::ReadThrough);
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let inode = node(promise, 1);
    let opened = rig.engine.open(inode, false).unwrap();
    assert!(opened.keep_cache && !opened.direct_io);
    let reader = rig.read_as(inode, opened.handle, 0, 100);
    let asked = provider.asked();
    provider.answer_some(&asked, 0);
    assert_eq!(reader.answer(), Err(Errno::IO.raw_os_error()));
    let told = rig.told.recv_timeout(support::HANG).unwrap();
    assert_eq!(told, Told::PagesStale(inode));
    let again = rig.engine.open(inode, false).unwrap();
    assert!(again.direct_io && !again.keep_cache);
    rig.engine.release(inode, 0);
    rig.engine.release(inode, 0);
}

#[test]
fn each_status_a_provider_may_give_has_its_errno_and_others_count_as_io() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100)]);
    let expected = [
        (Status::Permission, Errno::ACCESS),
        (Status::NotFound, Errno::NOENT),
        (Status::Cancelled, Errno::CANCELED),
        (Status::Timeout, Errno::TIMEDOUT),
        (Status::Io, Errno::IO),
        (Status::InvalidArgument, Errno::IO),
        (Status::VersionMismatch, Errno::IO),
    ];
    for (status, errno) in expected {
        let reader = rig.read(node(promise, 1), 0, 10);
        let asked = provider.asked();
        provider.done(&asked, status.code(), 0);
        assert_eq!(reader.answer(), Err(errno.raw_os_error()), "{status:?}");
    }
    // That read only: the next one is served.
    let reader = rig.read(node(promise, 1), 0, 10);
    let asked = provider.asked();
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
    rig.assert_idle();
}

#[test]
fn more_reads_than_slots_wait_their_turn_and_all_are_answered() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 30)]);
    let readers: Vec<_> = (0..100u64)
        .map(|index| rig.read(node(promise, 1), index << 20, 1 << 20))
        .collect();
    let gauges = rig.engine.gauges();
    assert!(gauges.queued > 0, "{gauges:?}");
    assert_eq!(gauges.in_flight + gauges.queued, 100);
    assert_eq!(gauges.in_flight, gauges.slots_in_use);
    // A small read has slots of its own and does not wait behind these.
    let small = rig.read(node(promise, 1), 5, 16);
    let mut in_order = Vec::new();
    for _ in 0..=100 {
        let asked = provider.asked();
        in_order.push(asked.offset);
        provider.answer(&asked);
    }
    assert_eq!(small.answer(), Ok(bytes(1, 5, 16)));
    let small_came = in_order.iter().position(|offset| *offset == 5).unwrap();
    assert!(
        small_came < 20,
        "the small read came as number {small_came}"
    );
    in_order.remove(small_came);
    assert!(in_order.is_sorted(), "{in_order:?}");
    for (index, reader) in readers.iter().enumerate() {
        let offset = (index as u64) << 20;
        assert_eq!(reader.answer(), Ok(bytes(1, offset, 1 << 20)));
    }
    rig.assert_idle();
}

#[test]
fn a_provider_that_does_not_read_its_channel_fails_no_reader() {
    let rig = Rig::new();
    let config = ProviderConfig {
        max_concurrent_reads: 4096,
        ..ProviderConfig::default()
    };
    let provider = rig.provider_with(config);
    let promise = rig.commit(&provider, &[("a", 1 << 30)]);
    let many = 700;
    let files: Vec<_> = (0..many).map(|n| (format!("p{n}"), 10)).collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, size)| (&name[..], *size))
        .collect();
    // Commits put events into the channel that nobody takes out.
    for _ in 0..many {
        rig.try_commit(&provider, &files[..1], CommitOptions::default())
            .unwrap();
    }
    assert!(rig.engine.gauges().unsent_frames > 0, "the channel is full");
    let reader = rig.read(node(promise, 1), 3, 5);
    loop {
        match provider.frame() {
            ToProvider::Read(asked) => break provider.answer(&asked),
            ToProvider::Event { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reader.answer(), Ok(bytes(1, 3, 5)));
    rig.assert_idle();
}

#[test]
fn a_read_of_what_is_not_there_says_so() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 10)]);
    let noent = Err(Errno::NOENT.raw_os_error());
    assert_eq!(rig.read(node(promise, 99), 0, 10).answer(), noent);
    let unknown = fuse_promise_core::ids::PromiseNumber(99);
    assert_eq!(rig.read(node(unknown, 1), 0, 10).answer(), noent);
}

struct OldKernel;

impl fuse_promise_engine::Kernel for OldKernel {
    fn attributes_stale(&self, _: fuse_promise_core::ids::Inode) {}
    fn entry_gone(&self, _: fuse_promise_core::ids::Inode, _: &[u8]) {}
    fn pages_stale(&self, _: fuse_promise_core::ids::Inode) {}
    fn maps_direct_io(&self) -> bool {
        false
    }
}

#[test]
fn where_direct_io_forbids_mmap_the_page_cache_stands_in_and_gets_no_short_read() {
    let rig = Rig::new();
    rig.engine.set_kernel(std::sync::Arc::new(OldKernel));
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let inode = node(promise, 1);
    let opened = rig.engine.open(inode, false).unwrap();
    assert!(!opened.direct_io && !opened.keep_cache);
    let reader = rig.read_as(inode, opened.handle, 0, 100);
    let asked = provider.asked();
    provider.answer_some(&asked, 10);
    let asked = provider.asked();
    provider.answer_some(&asked, 0);
    assert_eq!(reader.answer(), Err(Errno::IO.raw_os_error()));
    assert!(rig.engine.open(inode, false).unwrap().direct_io);
    rig.engine.release(inode, 0);
    rig.engine.release(inode, 0);
}

#[test]
fn a_small_read_does_not_wait_behind_a_queued_large_one() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 30)]);
    let large: Vec<_> = (0..9u64)
        .map(|index| rig.read(node(promise, 1), index << 20, 1 << 20))
        .collect();
    assert_eq!(rig.engine.gauges().queued, 1);
    let small = rig.read(node(promise, 1), 5, 10);
    // Sent at once: it is the ninth frame, before any answer.
    let asked: Vec<_> = (0..9).map(|_| provider.asked()).collect();
    assert_eq!(asked[8].length, 10);
    provider.answer(&asked[8]);
    assert_eq!(small.answer(), Ok(bytes(1, 5, 10)));
    for read in &asked[..8] {
        provider.answer(read);
    }
    provider.answer(&provider.asked());
    for (index, reader) in large.iter().enumerate() {
        let offset = (index as u64) << 20;
        assert_eq!(reader.answer(), Ok(bytes(1, offset, 1 << 20)));
    }
    rig.assert_idle();
}
