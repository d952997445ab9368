//! Promises that end by somebody's wish while their files are open.

mod support;

use std::fs::File;
use std::sync::Arc;

use fuse_promise_client::{Context, ContextOptions, PromiseBuilder, ProviderOptions};
use fuse_promise_core::NodeAttr;
use fuse_promise_testkit::fixture::answers::Answers;
use fuse_promise_testkit::{
    Answer, Content, HandPlayed, ProviderProcess, Session, Shape, Tree, both_shapes,
};
use rustix::io::Errno;
use support::balance::{OF_PROMISES, OF_READS, await_reads, await_zero, gauge};
use support::reader::Reader;
use support::{destroy, errno};

const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 1 << 20,
    mtime_nsec: 0,
};

/// How a provider says good-bye.
const GOODBYES: [fn(&mut ProviderProcess); 2] =
    [ProviderProcess::unregister, ProviderProcess::close];

both_shapes! {
    /// > After a provider unregistered, reads of its files that are still open fail with EIO, but
    /// > for those that were copied or are cached whole.
    fn open_files_of_a_provider_that_left_fail(session) {
        for goodbye in GOODBYES {
            let mut provider = session.provider();
            let promise = provider.publish(&Tree::new().file("a", 5000).file("b", 5000));
            let open = Arc::new(File::open(promise.join("a")).unwrap());
            assert!(Reader::of_open(&open, 0, 5000).outcome().is_ok());
            goodbye(&mut provider);
            for _ in 0..3 {
                assert_eq!(Reader::of_open(&open, 0, 100).outcome(), Err(Errno::IO));
            }
            assert_eq!(errno(File::open(promise.join("b"))), Some(Errno::NOENT));
            assert_eq!(gauge(&session, "opens"), 1);
            drop(open);
            await_zero(&session, &OF_PROMISES);
        }
    }

    fn reads_in_flight_of_a_provider_that_leaves_fail(session) {
        let runtime_dir = Some(session.runtime_dir());
        let context = Context::open(ContextOptions { runtime_dir }).unwrap();
        let answers = Arc::new(Answers::default());
        answers.usually(Answer::Hang);
        let provider = context.register(answers.clone(), ProviderOptions::default()).unwrap();
        let mut builder = PromiseBuilder::new(&context, &provider).unwrap();
        builder.add_file(b"a", FILE, b"a").unwrap();
        let promise = builder.commit(usize::MAX).unwrap();
        let readers = Reader::many(&promise.join("a"), 30, 4096);
        await_reads(&session, 30);
        // This waits for the callback that hangs; the daemon and the readers do not.
        let leaving = std::thread::spawn(move || provider.unregister());
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::IO));
        }
        await_zero(&session, &OF_READS);
        await_zero(&session, &OF_PROMISES);
        assert!(!leaving.is_finished());
        answers.release();
        leaving.join().unwrap();
    }

    fn a_daemon_that_ends_fails_every_read_in_flight(session) {
        let mut hung = session.provider();
        let mut played = HandPlayed::register(&session, &[]);
        let tree = Tree::new().file("a", 1 << 20);
        let (first, second) = (hung.publish(&tree), played.publish(&tree));
        hung.answer(None, Answer::Hang);
        let mut readers = Reader::many(&first.join("a"), 30, 4096);
        readers.extend(Reader::many(&second.join("a"), 30, 4096));
        await_reads(&session, 60);
        assert_eq!(session.stop_daemon(), Some(0));
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::IO));
        }
        played.wait_closed();
        assert!(!session.is_mounted());
    }
}

/// > After a promise is destroyed, files of it that are open go on to be readable while its
/// > provider lives.
#[test]
fn open_files_of_a_destroyed_promise_are_served_on() {
    for shape in [Shape::Systemd, Shape::BareBus] {
        let session = Session::start(shape);
        let mut provider = session.provider();
        let tree = Tree::new().file("a", 300_000).file("b", 10);
        let (promise, other) = (provider.publish(&tree), provider.publish(&tree));
        let open = Arc::new(File::open(promise.join("a")).unwrap());
        promise.check();
        destroy(&session, &promise.id());

        assert_eq!(errno(promise.path.metadata()), Some(Errno::NOENT));
        assert_eq!(errno(File::open(promise.join("a"))), Some(Errno::NOENT));
        assert_eq!(session.mount().read_dir().unwrap().count(), 1);
        let list = session.fpctl(&["list"]).ok();
        assert!(!list.contains(&promise.id()), "{list}");
        for _ in 0..3 {
            let reader = Reader::of_open(&open, 0, 300_000);
            reader.assert_got(&Content::of(b"a").bytes(0, 300_000));
        }
        other.check();

        // The provider's end is the end of that as well.
        provider.kill();
        support::wait_for_state(&other.path, "provider-gone");
        let read = Reader::of_open(&open, 0, 100).outcome();
        assert_eq!(read, Err(Errno::IO));
    }
}

/// The images of destroyed promises are freed with their last open file.
#[test]
fn what_a_destroyed_promise_held_is_freed_with_its_last_open_file() {
    let session = Session::start(Shape::Systemd);
    let mut provider = session.provider();
    let promise = provider.publish(&Tree::new().file("a", 5000));
    provider.answer(None, Answer::Hang);
    let waiting = Reader::of(&promise.join("a"), 0, 5000);
    await_reads(&session, 1);
    destroy(&session, &promise.id());
    assert!(waiting.waits());
    assert_eq!(gauge(&session, "promises"), 0);
    assert_eq!(gauge(&session, "opens"), 1);
    assert!(gauge(&session, "image_bytes") > 0);
    provider.release();
    waiting.assert_got(&Content::of(b"a").bytes(0, 5000));
    await_zero(&session, &["opens", "image_bytes"]);
    await_zero(&session, &OF_READS);
}
