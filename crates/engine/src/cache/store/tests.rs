//! What the store promises, on its own (`rules`), against a model (`model`), with
//! a disk (`on_disk`) and from several threads (`races`).

#[cfg(not(feature = "shuttle"))]
mod model;
#[cfg(not(feature = "shuttle"))]
mod on_disk;
mod races;
#[cfg(not(feature = "shuttle"))]
mod rules;

use std::ops::Range;
use std::sync::LazyLock;

use fuse_promise_core::ids::Row;

use super::super::extents::OVERHEAD;
use super::super::table::Table;
use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn file(promise: u32, row: u32) -> FileKey {
    FileKey {
        promise: PromiseNumber(promise),
        row: Row(row),
    }
}

/// A prime, so that no two places a block apart look the same.
const PATTERN_LEN: usize = 65_521;

/// The bytes of a file are its own, and others in each version of it: the pattern,
/// over and over, from a place of its own on.
fn content(file: FileKey, version: u64, range: Range<u64>) -> Vec<u8> {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let byte = |index: usize| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8;
        (0..PATTERN_LEN).map(byte).collect()
    });
    let seed = u64::from(file.promise.0) * 3181 + u64::from(file.row.0) * 787 + version * 10_007;
    let mut at = usize::try_from((range.start + seed) % PATTERN_LEN as u64).unwrap();
    let mut left = usize::try_from(range.end - range.start).unwrap();
    let mut bytes = Vec::with_capacity(left);
    while left > 0 {
        let len = left.min(PATTERN_LEN - at);
        bytes.extend_from_slice(&PATTERN[at..at + len]);
        left -= len;
        at = 0;
    }
    bytes
}

fn only(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

fn insert(store: &Store, file: FileKey, size: u64, range: Range<u64>) -> Inserted {
    let bytes = content(file, 0, range.clone());
    store.insert(file, size, range.start, &bytes, Wanted::Now)
}

/// Checks that pieces and gaps make up the range in order, and that the pieces are
/// the bytes of the file.
fn assert_found(found: &Found, file: FileKey, version: u64, range: &Range<u64>) {
    let mut parts: Vec<_> = found.missing.clone();
    for piece in &found.pieces {
        let mut bytes = vec![0; usize::try_from(piece.range.end - piece.range.start).unwrap()];
        piece.read_into(&mut bytes).unwrap();
        assert!(
            bytes == content(file, version, piece.range.clone()),
            "{file:?} {:?}",
            piece.range
        );
        parts.push(piece.range.clone());
    }
    parts.sort_by_key(|part| part.start);
    let mut at = range.start;
    for part in parts {
        assert_eq!(part.start, at);
        assert!(part.end > part.start);
        at = part.end;
    }
    assert_eq!(at, range.end);
}

/// Checks the store's sums against what it holds.
fn assert_balanced(store: &Store) {
    let table = store.shared.table.lock();
    let table: &Table = &table;
    let (mut held, mut pinned, mut extents) = (0, 0, 0);
    for promise in table.promises.values() {
        let mut pinned_here = 0;
        for file in promise.files.values() {
            for (_, extent) in file.iter() {
                assert!(extent.len > 0);
                held += extent.weight();
                extents += 1;
                pinned_here += if extent.pinned { extent.weight() } else { 0 };
            }
        }
        let whole = promise.files.values().filter(|file| file.is_whole());
        assert_eq!(promise.whole, whole.count());
        assert_eq!(promise.pinned, pinned_here);
        pinned += pinned_here;
    }
    let usage = table.usage;
    assert_eq!(
        (usage.held, usage.pinned, usage.extents),
        (held, pinned, extents)
    );
    assert!(held >= OVERHEAD * extents);
    assert!(held <= usage.limit, "{held} of {}", usage.limit);
    assert_eq!(table.policy.weight(), held - pinned);
}
