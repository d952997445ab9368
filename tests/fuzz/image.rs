//! The image of a tree, as a provider's process hands it over.

use fuse_promise_core::ids::Row;
use fuse_promise_core::image::{ImageView, Node};
use fuse_promise_testkit::fuzz::Campaign;
use fuse_promise_wire::MappedImage;
use fuse_promise_wire::image::seal_copy;

/// The format's header, its rows, and where in them the numbers are that say what the others are.
mod place {
    pub const HEADER_LEN: usize = 96;
    pub const ROW_LEN: usize = 56;
    pub const NODE_COUNT: usize = 16;
    pub const FILE_COUNT: usize = 20;
    pub const TOTAL_SIZE: usize = 24;
    pub const IDS_OFFSET: usize = 56;
    pub const IDS_LEN: usize = 64;
    pub const SIDE_OFFSET: usize = 72;
    pub const TOTAL_LEN: usize = 88;
    pub const KIND: usize = 30;
    pub const SIZE: usize = 40;
}

const FILE: u8 = 2;

#[test]
fn an_image_is_refused_or_is_what_it_says() {
    Campaign::new("image").mended(mend).run(
        || (),
        |(), bytes| {
            walk_unchecked(&ImageView::trusted(bytes));
            match ImageView::check(bytes) {
                Ok(view) => {
                    walk(&view);
                    let mapped = MappedImage::open(seal_copy(bytes).unwrap()).unwrap();
                    assert_eq!(mapped.view().node_count(), view.node_count());
                    format!("valid with {}", view.node_count())
                }
                Err(failure) => {
                    if let Ok(sealed) = seal_copy(bytes) {
                        assert!(MappedImage::open(sealed).is_err());
                    }
                    failure.message
                }
            }
        },
    );
}

/// A checked image is a tree: each node is found from above by its name and its path.
fn walk(view: &ImageView<'_>) {
    let (mut files, mut children) = (0, 0);
    for number in 0..view.node_count() {
        let row = Row(number);
        let node = view.row(row).expect("every row is a node");
        let path = view.path(row);
        assert_eq!(view.resolve(&path), Some(row));
        assert_eq!(view.children(row), node.children);
        let id = view.node_id_c(row).expect("every id ends");
        assert_eq!(id.to_bytes(), node.node_id);
        if row == Row::ROOT {
            assert!(path.is_empty() && node.name.is_empty());
        } else {
            assert!(node.parent < row && path.ends_with(node.name));
            assert_eq!(view.lookup(node.parent, node.name), Some(row));
        }
        files += u32::from(node.kind == fuse_promise_core::attr::NodeKind::File);
        children += node.children.len();
    }
    assert_eq!(files, view.file_count());
    assert_eq!(children + 1, view.node_count() as usize);
}

/// Bytes that nobody checked give nonsense, but they give it at once.
fn walk_unchecked(view: &ImageView<'_>) {
    let ends = [view.node_count(), u32::MAX - 1, u32::MAX];
    for number in (0..view.node_count().min(256)).chain(ends) {
        let row = Row(number);
        let node: Option<Node<'_>> = view.row(row);
        let name = node.map_or(&b"name"[..], |node| node.name);
        let seen = (view.lookup(row, name), view.resolve(&view.path(row)));
        std::hint::black_box((seen, view.children(row), view.node_id_c(row)));
    }
    std::hint::black_box((view.file_count(), view.total_size()));
}

/// Makes the header agree with the rows and the length, so that the rest is looked at.
fn mend(image: &mut [u8]) {
    let Some(ids) = number(image, place::IDS_OFFSET) else {
        return;
    };
    let len = image.len() as u64;
    let rows = image.get(place::HEADER_LEN..).unwrap_or_default();
    let count = image.get(place::NODE_COUNT..).and_then(<[u8]>::first_chunk);
    let count = count.map_or(0, |count| u32::from_ne_bytes(*count));
    let (mut files, mut total) = (0_u32, 0_u64);
    for row in rows.chunks_exact(place::ROW_LEN).take(count as usize) {
        if row[place::KIND] == FILE {
            files += 1;
            total = total.saturating_add(number(row, place::SIZE).unwrap_or(0));
        }
    }
    put(image, place::FILE_COUNT, &files.to_ne_bytes());
    put(image, place::TOTAL_SIZE, &total.to_ne_bytes());
    let ids_len = len.saturating_sub(ids);
    for (at, value) in [
        (place::IDS_LEN, ids_len),
        (place::SIDE_OFFSET, len),
        (place::TOTAL_LEN, len),
    ] {
        put(image, at, &value.to_ne_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*field))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = bytes.get_mut(at..at + value.len()) {
        field.copy_from_slice(value);
    }
}
