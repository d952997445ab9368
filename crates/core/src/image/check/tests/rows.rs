//! Rows that lie, each in one thing.

use zerocopy::native_endian::{I64, U16, U32, U64};

use super::forgery::{A, AB, AC, ACD, DIR, E, Forgery, Z, refused};
use super::*;
use crate::image::TreeBuilder;
use crate::image::layout::kind_number;
use crate::path::PathRule;

#[test]
fn names_that_no_file_can_have_are_refused() {
    for name in [&b"."[..], b"..", b"e/f", b"/", b"e/"] {
        refused("no node can have the name", |image| image.rename(E, name));
    }
    refused("its name has 0 bytes, and must have 1 to 255", |image| {
        image.rename(E, b"")
    });
    refused("its name has 256 bytes, and must have 1 to 255", |image| {
        image.rename(E, &[b'e'; 256])
    });
    refused("row 2: its name is not at its place", |image| {
        image.rename(E, b"e\0e");
    });
}

#[test]
fn the_promises_own_directory_is_as_it_always_is() {
    const WHY: &str = "own directory is not as it always is";
    refused(WHY, |image| image.rename(0, b"root"));
    refused(WHY, |image| image.rows[0].mode = U16::new(0o700));
    refused(WHY, |image| image.rows[0].mtime_nsec = I64::new(1));
    refused(WHY, |image| image.rows[0].parent = U32::new(1));
    refused(WHY, |image| image.rows[0].path_len = U16::new(1));
    refused(WHY, |image| {
        image.rows[0].kind = kind_number(NodeKind::File)
    });
    refused(
        "row 0: its node id has 4 bytes, and must have 0 to 0",
        |image| image.reid(0, b"root"),
    );
}

#[test]
fn names_out_of_order_or_twice_are_refused() {
    const WHY: &str = "does not come after that of the row before";
    refused(WHY, |image| image.rename(A, b"f"));
    refused(WHY, |image| image.rename(E, b"a"));
    refused(WHY, |image| image.rename(Z, b"e"));
    refused(WHY, |image| image.rename(AC, b"b"));
    refused(WHY, |image| image.rename(AC, b"a"));
}

#[test]
fn text_must_lie_at_its_place_with_a_nul_behind_it() {
    const NAME: &str = "its name is not at its place";
    const ID: &str = "its node id is not at its place";
    for offset in [0, 1, 4, 1000, u32::MAX] {
        refused(NAME, |image| image.rows[E].name_offset = U32::new(offset));
        refused(ID, |image| image.rows[E].id_offset = U32::new(offset));
    }
    for len in [0, 2, 255, u16::MAX] {
        refused(NAME, |image| image.rows[E].name_len = U16::new(len));
        refused(ID, |image| image.rows[E].id_len = U16::new(len));
    }
    for row in [0, E, ACD] {
        refused(NAME, |image| {
            let nul = image.rows[row].name_offset.get() + u32::from(image.rows[row].name_len.get());
            image.names[nul as usize] = b'x';
        });
        refused(ID, |image| {
            let nul = image.rows[row].id_offset.get() + u32::from(image.rows[row].id_len.get());
            image.ids[nul as usize] = b'x';
        });
    }
    refused(NAME, |image| {
        image.names.pop();
        image.settle();
    });
    refused(ID, |image| {
        image.ids.pop();
        image.settle();
    });
    for spare in [&b"\0"[..], b"spare\0"] {
        refused("text that belongs to no row", |image| {
            image.names.extend_from_slice(spare);
            image.settle();
        });
        refused("text that belongs to no row", |image| {
            image.ids.extend_from_slice(spare);
            image.settle();
        });
    }
}

#[test]
fn node_ids_have_1_to_4096_bytes_without_nul() {
    refused(
        "its node id has 0 bytes, and must have 1 to 4096",
        |image| image.reid(E, b""),
    );
    refused(
        "its node id has 4097 bytes, and must have 1 to 4096",
        |image| {
            image.reid(E, &[b'i'; NODE_ID_LEN_MAX + 1]);
        },
    );
    refused("its node id is not at its place", |image| {
        image.reid(E, b"a\0b");
    });
}

#[test]
fn kinds_that_do_not_exist_yet_or_ever_are_refused() {
    for kind in [0, 3, 4, u8::MAX] {
        refused("its kind is", |image| image.rows[E].kind = kind);
    }
}

#[test]
fn attributes_that_cannot_be_shown_are_refused() {
    for mode in [0o10000, 0o100_644, u16::MAX] {
        refused("has bits beyond", |image| {
            image.rows[E].mode = U16::new(mode);
        });
    }
    refused("declared with size 0", |image| {
        image.rows[A].size = U64::new(1);
    });
    for size in [1 << 63, u64::MAX] {
        refused("over the largest file size", |image| {
            image.rows[E].size = U64::new(size);
        });
    }
    for mtime in [-1, i64::MIN] {
        refused("lies before 1970", |image| {
            image.rows[E].mtime_nsec = I64::new(mtime);
        });
    }
}

#[test]
fn reserved_fields_must_be_zero() {
    const WHY: &str = "reserved fields are not zero";
    for row in [0, A, ACD] {
        refused(WHY, |image| image.rows[row].flags = 1);
        refused(WHY, |image| image.rows[row].side = U32::new(1));
        refused(WHY, |image| image.rows[row].reserved = U16::new(1));
    }
}

#[test]
fn a_row_with_the_wrong_parent_is_refused() {
    // Another directory, a file, itself, its own child, a later row, none at all.
    for (row, parent) in [
        (AB, Z),
        (AB, 0),
        (AB, E),
        (AB, AB),
        (AC, ACD),
        (A, ACD),
        (E, 1000),
        (ACD, A),
    ] {
        refused("is not the directory it is in", |image| {
            image.rows[row].parent = U32::new(u32::try_from(parent).expect("small"));
        });
    }
}

#[test]
fn children_that_are_not_the_next_rows_are_refused() {
    const WHY: &str = "not the next rows that belong to nobody";
    // A cycle, a second claim, a gap, the row itself.
    for (row, first) in [(AC, 1), (AC, AC), (A, 1), (A, AC), (AC, 0), (AC, 7)] {
        refused(WHY, |image| {
            image.rows[row].first_child = U32::new(u32::try_from(first).expect("small"));
        });
    }
    for count in [7, 1000, u32::MAX] {
        refused(WHY, |image| image.rows[0].child_count = U32::new(count));
    }
    refused(WHY, |image| {
        image.rows[Z].first_child = U32::new(1);
        image.rows[Z].child_count = U32::new(1);
    });
}

#[test]
fn rows_that_belong_to_no_directory_are_refused() {
    refused("row 6: row 5 is not the directory it is in", |image| {
        image.rows[AC].first_child = U32::ZERO;
        image.rows[AC].child_count = U32::ZERO;
    });
    refused("row 3: row 0 is not the directory it is in", |image| {
        image.rows[0].child_count = U32::new(2);
        image.rows[0].subdir_count = U32::new(1);
        image.rows[A].first_child = U32::new(3);
    });
}

#[test]
fn what_has_no_children_counts_none() {
    const WHY: &str = "no children and counts some";
    for row in [E, Z] {
        refused(WHY, |image| image.rows[row].first_child = U32::new(4));
        refused(WHY, |image| image.rows[row].subdir_count = U32::new(1));
    }
}

#[test]
fn a_file_with_children_is_refused() {
    refused("it is a file and has children", |image| {
        image.rows[AC].kind = kind_number(NodeKind::File);
        image.rows[A].subdir_count = U32::ZERO;
    });
}

#[test]
fn directories_are_counted_rightly() {
    for (row, counted) in [(0, 0), (0, 1), (0, 3), (A, 0), (A, 2), (AC, 1)] {
        refused("directories in it and says", |image| {
            image.rows[row].subdir_count = U32::new(counted);
        });
    }
}

#[test]
fn paths_have_the_length_they_say_within_the_limit() {
    for len in [0, 4, 6, u16::MAX] {
        refused("its path has 5 bytes", |image| {
            image.rows[ACD].path_len = U16::new(len);
        });
    }
    // One directory more than a builder lets in.
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let name = [b'n'; 255];
    let mut path = name.to_vec();
    while path.len() <= PATH_LEN_MAX {
        tree.add_dir(&path, DIR, b"id").expect("a good node");
        path.push(b'/');
        path.extend_from_slice(&name);
    }
    let mut forgery = Forgery::of(&image_of(&tree));
    let last = forgery.rows.len() - 1;
    let mut below = forgery.rows[last];
    below.parent = U32::new(u32::try_from(last).expect("few"));
    below.name_offset = U32::new(below.name_offset.get() + 256);
    below.id_offset = U32::new(below.id_offset.get() + 3);
    below.path_len = U16::new(below.path_len.get() + 256);
    forgery.rows[last].first_child = U32::new(u32::try_from(last + 1).expect("few"));
    forgery.rows[last].child_count = U32::new(1);
    forgery.rows[last].subdir_count = U32::new(1);
    forgery.rows.push(below);
    forgery.names.extend_from_slice(&name);
    forgery.names.push(0);
    forgery.ids.extend_from_slice(b"id\0");
    forgery.settle();
    let bytes = forgery.bytes();
    let failure = ImageView::check(&bytes).expect_err("too deep");
    let why = format!("its path has {} bytes, ", path.len());
    assert!(failure.message.contains(&why), "{failure}");
    let limit = format!("must not have over {PATH_LEN_MAX}");
    assert!(failure.message.contains(&limit), "{failure}");
}
