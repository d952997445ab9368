//! One rule of the store at a time.

use super::*;

const PROMISE: PromiseNumber = PromiseNumber(1);

fn is_held(store: &Store, file: FileKey, range: Range<u64>) -> bool {
    store.missing(file, range).is_empty()
}

/// Reads bytes as the kernel does, 128 KiB at a time, and brings what is missing.
fn read(store: &Store, file: FileKey, size: u64, range: Range<u64>) {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at + 128 * KIB);
        for missing in store.look(file, at..end).missing {
            insert(store, file, size, missing);
        }
        at = end;
    }
}

#[test]
fn exact_bytes_are_held_once_and_whole_is_told_once() {
    let store = Store::in_memory(MIB);
    let f = file(1, 1);
    let first = insert(&store, f, 1000, 100..300);
    assert!(first.kept && !first.whole);
    assert_eq!(store.missing(f, 0..1000), [0..100, 300..1000]);
    let held = store.usage().held;
    assert!(insert(&store, f, 1000, 100..300).kept);
    assert_eq!(store.usage().held, held);
    assert!(insert(&store, f, 1000, 300..1000).kept);
    assert_eq!(store.whole_files(PROMISE), 0);
    assert!(insert(&store, f, 1000, 0..200).whole);
    assert!(store.is_whole(f, 1000));
    assert_eq!(store.whole_files(PROMISE), 1);
    assert!(!insert(&store, f, 1000, 0..1000).whole);
    let found = store.look(f, 0..1000);
    assert_found(&found, f, 0, &(0..1000));
    assert_eq!(found.pieces.len(), 2, "neighbours are merged");
    assert!(store.look(f, 500..500).pieces.is_empty());
    assert!(store.is_whole(file(1, 2), 0), "an empty file always is");
    assert_balanced(&store);
}

#[test]
fn nothing_beyond_the_end_of_a_file_is_held() {
    let store = Store::in_memory(MIB);
    let f = file(1, 1);
    assert!(insert(&store, f, 1000, 0..4096).whole);
    assert_eq!(store.missing(f, 0..4096), only(1000..4096));
    assert!(insert(&store, f, 1000, 2000..3000).kept);
    assert_eq!(store.usage().held, 1000 + OVERHEAD);
}

#[test]
fn a_piece_keeps_its_bytes_when_the_store_lets_them_go() {
    let store = Store::in_memory(MIB);
    let f = file(1, 1);
    insert(&store, f, 1000, 0..1000);
    let found = store.look(f, 10..20);
    store.remove_promise(PROMISE);
    assert_eq!(store.usage().held, 0);
    assert_found(&found, f, 0, &(10..20));
    assert_eq!(
        found.pieces[0].in_memory().unwrap(),
        content(f, 0, 10..20),
        "where they lie"
    );
    assert_found(&store.look(f, 10..20), f, 0, &(10..20));
    assert_eq!(store.look(f, 10..20).missing, only(10..20));
}

#[test]
fn a_limit_too_small_for_anything_holds_nothing() {
    for limit in [0, 1, 64 * KIB] {
        let store = Store::in_memory(limit);
        assert_eq!(insert(&store, file(1, 1), 10, 0..10), Inserted::default());
        store.pin(PROMISE);
        assert_eq!(store.usage().held, 0);
    }
}

#[test]
fn sequential_short_reads_leave_few_pieces() {
    let store = Store::in_memory(16 * MIB);
    let f = file(1, 1);
    for block in 0..2048 {
        insert(&store, f, 8 * MIB, block * 4096..(block + 1) * 4096);
    }
    let found = store.look(f, 3 * MIB..4 * MIB);
    assert!(found.pieces.len() <= 17, "{} pieces", found.pieces.len());
    assert_found(&found, f, 0, &(3 * MIB..4 * MIB));
    assert_balanced(&store);
}

#[test]
fn what_was_read_twice_survives_a_scan_of_ten_times_the_limit() {
    let limit = 16 * MIB;
    let store = Store::in_memory(limit);
    let (hot, scanned) = (file(1, 1), file(2, 1));
    let hot_size = limit / 4;
    for _ in 0..2 {
        read(&store, hot, hot_size, 0..hot_size);
    }
    let size = 10 * limit;
    for start in (0..size).step_by(1 << 20) {
        // Half is read ahead, and then read as the rest is.
        if (start / MIB).is_multiple_of(2) {
            let bytes = content(scanned, 0, start..start + MIB);
            store.insert(scanned, size, start, &bytes, Wanted::Later);
        }
        read(&store, scanned, size, start..start + MIB);
    }
    assert!(store.is_whole(hot, hot_size));
    assert!(store.usage().evicted_bytes >= 9 * limit - MIB);
    assert!(
        store.usage().held >= limit * 7 / 8,
        "the limit is made use of"
    );
    assert_balanced(&store);
}

#[test]
fn what_is_read_ahead_is_there_when_its_reader_comes() {
    let limit = 16 * MIB;
    // The store is full of what was read many times, or of what did not stay.
    for used_size in [limit / 4, limit / 2, limit, 2 * limit] {
        let store = Store::in_memory(limit);
        let (used, ahead) = (file(1, 1), file(2, 1));
        for _ in 0..4 {
            read(&store, used, used_size, 0..used_size);
        }
        let depth = limit / 8;
        let mut asked_again = 0;
        for start in (0..4 * limit).step_by(1 << 20) {
            let bytes = content(ahead, 0, start..start + MIB);
            store.insert(ahead, 4 * limit, start, &bytes, Wanted::Later);
            // The reader is that far behind, and reads what is used as well.
            if start >= depth {
                let range = start - depth..start - depth + MIB;
                asked_again += store.look(ahead, range).missing.len();
            }
            let place = start % used_size;
            read(&store, used, used_size, place..place + MIB);
        }
        assert_eq!(asked_again, 0, "beside {used_size}");
    }
}

#[test]
fn a_look_for_more_than_is_held_is_no_use_of_what_is() {
    let store = Store::in_memory(16 * MIB);
    let f = file(1, 1);
    let bytes = content(f, 0, 0..64 * KIB);
    store.insert(f, MIB, 0, &bytes, Wanted::Later);
    let unused = || {
        let table = store.shared.table.lock();
        let extents = table.file(f).unwrap();
        extents.iter().all(|(_, extent)| extent.ahead)
    };
    assert!(store.look_whole(f, 0..128 * KIB).is_none());
    assert!(unused());
    let pieces = store.look_whole(f, 0..64 * KIB).unwrap();
    assert_eq!(pieces.len(), 1);
    assert!(!unused());
}

#[test]
fn what_is_evicted_is_told() {
    let store = Store::in_memory(MIB);
    let mut whole = Vec::new();
    let mut told = Vec::new();
    for row in 1..=100 {
        let inserted = insert(&store, file(1, row), 20 * KIB, 0..20 * KIB);
        assert!(inserted.kept && inserted.whole);
        assert_eq!(inserted.gave_up, []);
        whole.push(file(1, row));
        told.extend(inserted.no_longer_whole);
    }
    assert_eq!(told.len() as u64, store.usage().evicted_extents);
    assert_eq!(told.len() as u64 * 20 * KIB, store.usage().evicted_bytes);
    whole.retain(|f| store.is_whole(*f, 20 * KIB));
    assert_eq!(whole.len(), 100 - told.len());
    assert_eq!(store.whole_files(PROMISE), whole.len());
    assert!(told.iter().all(|f| !whole.contains(f)));
}

#[test]
fn a_pinned_promise_survives_whatever_else_comes() {
    let store = Store::in_memory(16 * MIB);
    let pinned = file(1, 1);
    let size = 10 * MIB;
    insert(&store, pinned, size, 0..size / 2);
    assert_eq!(store.pin(PROMISE), Lost::default());
    insert(&store, pinned, size, size / 2..size);
    for row in 1..=64 {
        let inserted = insert(&store, file(2, row), MIB, 0..MIB);
        assert!(inserted.kept);
        assert!(!inserted.no_longer_whole.contains(&pinned));
        assert_eq!(inserted.gave_up, []);
    }
    assert!(store.is_whole(pinned, size));
    assert_balanced(&store);
    store.remove_promise(PROMISE);
    assert_eq!(store.usage().pinned, 0);
    assert_balanced(&store);
}

#[test]
fn pinned_promises_leave_a_quarter_and_the_one_used_longest_ago_goes() {
    let store = Store::in_memory(16 * MIB);
    for promise in 1..=3 {
        insert(&store, file(promise, 1), 4 * MIB, 0..4 * MIB);
    }
    // With their overhead three times 4 MiB are more than three quarters of 16.
    assert_eq!(store.pin(PromiseNumber(1)), Lost::default());
    assert_eq!(store.pin(PromiseNumber(2)), Lost::default());
    store.look(file(1, 1), 0..10);
    let lost = store.pin(PromiseNumber(3));
    assert_eq!(lost.gave_up, [PromiseNumber(2)]);
    assert_eq!(lost.no_longer_whole, [file(2, 1)]);
    assert_eq!(store.whole_files(PromiseNumber(2)), 0);
    assert!(is_held(&store, file(1, 1), 0..4 * MIB));
    assert!(is_held(&store, file(3, 1), 0..4 * MIB));
    // A pinned promise that grows pushes others out as well.
    let inserted = insert(&store, file(3, 2), 5 * MIB, 0..5 * MIB);
    assert!(inserted.kept && inserted.whole);
    assert_eq!(inserted.gave_up, [PromiseNumber(1)]);
    assert_balanced(&store);
}

#[test]
fn a_promise_too_large_to_be_pinned_goes_alone() {
    let store = Store::in_memory(16 * MIB);
    insert(&store, file(1, 1), 2 * MIB, 0..2 * MIB);
    store.pin(PROMISE);
    insert(&store, file(2, 1), 13 * MIB, 0..13 * MIB);
    let lost = store.pin(PromiseNumber(2));
    assert_eq!(lost.gave_up, [PromiseNumber(2)]);
    assert!(store.is_whole(file(1, 1), 2 * MIB));
    assert_balanced(&store);
}

#[test]
fn what_is_pinned_for_good_is_never_let_go_and_no_more_is_kept() {
    let store = Store::in_memory(16 * MIB);
    assert_eq!(store.pin_for_good(PROMISE), Lost::default());
    let f = file(1, 1);
    let inserted = insert(&store, f, 20 * MIB, 0..20 * MIB);
    assert!(!inserted.kept && !inserted.whole);
    let held = 20 * MIB - store.missing(f, 0..20 * MIB)[0].start;
    assert!(held >= 8 * MIB && store.usage().pinned <= 12 * MIB);
    let before = store.missing(f, 0..20 * MIB);
    for row in 1..=32 {
        assert!(insert(&store, file(2, row), MIB, 0..MIB).kept);
    }
    insert(&store, file(3, 1), 4 * MIB, 0..4 * MIB);
    let lost = store.pin(PromiseNumber(3));
    assert_eq!(lost.gave_up, [PromiseNumber(3)]);
    assert_eq!(store.missing(f, 0..20 * MIB), before);
    store.remove_promise(PROMISE);
    assert_eq!(store.usage().pinned, 0);
    assert_balanced(&store);
}

#[test]
fn removing_leaves_other_files_and_promises_alone() {
    let store = Store::in_memory(16 * MIB);
    for f in [file(1, 1), file(1, 2), file(2, 1)] {
        insert(&store, f, 10_000, 0..10_000);
    }
    store.remove_file(file(1, 1));
    assert!(!store.is_whole(file(1, 1), 10_000));
    assert!(store.is_whole(file(1, 2), 10_000));
    store.remove_promise(PROMISE);
    assert!(!store.is_whole(file(1, 2), 10_000));
    assert!(store.is_whole(file(2, 1), 10_000));
    assert_eq!(store.usage().evicted_extents, 0);
    store.remove_promise(PromiseNumber(2));
    assert_eq!(store.usage().held, 0);
    assert!(store.shared.table.lock().promises.is_empty());
}
