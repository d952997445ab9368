//! Reads through the page cache: a daemon started with `--cache=read-through`.

mod one_read;
mod support;

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;

use fuse_promise_core::Status;
use fuse_promise_testkit::{Answer, Session, Tree};
use one_read::{assert_right, length_of_read, read_once};
use rustix::fs::OFlags;
use rustix::io::Errno;
use support::SHAPES;
use support::balance::{OF_READS, await_zero};

const LARGEST: u64 = i64::MAX as u64;
const SIZE: u64 = 1_500_001;

/// Runs a test in a session of each shape.
fn with_cache(test: fn(&mut Session)) {
    for shape in SHAPES {
        test(&mut Session::options(shape).flag("--cache=read-through").start());
    }
}

#[test]
fn what_was_read_once_is_not_asked_for_again() {
    with_cache(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE).file("empty", 0));
        let path = promise.join("a");
        assert_right("a", 0, &fs::read(&path).unwrap());
        // No byte twice, and none beyond the end.
        assert_eq!(provider.counters().bytes, SIZE);
        let asked = provider.counters().requests;
        for _ in 0..2 {
            assert_right("a", 0, &fs::read(&path).unwrap());
            session.run("cksum", &[path.to_str().unwrap()]).ok();
        }
        let file = File::open(&path).unwrap();
        assert_right("a", 77, &read_once(&file, 77, 100_000).unwrap());
        assert_eq!(provider.counters().requests, asked);
    });
}

#[test]
fn each_read_returns_all_up_to_the_end() {
    with_cache(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().files("a", 4, SIZE).file("empty", 0));
        let pieces = [Answer::Right, Answer::Short(100_000), Answer::Short(999)];
        for (number, answer) in pieces.into_iter().enumerate() {
            provider.answer(None, answer);
            let name = format!("a{number}");
            let file = File::open(promise.join(&name)).unwrap();
            let end = read_once(&file, SIZE - 70, 4096).unwrap();
            assert_eq!(end.len(), 70);
            assert_right(&name, SIZE - 70, &end);
            let whole = read_once(&file, 0, SIZE as usize + 10).unwrap();
            assert_eq!(whole.len() as u64, SIZE);
            assert_right(&name, 0, &whole);
            for offset in [SIZE, SIZE + 1, 1 << 40, LARGEST - 4096] {
                assert_eq!(length_of_read(&file, offset, 4096), Ok(0), "at {offset}");
            }
        }
        assert!(fs::read(promise.join("empty")).unwrap().is_empty());
    });
}

#[test]
fn the_largest_file_is_read_to_its_last_byte() {
    with_cache(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("largest", LARGEST));
        let file = File::open(promise.join("largest")).unwrap();
        for (offset, length) in [
            (0, 100),
            (1 << 62, 5000),
            (LARGEST - 4096, 4096),
            (LARGEST - 1, 1),
        ] {
            let read = read_once(&file, offset, length).unwrap();
            assert_eq!(read.len(), length, "at {offset}");
            assert_right("largest", offset, &read);
        }
        assert_eq!(
            fs::metadata(promise.join("largest")).unwrap().len(),
            LARGEST
        );
    });
}

/// Past the kernel's cache, that is: the daemon's has the bytes.
#[test]
fn direct_io_is_as_good_as_any() {
    with_cache(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let direct = OFlags::DIRECT.bits() as i32;
        let mut options = File::options();
        let file = options
            .read(true)
            .custom_flags(direct)
            .open(promise.join("a"));
        let file = file.unwrap();
        for _ in 0..2 {
            assert_right("a", 4096, &read_once(&file, 4096, 8192).unwrap());
            assert_eq!(provider.counters().bytes, 8192);
        }
        assert_eq!(length_of_read(&file, SIZE - 5, 4096), Ok(5));
    });
}

#[test]
fn a_refusal_is_not_kept() {
    with_cache(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 10_000));
        let file = File::open(promise.join("a")).unwrap();
        for (status, errno) in [
            (Status::Permission, Errno::ACCESS),
            (Status::NotFound, Errno::NOENT),
            (Status::Cancelled, Errno::CANCELED),
            (Status::Timeout, Errno::TIMEDOUT),
            (Status::Io, Errno::IO),
            (Status::Unavailable, Errno::IO),
        ] {
            provider.answer(None, Answer::Refuse(status));
            assert_eq!(length_of_read(&file, 100, 200), Err(errno), "{status:?}");
            // Who comes while the kernel's readahead is being refused is refused likewise.
            await_zero(session, &OF_READS);
        }
        provider.answer(None, Answer::Right);
        assert_right("a", 100, &read_once(&file, 100, 200).unwrap());
        promise.check();
    });
}
