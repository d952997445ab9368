//! A provider that hangs, and everybody else. Who comes first is told by the
//! order in which things end, not by the time they take.

mod support;

use fuse_promise_testkit::{
    Answer, HandPlayed, ProviderProcess, Published, Session, Tree, both_shapes,
};
use support::balance::{OF_READS, await_reads, await_zero, gauge};
use support::reader::Reader;

/// A deadline that no test waits for.
const AN_HOUR_MS: u32 = 3_600_000;

/// Large enough that a listing of it takes many requests of the kernel.
const FILES: usize = 1000;

fn tree() -> Tree {
    Tree::new().file("a", 1 << 20).files("dir/f", FILES, 10)
}

/// Another provider's reads, a thousand stats of each promise, `ls` and `df`.
fn everything_else(session: &Session, hung: &Published, good: &Published) {
    good.check();
    for promise in [hung, good] {
        for number in 0..FILES {
            let file = promise.join(format!("dir/f{number}"));
            assert_eq!(file.metadata().unwrap().len(), 10);
        }
    }
    let mount = session.mount();
    let listed = session.run("ls", &["-lR", mount.to_str().unwrap()]).ok();
    assert_eq!(listed.matches(" f999\n").count(), 2);
    let totals = session.run("df", &["--output=iused", mount.to_str().unwrap()]);
    let used: usize = totals.ok().lines().last().unwrap().trim().parse().unwrap();
    assert!(used >= 2 * FILES, "{used}");
    let states = session.fpctl(&["list", "--promises"]).ok();
    assert_eq!(states.matches("state=available").count(), 2);
}

both_shapes! {
    /// > A provider that hangs delays no other provider's reads and no listing.
    fn everything_else_ends_while_eight_of_its_reads_wait(session) {
        let mut hung = ProviderProcess::launch(&session, None);
        let patience = AN_HOUR_MS.to_string();
        hung.register(&[("read_timeout_ms", patience.as_str())]).unwrap();
        let mut good = session.provider();
        let (stuck, served) = (hung.publish(&tree()), good.publish(&tree()));
        hung.answer(None, Answer::Hang);
        let readers = Reader::many(&stuck.join("a"), 8, 100_000);
        await_reads(&session, 8);
        hung.await_hung(1);
        everything_else(&session, &stuck, &served);
        assert!(readers.iter().all(Reader::waits));
        assert_eq!(hung.counters().answered, 0);

        hung.release();
        assert!(readers.iter().all(|reader| reader.outcome().is_ok()));
        stuck.check();
        await_zero(&session, &OF_READS);
    }

    /// It does not even take its frames: slots, queue and channel fill up.
    fn everything_else_ends_while_its_channel_is_full(session) {
        let options = [("max_concurrent_reads", 64), ("read_timeout_ms", AN_HOUR_MS)];
        let mut hung = HandPlayed::register(&session, &options);
        let mut good = session.provider();
        let (stuck, served) = (hung.publish(&tree()), good.publish(&tree()));
        let small = Tree::new().file("b", 1);
        while gauge(&session, "unsent_frames") == 0 {
            for _ in 0..50 {
                hung.commit(&small).unwrap();
            }
        }
        let readers = Reader::many(&stuck.join("a"), 200, 4096);
        await_reads(&session, 200);
        assert!(gauge(&session, "unsent_frames") > 1);
        served.check();
        for number in 0..FILES {
            let file = stuck.join(format!("dir/f{number}"));
            assert_eq!(file.metadata().unwrap().len(), 10);
        }
        assert!(readers.iter().all(Reader::waits));

        // Each event and each read reaches it in the end, and in order.
        let mut expected = Vec::new();
        for reader in &readers {
            while reader.waits() {
                if let Some(read) = hung.asked_within(std::time::Duration::from_millis(10)) {
                    expected.push((read.offset, hung.bytes(&read)));
                    hung.answer(&read);
                }
            }
        }
        for (number, reader) in readers.iter().enumerate() {
            let offset = number as u64 * 4096;
            let bytes = expected.iter().find(|(at, _)| *at == offset);
            reader.assert_got(&bytes.unwrap().1);
        }
        await_zero(&session, &OF_READS);
    }
}
