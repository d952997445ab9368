//! Content that ends before its declared size.

mod one_read;
mod support;

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use fuse_promise_client::{
    Context, ContextOptions, PromiseBuilder, Provider, ProviderOptions, ReadHandler, ReadRequest,
};
use fuse_promise_core::{NodeAttr, Status};
use fuse_promise_testkit::{Content, Session};
use one_read::{assert_right, length_of_read, read_once};
use rustix::io::Errno;
use support::SHAPES;

const DECLARED: u64 = 900_000;
/// Within a page, and not within the first READ of any kind.
const END: u64 = 555_555;
const NAME: &str = "a";

/// Right bytes up to [`END`], then none.
struct Cut;

impl ReadHandler for Cut {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        let left = END.saturating_sub(request.offset);
        let length = buffer.len().min(left as usize);
        Content::of(NAME.as_bytes()).fill(request.offset, &mut buffer[..length]);
        Ok(length)
    }
}

/// A provider in this very process.
struct Published {
    file: PathBuf,
    provider: Provider,
    _context: Context,
}

fn publish(session: &Session) -> Published {
    let runtime_dir = Some(session.runtime_dir());
    let context = Context::open(ContextOptions { runtime_dir }).unwrap();
    let options = ProviderOptions::default();
    let provider = context.register(Arc::new(Cut), options).unwrap();
    let mut builder = PromiseBuilder::new(&context, &provider).unwrap();
    let attr = NodeAttr {
        mode: 0o644,
        size: DECLARED,
        mtime_nsec: 0,
    };
    builder
        .add_file(NAME.as_bytes(), attr, NAME.as_bytes())
        .unwrap();
    let promise = builder.commit(usize::MAX).unwrap();
    Published {
        file: promise.join(NAME),
        provider,
        _context: context,
    }
}

/// Reads from the start until nothing comes or an error does.
fn read_all(file: &File, at_once: usize) -> (u64, Option<Errno>) {
    let mut end = 0;
    loop {
        match read_once(file, end, at_once) {
            Ok(read) if read.is_empty() => return (end, None),
            Ok(read) => {
                assert_right(NAME, end, &read);
                end += read.len() as u64;
            }
            Err(errno) => return (end, Some(errno)),
        }
    }
}

/// The daemon has warned once, of a bound within `bounds`.
#[track_caller]
fn assert_warned_once(session: &Session, bounds: RangeInclusive<u64>) {
    let log = session.daemon_log();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("ends before"))
        .collect();
    let [warning] = warnings[..] else {
        panic!("one warning was wanted:\n{log}");
    };
    for word in ["promise-1/a", &format!("declared={DECLARED}")] {
        assert!(warning.contains(word), "{word} in {warning}");
    }
    let (_, at_most) = warning.rsplit_once("at_most=").expect(warning);
    let at_most: u64 = at_most.trim().parse().expect(warning);
    assert!(bounds.contains(&at_most), "{bounds:?} in {warning}");
}

/// > If a file's content turns out to end before its declared size, a direct read returns what
/// > there was and then 0, and a cached read that reaches the end fails with EIO, after which the
/// > file opens for direct reads.
#[test]
fn direct_reads_return_what_there_is() {
    for shape in SHAPES {
        let session = Session::start(shape);
        let published = publish(&session);
        let file = File::open(&published.file).unwrap();
        for at_once in [1 << 20, 100_000, 4096] {
            assert_eq!(read_all(&file, at_once), (END, None), "{at_once} at once");
        }
        assert_eq!(fs::read(&published.file).unwrap().len() as u64, END);
        assert_eq!(length_of_read(&file, END, 100), Ok(0));
        assert_eq!(length_of_read(&file, END + 5000, 100), Ok(0));
        // What was declared stays what is shown.
        assert_eq!(fs::metadata(&published.file).unwrap().len(), DECLARED);
        assert_warned_once(&session, END..=END);
        published.provider.unregister();
    }
}

#[test]
fn a_cached_read_fails_and_the_next_open_is_direct() {
    for shape in SHAPES {
        let session = Session::options(shape).flag("--cache=read-through").start();
        let published = publish(&session);
        let file = File::open(&published.file).unwrap();
        let (end, errno) = read_all(&file, 4096);
        assert_eq!(errno, Some(Errno::IO));
        assert!(end <= END, "{end}");
        // It does not become shorter, which would hide the loss from whoever copies it.
        assert_eq!(fs::metadata(&published.file).unwrap().len(), DECLARED);
        let again = File::open(&published.file).unwrap();
        for at_once in [1 << 20, 4096] {
            assert_eq!(read_all(&again, at_once), (END, None), "{at_once} at once");
        }
        assert_eq!(fs::read(&published.file).unwrap().len() as u64, END);
        // Of the readahead that is on its way at once, the first answer may be one for a range
        // beyond the end.
        assert_warned_once(&session, END..=DECLARED);
        published.provider.unregister();
    }
}
