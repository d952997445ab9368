//! Several reads of one provider at a time.

mod support;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use fuse_promise_client::{
    Context, ContextOptions, PromiseBuilder, Provider, ProviderOptions, ReadHandler, ReadRequest,
};
use fuse_promise_core::{NodeAttr, Status};
use fuse_promise_testkit::process::HANG_LIMIT;
use fuse_promise_testkit::{Content, Session};
use support::SHAPES;
use support::balance::{OF_READS, await_zero};
use support::reader::Reader;

const NAME: &str = "a";
const SIZE: u64 = 1 << 20;
const LENGTH: usize = 50_000;

/// Right bytes, each call's when as many calls have come as must meet.
struct Meeting {
    must_meet: usize,
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    come: usize,
    inside: usize,
    most: usize,
}

impl Meeting {
    fn of(must_meet: usize) -> Arc<Self> {
        Arc::new(Self {
            must_meet,
            calls: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Calls that were inside at a time.
    fn most(&self) -> usize {
        self.calls.lock().unwrap().most
    }
}

impl ReadHandler for Meeting {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        let mut calls = self.calls.lock().unwrap();
        calls.come += 1;
        calls.inside += 1;
        calls.most = calls.most.max(calls.inside);
        self.changed.notify_all();
        let alone = |calls: &mut Calls| calls.come < self.must_meet;
        let waited = self.changed.wait_timeout_while(calls, HANG_LIMIT, alone);
        let (calls, waited) = waited.unwrap();
        drop(calls);
        if waited.timed_out() {
            return Err(Status::Timeout);
        }
        // Without the lock, so that calls can be inside together.
        Content::of(NAME.as_bytes()).fill(request.offset, buffer);
        self.calls.lock().unwrap().inside -= 1;
        Ok(buffer.len())
    }
}

/// A provider in this very process.
struct Published {
    file: PathBuf,
    provider: Provider,
    _context: Context,
}

fn publish(session: &Session, handler: &Arc<Meeting>, at_once: Option<u32>) -> Published {
    let runtime_dir = Some(session.runtime_dir());
    let context = Context::open(ContextOptions { runtime_dir }).unwrap();
    let options = ProviderOptions {
        max_concurrent_reads: at_once,
        ..ProviderOptions::default()
    };
    let provider = context.register(Arc::clone(handler) as _, options).unwrap();
    let mut builder = PromiseBuilder::new(&context, &provider).unwrap();
    let attr = NodeAttr {
        mode: 0o644,
        size: SIZE,
        mtime_nsec: 0,
    };
    let name = NAME.as_bytes();
    builder.add_file(name, attr, name).unwrap();
    let promise = builder.commit(usize::MAX).unwrap();
    Published {
        file: promise.join(NAME),
        provider,
        _context: context,
    }
}

fn content(offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Content::of(NAME.as_bytes()).fill(offset, &mut bytes);
    bytes
}

/// Eight readers of the file, each of them with many reads.
fn read_at_a_time(published: &Published) {
    let readers = (0..8u64).map(|reader| {
        let file = std::fs::File::open(&published.file).unwrap();
        std::thread::spawn(move || {
            for step in 0..100 {
                let offset = (reader * 100_003 + step * 7_777) % (SIZE - 5000);
                let mut bytes = vec![0; 5000];
                file.read_exact_at(&mut bytes, offset).unwrap();
                assert!(bytes == content(offset, 5000), "wrong bytes at {offset}");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn four_concurrent_reads_are_in_the_provider_together() {
    for shape in SHAPES {
        let session = Session::start(shape);
        let meeting = Meeting::of(4);
        let published = publish(&session, &meeting, Some(4));
        // None of them ends before all four have come.
        let readers = Reader::many(&published.file, 4, LENGTH);
        for (reader, offset) in readers.iter().zip((0..).step_by(LENGTH)) {
            reader.assert_got(&content(offset, LENGTH));
        }
        assert_eq!(meeting.most(), 4);
        read_at_a_time(&published);
        assert_eq!(meeting.most(), 4);
        await_zero(&session, &OF_READS);
        published.provider.unregister();
    }
}

#[test]
fn no_reads_are_concurrent_unless_the_provider_allows_it() {
    for shape in SHAPES {
        let session = Session::start(shape);
        let meeting = Meeting::of(1);
        let published = publish(&session, &meeting, None);
        read_at_a_time(&published);
        assert_eq!(meeting.most(), 1);
        published.provider.unregister();
    }
}
