//! The store from several threads.

use std::sync::Arc;

use super::*;
use crate::sync::{explore, thread};

const SIZE: u64 = 40 * KIB;

#[test]
fn readers_inserts_and_removal_meet_in_any_order() {
    explore(|| {
        let store = Arc::new(Store::in_memory(128 * KIB));
        let inserting = [0..12 * KIB, 8 * KIB..24 * KIB, 16 * KIB..SIZE].map(|range| {
            let store = Arc::clone(&store);
            thread::spawn(move || insert(&store, file(1, 1), SIZE, range))
        });
        let looking = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for range in [0..SIZE, 4 * KIB..20 * KIB] {
                    assert_found(
                        &store.look(file(1, 1), range.clone()),
                        file(1, 1),
                        0,
                        &range,
                    );
                }
            })
        };
        let removing = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                insert(&store, file(2, 1), SIZE, 0..SIZE);
                store.remove_promise(PromiseNumber(2));
            })
        };
        let told_whole = inserting
            .map(|thread| usize::from(thread.join().unwrap().whole))
            .into_iter()
            .sum::<usize>();
        looking.join().unwrap();
        removing.join().unwrap();
        assert_balanced(&store);
        assert_eq!(store.usage().evicted_extents, 0);
        assert_eq!(store.missing(file(1, 1), 0..SIZE), []);
        assert_eq!(told_whole, 1);
        assert_eq!(store.whole_files(PromiseNumber(2)), 0);
    });
}

#[test]
fn eviction_and_pins_meet_inserts_in_any_order() {
    explore(|| {
        let store = Arc::new(Store::in_memory(128 * KIB));
        let inserting = [1, 2, 3].map(|promise| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let inserted = insert(&store, file(promise, 1), SIZE, 0..SIZE);
                let lost = store.pin(PromiseNumber(promise));
                let found = store.look(file(promise, 1), 0..SIZE);
                assert_found(&found, file(promise, 1), 0, &(0..SIZE));
                [inserted.gave_up, lost.gave_up].concat()
            })
        });
        let gave_up = inserting.map(|thread| thread.join().unwrap()).concat();
        assert_balanced(&store);
        // Three times 40 KiB do not fit beside each other as pinned ones.
        assert!(!gave_up.is_empty());
        for promise in &gave_up {
            assert_eq!(store.whole_files(*promise), 0);
        }
    });
}
