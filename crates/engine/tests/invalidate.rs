//! What a provider takes back of the cache: who may, what goes, and what becomes of
//! that which is under way.

mod support;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::CachePolicy;
use fuse_promise_engine::{CommitOptions, EngineEvent, ProviderConfig};
use fuse_promise_wire::ToProvider;
use support::cached::{MIB, answer_all, range, rig, rig_with};
use support::{FakeProvider, Told, bytes, node, read_through};

#[test]
fn what_its_provider_takes_back_is_asked_for_again() {
    let rig = rig();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 10_000), ("b", 10_000), ("never", 1)]);
    let (a, b) = (node(promise, 1), node(promise, 2));
    let handles = [a, b].map(|inode| rig.engine.open(inode, false).unwrap().handle);
    let read = |row: usize| {
        let reader = rig.read_as([a, b][row], handles[row], 0, 10_000);
        let (answer, asked) = answer_all(&provider, &reader);
        assert_eq!(answer, Ok(bytes(row as u32 + 1, 0, 10_000)));
        rig.settle("not kept", |gauges| gauges.cache_fetches == 0);
        asked.len()
    };
    let invalidate = |id| {
        let engine = &rig.engine;
        engine.invalidate(provider.number, &provider.token, promise, id)
    };
    assert_eq!([read(0), read(1)], [1, 1]);
    assert_eq!([read(0), read(1)], [0, 0]);
    rig.events();
    invalidate(Some(b"id of a")).unwrap();
    // The kernel knows before the call returns, and only of files that were opened.
    assert_eq!(rig.told.try_recv(), Ok(Told::PagesStale(a)));
    assert!(rig.told.try_recv().is_err());
    let changed = EngineEvent::PromiseChanged(promise);
    assert_eq!(rig.events(), [changed], "a was held whole");
    assert_eq!([read(0), read(1)], [1, 0]);
    invalidate(Some(b"id of never")).unwrap();
    assert!(rig.told.try_recv().is_err());
    invalidate(None).unwrap();
    assert_eq!(rig.engine.gauges().cache_bytes, 0);
    assert_eq!(rig.told.try_iter().count(), 2);
    assert_eq!([read(0), read(1)], [1, 1]);
    assert_eq!([read(0), read(1)], [0, 0], "kept again");
}

#[test]
fn all_nodes_of_an_id_are_taken_back() {
    let rig = rig();
    let provider = rig.provider();
    let mut tree = support::tree(&[("other", 1000)]);
    let attr = NodeAttr {
        size: 1000,
        ..NodeAttr::default()
    };
    for name in [b"x", b"y"] {
        tree.add_file(name, attr, b"twice").unwrap();
    }
    let image = fuse_promise_wire::image::seal(&tree).unwrap();
    let options = CommitOptions::default();
    let (engine, token) = (&rig.engine, &provider.token);
    let promise = engine.commit(provider.number, token, image, options);
    let promise = promise.unwrap();
    let asked = |row| {
        let handle = engine.open(node(promise, row), false).unwrap().handle;
        let reader = rig.read_as(node(promise, row), handle, 0, 1000);
        let asked = answer_all(&provider, &reader).1.len();
        rig.settle("not kept", |gauges| gauges.cache_fetches == 0);
        asked
    };
    assert_eq!([1, 2, 3].map(asked), [1, 1, 1]);
    let taken_back = engine.invalidate(provider.number, token, promise, Some(b"twice"));
    taken_back.unwrap();
    assert_eq!([1, 2, 3].map(asked), [0, 1, 1]);
}

#[test]
fn only_its_provider_takes_back_a_promise_and_only_ids_that_it_has() {
    let rig = rig();
    let (provider, other) = (rig.provider(), rig.provider());
    let promise = rig.commit(&provider, &[("a", 100)]);
    let refusal = |owner: &FakeProvider, token: &FakeProvider, promise, id| {
        let engine = &rig.engine;
        let failure = engine.invalidate(owner.number, &token.token, promise, id);
        let failure = failure.unwrap_err();
        (failure.status, failure.message)
    };
    let (status, _) = refusal(&provider, &other, promise, None);
    assert_eq!(status, Status::Permission);
    let (status, message) = refusal(&other, &other, promise, None);
    assert_eq!(status, Status::NotFound);
    assert!(message.contains("promise-1"), "{message}");
    let (status, message) = refusal(&provider, &provider, promise, Some(b"nobody's\n"));
    assert_eq!(status, Status::NotFound);
    assert!(message.contains("nobody\\'s\\n"), "{message}");
    let (status, _) = refusal(&provider, &provider, promise, Some(b""));
    assert_eq!(status, Status::InvalidArgument);
    let (engine, number) = (&rig.engine, provider.number);
    engine.unregister(number, &provider.token).unwrap();
    let (status, _) = refusal(&provider, &provider, promise, None);
    assert!(matches!(status, Status::NotFound | Status::ProviderGone));
}

#[test]
fn what_is_under_way_while_it_is_taken_back_is_answered_and_not_kept() {
    let rig = rig();
    let config = ProviderConfig {
        max_concurrent_reads: 2,
        ..ProviderConfig::default()
    };
    let provider = rig.provider_with(config);
    let promise = rig.commit(&provider, &[("a", MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let readers = [0, 8192].map(|offset| rig.read_as(a, handle, offset, 8192));
    let asked = [provider.asked(), provider.asked()];
    // As from inside the read callback: nobody waits for the answer that it will be.
    let engine = &rig.engine;
    let taken_back = engine.invalidate(provider.number, &provider.token, promise, None);
    taken_back.unwrap();
    provider.answer(&asked[0]);
    assert_eq!(readers[0].answer(), Ok(bytes(1, 0, 8192)));
    rig.settle("in flight", |gauges| gauges.slots_in_use == 1);
    assert!(rig.told.try_recv().is_err(), "its pages are being filled");
    provider.answer(&asked[1]);
    assert_eq!(readers[1].answer(), Ok(bytes(1, 8192, 8192)));
    let told = rig.told.recv_timeout(support::HANG).unwrap();
    assert_eq!(told, Told::PagesStale(a));
    assert_eq!(rig.engine.gauges().cache_bytes, 0);
    // Who comes meanwhile does not get what was taken back.
    let old = rig.read_as(a, handle, 0, 8192);
    let asked_before = provider.asked();
    let taken_back = engine.invalidate(provider.number, &provider.token, promise, None);
    taken_back.unwrap();
    let again = rig.read_as(a, handle, 0, 8192);
    let asked = provider.asked();
    assert_eq!([&asked_before, &asked].map(range), [(0, 8192), (0, 8192)]);
    provider.answer(&asked);
    assert_eq!(again.answer(), Ok(bytes(1, 0, 8192)));
    rig.settle("not kept", |gauges| gauges.cache_bytes >= 8192);
    provider.answer(&asked_before);
    assert_eq!(old.answer(), Ok(bytes(1, 0, 8192)));
    rig.assert_idle();
    assert_eq!(
        rig.read_as(a, handle, 0, 8192).answer(),
        Ok(bytes(1, 0, 8192))
    );
}

#[test]
fn pages_of_a_file_with_an_owed_answer_wait_for_it_however_often_it_is_taken_back() {
    let rig = rig();
    let provider = rig.provider_with(ProviderConfig {
        max_concurrent_reads: 2,
        ..ProviderConfig::default()
    });
    let promise = rig.commit(&provider, &[("a", MIB)]);
    let a = node(promise, 1);
    let handle = rig.engine.open(a, false).unwrap().handle;
    let take_back = || {
        let (engine, token) = (&rig.engine, &provider.token);
        let taken_back = engine.invalidate(provider.number, token, promise, None);
        taken_back.unwrap();
    };
    let owed = rig.read_as(a, handle, 0, 8192);
    let asked = provider.asked();
    take_back();
    take_back();
    assert!(rig.told.try_recv().is_err(), "its pages are being filled");
    provider.answer(&asked);
    assert_eq!(owed.answer(), Ok(bytes(1, 0, 8192)));
    let told = || rig.told.recv_timeout(support::HANG).unwrap();
    assert_eq!(told(), Told::PagesStale(a));
    rig.assert_idle();
    // A read that is asked for alone is owed like any other.
    let long = rig.read_as(a, handle, 0, 65536);
    let asked = provider.asked();
    let short = rig.read_as(a, handle, 0, 512);
    provider.done(&asked, Status::Permission.code(), 0);
    long.answer().unwrap_err();
    let alone = provider.asked();
    take_back();
    assert!(
        rig.told.try_recv().is_err(),
        "told once for both, and not yet"
    );
    provider.answer(&alone);
    assert_eq!(short.answer(), Ok(bytes(1, 0, 512)));
    assert_eq!(told(), Told::PagesStale(a));
    rig.assert_idle();
    take_back();
    assert_eq!(
        rig.told.try_recv(),
        Ok(Told::PagesStale(a)),
        "nothing is owed"
    );
    assert!(rig.told.try_recv().is_err());
}

#[test]
fn pages_of_a_file_that_ends_early_wait_for_its_owed_answers_too() {
    let rig = rig();
    let provider = rig.provider_with(ProviderConfig {
        max_concurrent_reads: 2,
        ..ProviderConfig::default()
    });
    let promise = rig.commit(&provider, &[("a", MIB), ("b", 100)]);
    let (a, b) = (node(promise, 1), node(promise, 2));
    let [of_a, of_b] = [a, b].map(|inode| rig.engine.open(inode, false).unwrap().handle);
    let [beyond, before] = [8192, 0].map(|offset| rig.read_as(a, of_a, offset, 8192));
    let asked = [provider.asked(), provider.asked()];
    provider.answer_some(&asked[0], 0);
    beyond.answer().unwrap_err();
    rig.settle("in flight", |gauges| gauges.slots_in_use == 1);
    // What the kernel is told of others does not wait behind it.
    let probe = rig.read_as(b, of_b, 0, 100);
    provider.answer(&provider.asked());
    probe.answer().unwrap();
    rig.settle("not kept", |gauges| gauges.cache_fetches == 1);
    let (engine, token) = (&rig.engine, &provider.token);
    let taken_back = engine.invalidate(provider.number, token, promise, Some(b"id of b"));
    taken_back.unwrap();
    assert_eq!(rig.told.try_recv(), Ok(Told::PagesStale(b)));
    provider.answer(&asked[1]);
    before.answer().unwrap();
    let told = rig.told.recv_timeout(support::HANG).unwrap();
    assert_eq!(told, Told::PagesStale(a));
}

#[test]
fn a_promise_to_be_kept_is_kept_on_after_it_was_taken_back_and_outlives_a_flood() {
    let rig = rig_with(|options| options.cache_size = 4 * MIB);
    let provider = rig.provider();
    let options = CommitOptions {
        cache_policy: Some(CachePolicy::Keep),
        ..CommitOptions::default()
    };
    let kept = rig.try_commit(&provider, &[("a", MIB)], options).unwrap();
    let flood = rig.try_commit(&provider, &[("b", 32 * MIB)], CommitOptions::default());
    let flood = flood.unwrap();
    let read = |promise, offset| {
        let inode = node(promise, 1);
        let handle = rig.engine.open(inode, false).unwrap().handle;
        let reader = rig.read_as(inode, handle, offset, MIB as u32);
        let asked = answer_all(&provider, &reader).1.len();
        rig.settle("under way", |gauges| gauges.cache_fetches == 0);
        rig.engine.release(inode, handle);
        asked
    };
    assert_eq!(read(kept, 0), 1);
    let (number, token) = (provider.number, &provider.token);
    let taken_back = rig.engine.invalidate(number, token, kept, None);
    taken_back.unwrap();
    assert_eq!(read(kept, 0), 1);
    for pass in 0..2 {
        for piece in 0..32 {
            read(flood, piece * MIB);
        }
        assert!(rig.engine.gauges().cache_evictions > 0, "pass {pass}");
        assert_eq!(read(kept, 0), 0);
    }
}

/// Whatever is called off or taken back at the moment, each read is answered.
#[test]
fn no_read_fails_while_others_close_their_files_and_bytes_are_taken_back() {
    const ROUNDS: u64 = 500;
    let rig = rig_with(|options| options.readahead = 4 * MIB);
    let provider = rig.provider_with(ProviderConfig {
        max_concurrent_reads: 4,
        ..ProviderConfig::default()
    });
    let promise = rig.commit(&provider, &[("a", 8 * MIB)]);
    let (number, token) = (provider.number, provider.token);
    let a = node(promise, 1);
    let engine = &rig.engine;
    let read_some = |(piece, pieces): (u32, u64)| {
        let handle = engine.open(a, false).unwrap().handle;
        for at in 0..pieces {
            let read = read_through(engine, a, handle, at * u64::from(piece), piece);
            assert_eq!(read.answer().map(|bytes| bytes.len()), Ok(piece as usize));
        }
        engine.release(a, handle);
    };
    std::thread::scope(|threads| {
        threads.spawn(move || {
            while let Some(frame) = provider.next_frame() {
                if let ToProvider::Read(read) = frame {
                    provider.done(&read, Status::Ok.code(), read.length);
                }
            }
        });
        // The long reads want all of what was asked ahead of the short ones.
        let readers = [(16 << 10, 3), (16 << 10, 5), (1 << 20, 1), (1 << 20, 1)];
        let readers = readers.map(|way| {
            let read_some = &read_some;
            threads.spawn(move || {
                for _ in 0..ROUNDS {
                    read_some(way);
                    engine.invalidate(number, &token, promise, None).unwrap();
                }
            })
        });
        let ended = readers.map(|reader| reader.join());
        // What was asked ahead may still be owed.
        rig.assert_idle();
        // The provider's thread ends with its session.
        engine.unregister(number, &token).unwrap();
        assert!(ended.iter().all(Result::is_ok), "a read failed");
    });
}
