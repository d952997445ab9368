//! A provider that dies: its readers, its promises, and how long they stay.

mod support;

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuse_promise_core::Record;
use fuse_promise_testkit::{Answer, HandPlayed, Session, Shape, Tree, both_shapes};
use rustix::io::Errno;
use support::balance::{OF_PROMISES, OF_READS, await_reads, await_zero};
use support::reader::Reader;
use support::{SHAPES, attribute, errno, state, wait_for_state, wait_until};

/// A deadline that no test waits for.
const AN_HOUR: &str = "3600000";

both_shapes! {
    fn reads_in_flight_fail_before_any_deadline(session) {
        let mut provider = fuse_promise_testkit::ProviderProcess::launch(&session, None);
        provider.register(&[("read_timeout_ms", AN_HOUR)]).unwrap();
        let promise = provider.publish(&Tree::new().file("a", 1 << 30));
        provider.answer(None, Answer::Hang);
        // More than there are slots, so that some wait in the queue.
        let readers = Reader::many(&promise.join("a"), 40, 1 << 20);
        await_reads(&session, 40);
        provider.kill();
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::IO));
        }
        await_zero(&session, &OF_READS);
    }

    /// The process lives on; its end of the channel does not.
    fn reads_in_flight_fail_when_the_channel_is_closed(session) {
        let mut provider = HandPlayed::register(&session, &[("read_timeout_ms", 3_600_000)]);
        let promise = provider.publish(&Tree::new().file("a", 1 << 20));
        let readers = Reader::many(&promise.join("a"), 8, 4096);
        await_reads(&session, 8);
        drop(provider);
        for reader in readers {
            assert_eq!(reader.outcome(), Err(Errno::IO));
        }
        wait_for_state(&promise.path, "provider-gone");
    }

    fn an_answer_from_before_the_death_counts(session) {
        let mut provider = HandPlayed::register(&session, &[]);
        let promise = provider.publish(&Tree::new().file("a", 4096));
        let reader = Reader::of(&promise.join("a"), 0, 4096);
        let read = provider.asked();
        let bytes = provider.bytes(&read);
        provider.answer(&read);
        drop(provider);
        reader.assert_got(&bytes);
    }

    /// > A promise whose provider died stays listed with the state `provider-gone` for the time of
    /// > `--linger`, and every open of its files and every read of their bytes fails with EIO, but for
    /// > files that were copied or are cached whole.
    fn a_promise_without_provider_says_so_everywhere(session) {
        let mut provider = session.provider();
        let tree = Tree::new().file("dir/a", 5000).file("empty", 0);
        let promise = provider.publish(&tree);
        let open = File::open(promise.join("dir/a")).unwrap();
        promise.check();
        assert_eq!(state(&promise.path).unwrap(), "available");
        provider.kill();
        wait_for_state(&promise.path, "provider-gone");

        for node in ["dir", "dir/a", "empty"] {
            assert_eq!(state(&promise.join(node)).unwrap(), "provider-gone", "{node}");
        }
        assert_eq!(attribute(&promise.path, "user.fuse-promise.provider").unwrap(), "1");
        assert_eq!(listed_state(&session, &promise.id()).as_deref(), Some("provider-gone"));
        if session.shape() == Shape::Systemd {
            let shown = |object: &str, interface: &str| state_on_the_bus(&session, object, interface);
            // Announced by another thread of the daemon, after the mark itself.
            wait_until("the bus", || shown("promise/1", "Promise") == "s \"provider-gone\"");
            wait_until("the bus", || shown("provider/1", "Provider") == "s \"disconnected\"");
        }

        let names: Vec<_> = session.mount().read_dir().unwrap().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(promise.join("dir/a").metadata().unwrap().len(), 5000);
        for _ in 0..3 {
            assert_eq!(errno(File::open(promise.join("dir/a"))), Some(Errno::IO));
            assert_eq!(errno(File::open(promise.join("empty"))), Some(Errno::IO));
        }
        let open = Arc::new(open);
        for (offset, length) in [(0, 5000), (4999, 1), (100, 10)] {
            let read = Reader::of_open(&open, offset, length).outcome();
            assert_eq!(read, Err(Errno::IO), "{length} bytes at {offset}");
        }
    }
}

/// What `fpctl list` says of a promise's state; `None` if it is not listed.
fn listed_state(session: &Session, promise: &str) -> Option<String> {
    let list = session.fpctl(&["list", "--promises"]).ok();
    let lines = list.lines().filter_map(Record::parse);
    let mut lines = lines.filter(|line| line.get("id") == Some(promise.as_bytes()));
    let state = lines.next()?.get("state")?.to_vec();
    String::from_utf8(state).ok()
}

fn state_on_the_bus(session: &Session, object: &str, interface: &str) -> String {
    let name = "io.github.fuse_promise.Private1";
    let object = format!("/io/github/fuse_promise/{object}");
    let interface = format!("{name}.{interface}");
    let words = ["--user", "get-property", name, &object, &interface, "State"];
    session.run("busctl", &words).ok().trim_end().to_owned()
}

/// > A promise whose provider died stays listed with the state `provider-gone` for the time of
/// > `--linger`, and every open of its files and every read of their bytes fails with EIO, but for
/// > files that were copied or are cached whole.
#[test]
fn a_promise_without_provider_goes_after_the_linger_time() {
    const LINGER: Duration = Duration::from_secs(2);
    for shape in SHAPES {
        let session = Session::options(shape).flag("--linger=2s").start();
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 5000));
        let open = Arc::new(File::open(promise.join("a")).unwrap());
        let begin = Instant::now();
        provider.kill();
        let is_listed = || promise.path.try_exists().unwrap();
        wait_until("the end of the lingering", || !is_listed());
        assert!(
            begin.elapsed() >= LINGER,
            "gone after {:?}",
            begin.elapsed()
        );

        assert_eq!(session.mount().read_dir().unwrap().count(), 0);
        assert_eq!(listed_state(&session, &promise.id()), None);
        let read = Reader::of_open(&open, 0, 100).outcome();
        assert_eq!(read, Err(Errno::IO));
        drop(open);
        await_zero(&session, &OF_PROMISES);
        // Whoever comes next is served.
        session
            .provider()
            .publish(&Tree::new().file("b", 100))
            .check();
    }
}

/// Pages that the kernel happens to hold are dropped, so that the answer is the same every time.
#[test]
fn a_cached_file_of_a_dead_provider_is_not_served_by_chance() {
    for shape in SHAPES {
        let session = Session::options(shape).flag("--cache=read-through").start();
        let mut provider = session.provider();
        // So long that what is read of it is not all of it, whatever is read ahead.
        let promise = provider.publish(&Tree::new().file("a", 1 << 30));
        let open = Arc::new(File::open(promise.join("a")).unwrap());
        let read = |offset| Reader::of_open(&open, offset, 4096).outcome();
        let read_all = || (0..300_000).step_by(4096).map(read).collect::<Vec<_>>();
        assert!(read_all().iter().all(Result::is_ok));
        await_zero(&session, &OF_READS);
        let asked = provider.counters().requests;
        assert!(read_all().iter().all(Result::is_ok));
        assert_eq!(provider.counters().requests, asked, "it was not cached");
        provider.kill();
        // They go in their order, so the last one says that all have gone.
        wait_until("the pages being dropped", || {
            Reader::of_open(&open, 299_999, 1).outcome() == Err(Errno::IO)
        });
        for read in read_all() {
            assert_eq!(read, Err(Errno::IO));
        }
        assert_eq!(errno(File::open(promise.join("a"))), Some(Errno::IO));
    }
}
