use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;

fn entries_of(block: &Block) -> Vec<(usize, usize)> {
    let mut entries = Vec::new();
    block.for_each(|kept| {
        entries.push(match kept {
            Kept::Descriptor(fd) => (fd.unsigned_abs() as usize, 0),
            Kept::Mapping { address, length } => (address, length),
        });
    });
    entries
}

fn listed_in(block: &Block) -> HashSet<(usize, usize)> {
    let entries = entries_of(block);
    let found: HashSet<_> = entries.iter().copied().collect();
    assert_eq!(found.len(), entries.len(), "listed twice: {entries:?}");
    found
}

fn leaked_block() -> &'static Block {
    Box::leak(Box::new(Block::new()))
}

#[test]
fn what_is_added_is_visited_until_it_is_dropped() {
    let block = leaked_block();
    let descriptor = Listed(block.add(Kept::Descriptor(0)));
    let mapping = Listed(block.add(Kept::Mapping {
        address: 4096,
        length: 8192,
    }));
    assert_eq!(listed_in(block), HashSet::from([(0, 0), (4096, 8192)]));
    drop(descriptor);
    assert_eq!(listed_in(block), HashSet::from([(4096, 8192)]));
    drop(mapping);
    assert_eq!(listed_in(block), HashSet::new());
}

#[test]
fn entries_are_reused_before_the_chain_grows() {
    let block = leaked_block();
    for fd in 0..10 * ENTRIES_PER_BLOCK {
        let fd = RawFd::try_from(fd).unwrap();
        drop(Listed(block.add(Kept::Descriptor(fd))));
    }
    assert!(block.next.get().is_none());
}

#[test]
fn the_chain_grows_under_many_threads_without_losing_an_entry() {
    let block = leaked_block();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..ENTRIES_PER_BLOCK)
                    .map(|place| Kept::Mapping {
                        address: 1 + thread * ENTRIES_PER_BLOCK + place,
                        length: 1,
                    })
                    .map(|mapping| Listed(block.add(mapping)))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let kept: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let expected: HashSet<_> = (1..=8 * ENTRIES_PER_BLOCK).map(|key| (key, 1)).collect();
    assert_eq!(listed_in(block), expected);
    drop(kept);
    assert_eq!(listed_in(block), HashSet::new());
}

#[test]
fn the_public_list_holds_real_descriptors_and_mappings() {
    let file = rustix::fs::memfd_create("fork", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let bytes = [0u8; 16];
    let number = file.as_fd().as_raw_fd().unsigned_abs() as usize;
    let descriptor = Listed::descriptor(&file);
    let start = bytes.as_ptr().addr();
    let mapping = Listed::mapping((start, bytes.len()));
    // Other tests use it as well: a number that comes back meanwhile may be seen twice.
    let found = entries_of(&REGISTRY);
    assert!(found.contains(&(number, 0)));
    assert!(found.contains(&(start, 16)));
    drop((descriptor, mapping));
}

#[test]
fn the_owner_itself_is_no_child_and_drops_what_it_made() {
    claim_process();
    claim_process();
    assert!(!in_child());
    assert!(refuse_in_child().is_ok());

    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    drop(ParentOnly::new(Counted(drops.clone())));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}
