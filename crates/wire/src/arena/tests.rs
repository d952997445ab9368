use super::*;
use fuse_promise_core::Status;
use fuse_promise_core::limits::READ_LEN_MAX;
use rustix::fs::{SealFlags, fstat};
use std::sync::Barrier;

const GEOMETRY: Geometry = Geometry {
    small_len: 64 << 10,
    small_count: 2,
    large_len: READ_LEN_MAX,
    large_count: 2,
};

/// The daemon's and the provider's side of one arena.
fn both_sides() -> (Arena, Arena) {
    let (daemon, fd) = Arena::create(GEOMETRY).expect("memory for an arena");
    let provider = Arena::map(fd, GEOMETRY).expect("the daemon's own arena");
    (daemon, provider)
}

fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd::create("test").expect("a memfd");
    ftruncate(&fd, len).expect("no seals yet");
    memfd::add_seals(&fd, seals).expect("sealing is allowed");
    fd
}

fn refusal(fd: impl Into<OwnedFd>) -> Status {
    Arena::map(fd.into(), GEOMETRY).unwrap_err().status
}

fn allocated(arena: &Arena) -> u64 {
    let stat = fstat(arena).expect("an open memfd");
    u64::try_from(stat.st_blocks).expect("a size") * 512
}

#[test]
fn what_one_side_writes_the_other_reads() {
    let (daemon, provider) = both_sides();
    for index in 0..4 {
        let mut written = provider.claim(index).expect("free");
        let len = written.capacity();
        assert_eq!(written.index(), index);
        written.bytes_mut(0, len).fill(index as u8 + 1);
        written.bytes_mut(len - 3, 3).copy_from_slice(b"end");
        let read = daemon.claim(index).expect("claims are each side's own");
        let bytes = read.bytes(len);
        assert!(bytes[..len - 3].iter().all(|byte| *byte == index as u8 + 1));
        assert_eq!(&bytes[len - 3..], b"end");
    }
}

#[test]
fn a_slot_has_one_owner_at_a_time() {
    let (arena, _other) = both_sides();
    let slot = arena.claim(1).expect("free");
    assert!(arena.claim(1).is_none());
    assert!(arena.claim(0).is_some(), "others stay free");
    drop(slot);
    assert!(arena.claim(1).is_some());
    assert!(arena.claim(4).is_none(), "there are four");
    assert!(arena.claim(u32::MAX).is_none());
}

#[test]
fn of_many_threads_one_gets_the_slot() {
    let (arena, _other) = both_sides();
    for _ in 0..100 {
        let start = Barrier::new(4);
        let won = std::thread::scope(|scope| {
            let contenders: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        arena.claim(2)
                    })
                })
                .collect();
            // All are kept until every thread has tried.
            let slots: Vec<_> = contenders
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect();
            slots.iter().flatten().count()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_slot_outlives_its_arena() {
    let (daemon, provider) = both_sides();
    let mut slot = provider.claim(0).expect("free");
    drop(provider);
    slot.bytes_mut(0, 4).copy_from_slice(b"late");
    assert_eq!(daemon.claim(0).expect("free").bytes(4), b"late");
}

#[test]
fn memory_is_taken_when_touched_and_given_back() {
    let (daemon, provider) = both_sides();
    let slots = GEOMETRY.rings().start;
    assert_eq!(allocated(&daemon), 0);
    for index in 0..4 {
        let mut slot = provider.claim(index).expect("free");
        let len = slot.capacity();
        slot.bytes_mut(0, len).fill(1);
    }
    assert_eq!(allocated(&daemon), slots);

    let slot = daemon.claim(2).expect("free");
    assert_eq!(daemon.give_back_pages(2), Ok(false), "it is in use");
    assert_eq!(allocated(&daemon), slots);
    drop(slot);
    assert_eq!(daemon.give_back_pages(2), Ok(true));
    assert_eq!(
        allocated(&daemon),
        slots - u64::from(READ_LEN_MAX) - rustix::param::page_size() as u64
    );
    for (index, byte) in [(1, 1), (2, 0), (3, 1)] {
        let slot = daemon.claim(index).expect("free");
        assert!(slot.bytes(slot.capacity()).iter().all(|b| *b == byte));
    }
    assert_eq!(daemon.give_back_pages(4), Ok(false));
    // Looking at slot 2 has taken pages of zeros for it.
    for index in 0..4 {
        assert_eq!(daemon.give_back_pages(index), Ok(true));
    }
    assert_eq!(allocated(&daemon), 0);
}

#[test]
fn the_size_cannot_be_changed_from_either_side() {
    let (_daemon, fd) = Arena::create(GEOMETRY).expect("memory for an arena");
    assert!(ftruncate(&fd, 0).is_err());
    assert!(ftruncate(&fd, GEOMETRY.total_len() + 1).is_err());
    assert!(memfd::add_seals(&fd, SealFlags::WRITE).is_err());
}

#[test]
fn memory_of_another_size_is_refused() {
    let right = GEOMETRY.total_len();
    for len in [0, 1, right - 1, right + 1, right - 4096, right + 4096] {
        let status = refusal(memfd(len, SIZE_SEALS));
        assert_eq!(status, Status::InvalidArgument, "{len}");
    }
    assert!(Arena::map(memfd(right, SIZE_SEALS), GEOMETRY).is_ok());
}

#[test]
fn memory_that_could_change_its_size_is_refused() {
    for seal in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::SEAL] {
        let status = refusal(memfd(GEOMETRY.total_len(), SIZE_SEALS - seal));
        assert_eq!(status, Status::InvalidArgument, "{seal:?}");
    }
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(GEOMETRY.total_len()).expect("a sparse file");
    assert_eq!(refusal(file), Status::InvalidArgument);
}

#[test]
fn a_geometry_that_makes_no_sense_is_refused_before_mapping() {
    for small_len in [0, 100, u32::MAX] {
        let geometry = Geometry {
            small_len,
            ..GEOMETRY
        };
        assert!(Arena::create(geometry).is_err());
        let fd = memfd(GEOMETRY.total_len(), SIZE_SEALS);
        assert!(Arena::map(fd, geometry).is_err());
    }
}

#[test]
#[should_panic(expected = "of a smaller slot")]
fn no_byte_beyond_the_slot_is_shown() {
    let (arena, _other) = both_sides();
    let slot = arena.claim(0).expect("free");
    let _ = slot.bytes(slot.capacity() + 1);
}

#[test]
#[should_panic(expected = "of a smaller slot")]
fn no_byte_beyond_the_slot_is_written() {
    let (arena, _other) = both_sides();
    let mut slot = arena.claim(0).expect("free");
    let _ = slot.bytes_mut(usize::MAX, 2);
}
