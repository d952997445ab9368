//! Every way in which an image can lie, one by one, and every byte of a small one changed.

mod forgery;
mod rows;

use std::mem::offset_of;

use proptest::prelude::*;
use zerocopy::IntoBytes;
use zerocopy::native_endian::{U32, U64};

use self::forgery::{AB, E, Forgery, refused, small_tree, walk_all};
use super::*;
use crate::image::layout::ROW_LEN;
use crate::image::tests::{image_of, rebuilt};
use crate::status::Status;

#[test]
fn the_forger_makes_good_images_when_it_changes_nothing() {
    let bytes = image_of(&small_tree());
    let mut forgery = Forgery::of(&bytes);
    forgery.settle();
    assert_eq!(forgery.bytes(), bytes);
    forgery.rename(E, b"eeee");
    forgery.reid(AB, b"another id");
    assert!(ImageView::check(&forgery.bytes()).is_ok());
}

#[test]
fn a_foreign_beginning_is_refused() {
    refused("does not begin like one", |image| {
        image.header.magic[0] ^= 1
    });
    refused("flags that are not known", |image| {
        image.header.flags = U32::new(2);
    });
    refused("wrongly whether its names", |image| {
        image.header.flags = U32::new(FLAG_BYTE_NAMES);
    });
    refused("wrongly whether its names", |image| {
        image.rename(E, b"e\xff")
    });
}

#[test]
fn another_version_or_byte_order_is_a_version_mismatch() {
    let bytes = image_of(&small_tree());
    for version in [0, 2, FORMAT_VERSION.swap_bytes(), u32::MAX] {
        let mut forgery = Forgery::of(&bytes);
        forgery.header.version = U32::new(version);
        let forged = forgery.bytes();
        let failure = ImageView::check(&forged).expect_err("another version");
        assert_eq!(failure.status, Status::VersionMismatch);
        assert!(failure.message.contains(&version.to_string()), "{failure}");
    }
}

#[test]
fn an_image_cut_anywhere_is_refused() {
    let bytes = image_of(&small_tree());
    for len in 0..bytes.len() {
        assert!(ImageView::check(&bytes[..len]).is_err(), "{len}");
        walk_all(&ImageView::trusted(&bytes[..len]));
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    refused("says", |image| image.rest.push(0));
    refused("not where its counts put them", |image| {
        image.rest.push(0);
        image.header.total_len = U64::new(image.header.total_len.get() + 1);
    });
    refused("not where its counts put them", |image| {
        image.rest.push(0);
        image.header.total_len = U64::new(image.header.total_len.get() + 1);
        image.header.side_len = U64::new(1);
    });
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    for count in [1, 6, 8, 1000, NODES_MAX] {
        refused("not where its counts put them", |image| {
            image.header.node_count = U32::new(count);
        });
    }
    for count in [0, u32::MAX] {
        let why = format!("it has {count} nodes, and must have 1 to {NODES_MAX}");
        refused(&why, |image| image.header.node_count = U32::new(count));
    }
}

#[test]
fn offsets_and_lengths_out_of_range_are_refused() {
    let spoil: [fn(&mut Header) -> &mut U64; 8] = [
        |header| &mut header.rows_offset,
        |header| &mut header.names_offset,
        |header| &mut header.names_len,
        |header| &mut header.ids_offset,
        |header| &mut header.ids_len,
        |header| &mut header.side_offset,
        |header| &mut header.side_len,
        |header| &mut header.total_len,
    ];
    for field in spoil {
        let good = field(&mut Forgery::of(&image_of(&small_tree())).header).get();
        for value in [0, good + 1, good.wrapping_sub(1), 1 << 40, u64::MAX] {
            if value != good {
                refused("where its counts put them", |image| {
                    *field(&mut image.header) = U64::new(value);
                });
            }
        }
    }
}

#[test]
fn lengths_that_overflow_together_are_refused() {
    refused("where its counts put them", |image| {
        // The sum of both comes to the right end.
        let names = image.header.names_len.get();
        image.header.names_len = U64::new(u64::MAX);
        image.header.ids_len = U64::new(image.header.ids_len.get() + names + 1);
    });
}

#[test]
fn an_image_over_the_limit_is_refused() {
    let header = Forgery::of(&image_of(&small_tree())).header;
    let failure = check_header(header.as_bytes(), IMAGE_LEN_MAX + 1).unwrap_err();
    let why = format!(
        "{} bytes are over the limit of {IMAGE_LEN_MAX}",
        IMAGE_LEN_MAX + 1
    );
    assert!(failure.message.contains(&why), "{failure}");
    let failure = check_header(header.as_bytes(), IMAGE_LEN_MAX).unwrap_err();
    assert!(failure.message.contains("it says"), "{failure}");
    assert!(check_header(header.as_bytes(), header.total_len.get()).is_ok());
}

#[test]
fn sums_that_are_wrong_are_refused() {
    for wrong in [0, 2, 4, u32::MAX] {
        refused("not as many or as large", |image| {
            image.header.file_count = U32::new(wrong);
        });
    }
    for wrong in [0, 20, 22, u64::MAX] {
        refused("not as many or as large", |image| {
            image.header.total_size = U64::new(wrong);
        });
    }
}

/// What passes the check has one meaning: the tree it shows has this image and no other.
fn refused_or_meant(bytes: &[u8]) -> bool {
    walk_all(&ImageView::trusted(bytes));
    match ImageView::check(bytes) {
        Ok(view) => {
            walk_all(&view);
            assert_eq!(image_of(&rebuilt(&view)), bytes);
            false
        }
        Err(_) => true,
    }
}

/// Whether the byte can have another value in a good image: modes, times, names and ids can;
/// counts, places and sizes are all said twice.
fn is_free(image: &Forgery, place: usize) -> bool {
    let Some(place) = place.checked_sub(HEADER_LEN) else {
        return false;
    };
    if place >= image.rows.len() * ROW_LEN {
        return true;
    }
    let field = place % ROW_LEN;
    let mode = offset_of!(NodeRow, mode)..offset_of!(NodeRow, mode) + 2;
    let mtime = offset_of!(NodeRow, mtime_nsec)..ROW_LEN;
    mode.contains(&field) || mtime.contains(&field)
}

#[test]
fn each_byte_changed_to_each_value_is_refused_or_means_a_tree() {
    let good = image_of(&small_tree());
    let image = Forgery::of(&good);
    let mut accepted = 0;
    for place in 0..good.len() {
        let mut bytes = good.clone();
        for change in 1..=u8::MAX {
            bytes[place] = good[place] ^ change;
            let refused = refused_or_meant(&bytes);
            assert!(refused || is_free(&image, place), "byte {place}");
            accepted += usize::from(!refused);
        }
    }
    assert!(accepted > 0, "some changes only mean another tree");
}

proptest! {
    #[test]
    fn several_changes_at_once_are_refused_or_mean_a_tree(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)
    ) {
        let mut bytes = image_of(&small_tree());
        for (place, value) in changes {
            let len = bytes.len();
            bytes[place % len] = value;
        }
        refused_or_meant(&bytes);
    }

    #[test]
    fn rows_in_another_order_are_refused(one in 1..7_usize, other in 1..7_usize) {
        let mut forgery = Forgery::of(&image_of(&small_tree()));
        forgery.rows.swap(one, other);
        prop_assert_eq!(refused_or_meant(&forgery.bytes()), one != other);
    }

    #[test]
    fn no_bytes_break_the_check(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(refused_or_meant(&bytes));
        let mut with_header = image_of(&small_tree())[..HEADER_LEN].to_vec();
        with_header.extend_from_slice(&bytes);
        refused_or_meant(&with_header);
    }
}
