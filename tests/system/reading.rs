//! Reads without a cache: what programs get, and what the provider is asked for.

mod one_read;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::thread;

use fuse_promise_core::Status;
use fuse_promise_testkit::fixture::check::read_range;
use fuse_promise_testkit::{Answer, ProviderProcess, Tree, both_shapes};
use one_read::{assert_right, length_of_read, read_once};
use rustix::fs::{OFlags, SeekFrom};
use rustix::io::Errno;

const LARGEST: u64 = i64::MAX as u64;

/// Neither a multiple of a page nor of the largest READ.
const SIZE: u64 = 3_500_001;

/// Ranges the provider was asked for from the `first` request on, in order of their offsets.
fn asked(provider: &mut ProviderProcess, first: u64) -> Vec<(u64, usize)> {
    let asked = provider.asked().into_iter().skip(first as usize);
    let mut ranges: Vec<_> = asked.map(|read| (read.offset, read.length)).collect();
    ranges.sort_unstable();
    ranges
}

both_shapes! {
    /// > A read returns all the bytes it asked for, up to the end of the file, even if the provider
    /// > answers in pieces.
    fn a_read_returns_all_it_asked_for(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let file = File::open(promise.join("a")).unwrap();
        for (answer, offset, length) in [
            (Answer::Right, 0, SIZE as usize),
            (Answer::Short(100_000), 0, SIZE as usize),
            (Answer::Short(1000), 12_345, 300_000),
            (Answer::Short(1), 4095, 100),
        ] {
            provider.answer(None, answer);
            let read = read_once(&file, offset, length).unwrap();
            assert_eq!(read.len(), length, "{answer:?}");
            assert_right("a", offset, &read);
            let end = read_once(&file, SIZE - 70, length).unwrap();
            assert_eq!(end.len(), 70.min(length), "{answer:?}");
            assert_right("a", SIZE - 70, &end);
        }
    }

    /// > A read at or past the end of the file returns 0 bytes.
    fn a_read_past_the_end_returns_nothing(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE).file("empty", 0));
        for (name, size) in [("a", SIZE), ("empty", 0)] {
            let file = File::open(promise.join(name)).unwrap();
            for offset in [size, size + 1, size + 4096, 1 << 40, LARGEST - 4096] {
                assert_eq!(length_of_read(&file, offset, 4096), Ok(0), "{name} at {offset}");
            }
        }
        assert!(fs::read(promise.join("empty")).unwrap().is_empty());
        assert_eq!(provider.counters().requests, 0);
    }

    /// > Without a cache, from Linux 6.6 on, the provider is asked for exactly the ranges that
    /// > programs read.
    fn the_provider_is_asked_for_what_is_read(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let file = File::open(promise.join("a")).unwrap();
        let reads = [
            (0, 1),
            (1, 4095),
            (4095, 2),
            (100_000, 131_072),
            (100_000, 131_072),
            (7, 65_537),
            (999_999, 1),
        ];
        for (number, (offset, length)) in reads.into_iter().enumerate() {
            let read = read_once(&file, offset, length).unwrap();
            assert_eq!(read.len(), length);
            assert_right("a", offset, &read);
            assert_eq!(asked(&mut provider, number as u64), [(offset, length)]);
        }
        // The end of the file is known without asking.
        let before = provider.counters().requests;
        assert_eq!(length_of_read(&file, SIZE - 10, 4096), Ok(10));
        assert_eq!(asked(&mut provider, before), [(SIZE - 10, 10)]);
        // What is longer than the largest request comes in several that neither overlap nor leave
        // anything out.
        let before = provider.counters().requests;
        let read = read_once(&file, 5, 3_000_000).unwrap();
        assert_right("a", 5, &read);
        let mut end = 5;
        for (offset, length) in asked(&mut provider, before) {
            assert_eq!(offset, end);
            end += length as u64;
        }
        assert_eq!(end, 3_000_005);
        // A second pass asks again.
        let before = provider.counters().bytes;
        for _ in 0..2 {
            assert_eq!(fs::read(promise.join("a")).unwrap().len() as u64, SIZE);
        }
        assert_eq!(provider.counters().bytes - before, 2 * SIZE);
    }

    fn several_readers_each_get_their_own_ranges(session) {
        let mut provider = session.provider();
        provider.unregister();
        provider.register(&[("max_concurrent_reads", "4")]).unwrap();
        let promise = provider.publish(&Tree::new().file("a", SIZE).file("b", SIZE));
        let readers = (0..8u64).map(|reader| {
            let name = if reader % 2 == 0 { "a" } else { "b" };
            let file = File::open(promise.join(name)).unwrap();
            thread::spawn(move || {
                for step in 0..100 {
                    let offset = (reader * 1_000_003 + step * 77_777) % (SIZE - 5000);
                    let read = read_once(&file, offset, 5000).unwrap();
                    assert_eq!(read.len(), 5000);
                    assert_right(name, offset, &read);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(provider.counters().bytes, 8 * 100 * 5000);
    }

    /// The largest file there can be: 2^63-1 bytes.
    fn the_largest_file_is_read_to_its_last_byte(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("largest", LARGEST));
        let file = File::open(promise.join("largest")).unwrap();
        assert_eq!(rustix::fs::seek(&file, SeekFrom::End(0)), Ok(LARGEST));
        assert_eq!(rustix::fs::seek(&file, SeekFrom::End(-1)), Ok(LARGEST - 1));
        assert_eq!(rustix::fs::seek(&file, SeekFrom::Hole(5)), Ok(LARGEST));
        assert_eq!(rustix::fs::seek(&file, SeekFrom::Data(5)), Ok(5));
        for (offset, length) in [
            (0, 100),
            (1 << 32, 100),
            (1 << 62, 5000),
            (LARGEST - 4096, 4096),
            (LARGEST - 1, 1),
        ] {
            let read = read_once(&file, offset, length).unwrap();
            assert_eq!(read.len(), length, "at {offset}");
            assert_right("largest", offset, &read);
        }
        assert_eq!(length_of_read(&file, LARGEST, 0), Ok(0));
        // No offset can be beyond: the kernel refuses such ranges itself.
        for (offset, length) in [
            (LARGEST, 1),
            (LARGEST - 1, 2),
            (LARGEST - 4095, 4096),
            (LARGEST + 1, 1),
            (u64::MAX, 1),
        ] {
            assert_eq!(length_of_read(&file, offset, length), Err(Errno::INVAL), "at {offset}");
        }
    }

    fn direct_io_is_as_good_as_any(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let direct = OFlags::DIRECT.bits() as i32;
        let file = File::options().read(true).custom_flags(direct).open(promise.join("a")).unwrap();
        let reads = [(0, 4096), (8192, 131_072), (3, 5)];
        for (number, (offset, length)) in reads.into_iter().enumerate() {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset).unwrap();
            assert_right("a", offset, &bytes);
            assert_eq!(asked(&mut provider, number as u64), [(offset, length)]);
        }
        assert_eq!(length_of_read(&file, SIZE - 4, 4096), Ok(4));
    }

    /// > A status that the provider answers a read with becomes the errno of that read alone.
    fn a_refusal_is_the_errno_of_one_read(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 10_000).file("b", 10_000));
        let [a, b] = ["a", "b"].map(|name| File::open(promise.join(name)).unwrap());
        for (status, errno) in [
            (Status::Permission, Errno::ACCESS),
            (Status::NotFound, Errno::NOENT),
            (Status::Cancelled, Errno::CANCELED),
            (Status::Timeout, Errno::TIMEDOUT),
            (Status::Io, Errno::IO),
            // Of any other the reader could make nothing.
            (Status::InvalidArgument, Errno::IO),
            (Status::Unavailable, Errno::IO),
            (Status::AlreadyExists, Errno::IO),
            (Status::ProviderGone, Errno::IO),
            (Status::VersionMismatch, Errno::IO),
        ] {
            provider.answer(Some("a"), Answer::Refuse(status));
            assert_eq!(length_of_read(&a, 100, 200), Err(errno), "{status:?}");
            assert_right("b", 100, &read_once(&b, 100, 200).unwrap());
            provider.answer(Some("a"), Answer::Right);
            assert_right("a", 100, &read_once(&a, 100, 200).unwrap());
        }
        // More bytes than there is room for is such an answer too.
        provider.answer(Some("a"), Answer::Overlong);
        assert_eq!(length_of_read(&a, 0, 10), Err(Errno::IO));
        provider.answer(Some("a"), Answer::Right);
        promise.check();
    }

    fn a_read_that_waits_keeps_nobody_from_looking(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("slow", 100));
        provider.answer(Some("slow"), Answer::Hang);
        let path = promise.join("slow");
        let reader = thread::spawn(move || read_range(&path, 0, 100).unwrap());
        provider.await_hung(1);
        assert_eq!(fs::metadata(promise.join("slow")).unwrap().len(), 100);
        assert_eq!(fs::read_dir(&promise.path).unwrap().count(), 1);
        // The same file, past its end: nothing to ask for.
        let file = File::open(promise.join("slow")).unwrap();
        assert_eq!(length_of_read(&file, 100, 10), Ok(0));
        provider.release();
        assert_right("slow", 0, &reader.join().unwrap());
    }
}
