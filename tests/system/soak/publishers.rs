//! Providers that come, publish, and leave in every way there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fuse_promise_testkit::{Answer, ProviderProcess, Random, Session, Tree};

use crate::board::{Board, Shown, pause};

/// How long a provider stays at most.
const STAY: Duration = Duration::from_millis(400);
/// Empty, short, longer than one request of the kernel, longer than several.
const SIZES: [u64; 4] = [0, 3000, 300_000, 2_500_000];

pub fn publish(session: &Session, board: &Board, mut random: Random, end: Instant) {
    while Instant::now() < end {
        let mut provider = ProviderProcess::launch(session, None);
        let at_once = random.one_of(&["1", "4"]);
        provider
            .register(&[("max_concurrent_reads", at_once)])
            .expect("a registered provider");
        let answers = [Answer::Right, Answer::Right, Answer::Short(50_000)];
        provider.answer(None, random.one_of(&answers));
        let promises = 1 + random.below(4);
        let shown: Vec<Arc<Shown>> = (0..promises)
            .map(|_| board.show(provider.publish(&tree(&mut random))))
            .collect();
        pause(&mut random, STAY);
        for promise in &shown {
            board.leave(promise);
        }
        match random.below(4) {
            0 => provider.unregister(),
            1 => provider.close(),
            2 => provider.kill(),
            _ => destroy_each(session, &shown),
        }
    }
}

fn tree(random: &mut Random) -> Tree {
    let files = 1 + random.below(12);
    (0..files).fold(Tree::new(), |tree, number| {
        let folder = random.one_of(&["", "a/", "a/b/", "c/"]);
        tree.file(&format!("{folder}{number}"), random.one_of(&SIZES))
    })
}

/// The provider itself goes when its handle is dropped, by SIGKILL.
fn destroy_each(session: &Session, shown: &[Arc<Shown>]) {
    for promise in shown {
        session.fpctl(&["destroy", &promise.published.id()]).ok();
        let path = &promise.published.path;
        assert!(!path.exists(), "{} after its destroy", path.display());
    }
}
