//! A small good image, and how to make it wrong in one number.

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;

/// Where the numbers lie that the images here are wrong in.
pub mod header {
    pub const NODE_COUNT: usize = 16;
    pub const NAMES_OFFSET: usize = 40;
    pub const NAMES_LEN: usize = 48;
    pub const IDS_OFFSET: usize = 56;
    pub const IDS_LEN: usize = 64;
    pub const SIDE_OFFSET: usize = 72;
    pub const TOTAL_LEN: usize = 88;
    pub const LEN: usize = 96;
}

pub mod field {
    pub const PARENT: usize = 0;
    pub const FIRST_CHILD: usize = 4;
    pub const CHILD_COUNT: usize = 8;
    pub const NAME_OFFSET: usize = 16;
    pub const ID_OFFSET: usize = 20;
    pub const NAME_LEN: usize = 26;
    pub const ROW_LEN: usize = 56;
}

/// Rows of the good tree; 0 is the promise's own directory.
pub const AA: usize = 1;
pub const EE: usize = 2;
pub const AA_CC: usize = 5;

pub fn good_tree() -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let attr = |size| NodeAttr {
        mode: 0o755,
        size,
        mtime_nsec: 0,
    };
    for (path, size) in [
        ("aa", 0),
        ("ee", 7),
        ("zz", 0),
        ("aa/bb", 7),
        ("aa/cc", 0),
        ("aa/cc/dd", 7),
    ] {
        let (path, id) = (path.as_bytes(), path.as_bytes());
        let added = match size {
            0 => tree.add_dir(path, attr(0), id),
            _ => tree.add_file(path, attr(size), id),
        };
        added.unwrap();
    }
    tree
}

/// The bytes of a good image, to be made wrong.
pub fn good() -> Vec<u8> {
    let mut bytes = Vec::new();
    good_tree().write_image(&mut bytes).unwrap();
    bytes
}

pub fn with(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = good();
    change(&mut bytes);
    bytes
}

pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub fn put_in_row(bytes: &mut [u8], row: usize, field: usize, value: u32) {
    let at = header::LEN + row * field::ROW_LEN + field;
    put(bytes, at, &value.to_ne_bytes());
}

pub fn put_in_header(bytes: &mut [u8], field: usize, value: u64) {
    put(bytes, field, &value.to_ne_bytes());
}

/// Gives a row another name, of two bytes as all of them are.
pub fn rename(bytes: &mut [u8], row: usize, name: &[u8; 2]) {
    let place = name_at(bytes, row);
    put(bytes, place, name);
}

/// Where in the image a row's name is.
pub fn name_at(bytes: &[u8], row: usize) -> usize {
    let names = u64::from_ne_bytes(*bytes[header::NAMES_OFFSET..].first_chunk().unwrap());
    // The promise's own directory has an empty name, and each has a NUL behind it.
    names as usize + 1 + 3 * (row - 1)
}

/// Makes the header say that there are so many rows and no text, and be right about the length.
pub fn claim_rows(bytes: &mut [u8], count: u32) {
    put(bytes, header::NODE_COUNT, &count.to_ne_bytes());
    let end = length_with_rows(count);
    for (at, value) in [
        (header::NAMES_OFFSET, end),
        (header::NAMES_LEN, 0),
        (header::IDS_OFFSET, end),
        (header::IDS_LEN, 0),
        (header::SIDE_OFFSET, end),
        (header::TOTAL_LEN, end),
    ] {
        put_in_header(bytes, at, value);
    }
}

/// Of an image without text.
pub fn length_with_rows(count: u32) -> u64 {
    header::LEN as u64 + u64::from(count) * field::ROW_LEN as u64
}
