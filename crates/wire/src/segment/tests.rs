use super::*;
use crate::image::seal;
use fuse_promise_core::{NodeAttr, PathRule, TreeBuilder};
use rustix::fs::fstat;
use rustix::param::page_size;

/// A small image that differs by its number.
fn tree(number: usize) -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let attr = NodeAttr {
        mode: 0o600,
        size: number as u64,
        mtime_nsec: 0,
    };
    let name = format!("file-{number}");
    tree.add_file(name.as_bytes(), attr, b"id")
        .expect("a good node");
    tree
}

fn image(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    tree(number).write_image(&mut bytes).expect("memory");
    bytes
}

fn allocated(image: &SegmentImage) -> u64 {
    let stat = fstat(image.segment_fd()).expect("an open memfd");
    u64::try_from(stat.st_blocks).expect("a size") * 512
}

#[test]
fn small_images_share_a_segment_and_stay_apart() {
    let store = SegmentStore::new();
    let images: Vec<_> = (0..1000)
        .map(|number| store.copy_in(&image(number)).expect("memory"))
        .collect();
    assert_eq!(store.segment_count(), 1);
    for (number, kept) in images.iter().enumerate() {
        assert_eq!(kept[..], image(number));
        assert_eq!(kept.view().total_size(), number as u64);
        assert_eq!(kept.offset() % GRAIN, 0);
    }
}

#[test]
fn a_full_segment_is_followed_by_another_and_empty_ones_are_closed() {
    let store = SegmentStore::new();
    let half = vec![7; SEGMENT_LEN / 2];
    let mut images: Vec<_> = (0..5)
        .map(|_| store.copy_in(&half).expect("memory"))
        .collect();
    assert_eq!(store.segment_count(), 3);
    images.truncate(3);
    assert_eq!(store.segment_count(), 2);
    drop(images);
    assert_eq!(store.segment_count(), 0);
}

#[test]
fn a_place_is_used_again() {
    let store = SegmentStore::new();
    let first = store.copy_in(&image(1)).expect("memory");
    let second = store.copy_in(&image(2)).expect("memory");
    let place = first.offset();
    drop(first);
    let third = store.copy_in(&image(3)).expect("memory");
    assert_eq!(third.offset(), place);
    assert_eq!(third[..], image(3));
    assert_eq!(second[..], image(2));
}

#[test]
fn memory_goes_back_while_neighbours_stay() {
    let store = SegmentStore::new();
    let small = store.copy_in(&image(1)).expect("memory");
    let large = store.copy_in(&vec![9; 1 << 20]).expect("memory");
    let last = store.copy_in(&image(2)).expect("memory");
    let before = allocated(&small);
    assert!(before >= 1 << 20);
    drop(large);
    // All but the pages it shared with its neighbours.
    let given_back = (1 << 20) - 2 * page_size() as u64;
    assert!(allocated(&small) <= before - given_back);
    assert_eq!(small[..], image(1));
    assert_eq!(last[..], image(2));
    drop(last);
    assert_eq!(allocated(&small), page_size() as u64, "the one in use");
    assert_eq!(small[..], image(1));
}

#[test]
fn many_threads_come_and_go() {
    let store = SegmentStore::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut kept = Vec::new();
                for round in 0..300 {
                    let number = thread * 1000 + round;
                    kept.push((number, store.copy_in(&image(number)).expect("memory")));
                    if round % 3 == 0 {
                        kept.swap_remove(round % kept.len());
                    }
                    for (number, copy) in kept.iter().rev().take(3) {
                        assert_eq!(copy[..], image(*number));
                    }
                }
                for (number, copy) in &kept {
                    assert_eq!(copy[..], image(*number));
                }
            });
        }
    });
    assert_eq!(store.segment_count(), 0);
}

#[test]
fn an_image_is_placed_by_its_length() {
    let store = SegmentStore::new();
    let small = MappedImage::open(seal(&tree(1)).expect("memory")).expect("a good image");
    let small = store.place(small).expect("memory");
    assert!(matches!(small, ImageBytes::Segment(_)));
    assert_eq!(small[..], image(1));

    let mut tree = tree(2);
    let long_id = [b'i'; 4096];
    for number in 0..64 {
        let path = format!("more-{number}");
        tree.add_file(path.as_bytes(), NodeAttr::default(), &long_id)
            .expect("a good node");
    }
    assert!(tree.image_len() > SHARED_IMAGE_LEN_MAX as u64);
    let large = MappedImage::open(seal(&tree).expect("memory")).expect("a good image");
    let large = store.place(large).expect("memory");
    assert!(matches!(large, ImageBytes::Own(_)));
    assert_eq!(large.view().file_count(), 65);

    for image in [small, large] {
        let handed_on = MappedImage::open(image.to_fd().expect("memory")).expect("a good image");
        assert_eq!(handed_on[..], image[..]);
    }
}

#[test]
fn what_no_segment_can_hold_is_refused() {
    let store = SegmentStore::new();
    assert!(store.copy_in(&[]).is_err());
    assert!(store.copy_in(&vec![0; SEGMENT_LEN + 1]).is_err());
    assert_eq!(store.segment_count(), 0);
    let whole = store.copy_in(&vec![0; SEGMENT_LEN]).expect("memory");
    assert_eq!((whole.len(), store.segment_count()), (SEGMENT_LEN, 1));
}
