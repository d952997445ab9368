//! The bytes of an image: a header, rows, names, node ids.
//!
//! Numbers are in the machine's own byte order, for an image never leaves the machine; they are
//! read without regard to alignment, so an image may begin anywhere.

use zerocopy::native_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::attr::NodeKind;

pub const MAGIC: [u8; 8] = *b"FPROMISE";

/// Of the image format; also tells a foreign byte order apart.
pub const FORMAT_VERSION: u32 = 1;

/// Names need not be UTF-8. The only flag there is.
pub const FLAG_BYTE_NAMES: u32 = 1;

pub const HEADER_LEN: usize = size_of::<Header>();
pub const ROW_LEN: usize = size_of::<NodeRow>();

/// Every offset and length is implied by the counts and the order of the tables. They are written
/// down all the same, and must agree: an image that was cut or pasted together does not pass.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    pub magic: [u8; 8],
    pub version: U32,
    pub flags: U32,
    /// The promise's own directory included.
    pub node_count: U32,
    pub file_count: U32,
    /// Of all files, saturating.
    pub total_size: U64,
    pub rows_offset: U64,
    pub names_offset: U64,
    pub names_len: U64,
    pub ids_offset: U64,
    pub ids_len: U64,
    /// For what is rare (symlink targets, extended attributes); empty in this version.
    pub side_offset: U64,
    pub side_len: U64,
    pub total_len: U64,
}

impl Header {
    pub const ZERO: Self = zerocopy::transmute!([0_u8; size_of::<Self>()]);
}

/// A node. Offsets count from the beginning of their table; lengths exclude the NUL.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NodeRow {
    /// A row before this one; 0 for the promise's own directory, which has no parent.
    pub parent: U32,
    /// 0 if there are no children.
    pub first_child: U32,
    pub child_count: U32,
    /// Children that are directories: what the link count needs.
    pub subdir_count: U32,
    pub name_offset: U32,
    pub id_offset: U32,
    pub mode: U16,
    pub name_len: U16,
    pub id_len: U16,
    /// See [`kind_number`].
    pub kind: u8,
    pub flags: u8,
    /// Where the node's rare things are; 0 in this version.
    pub side: U32,
    /// Of the path from the promise's own directory, so that it can be put together from its end.
    pub path_len: U16,
    pub reserved: U16,
    pub size: U64,
    pub mtime_nsec: I64,
}

/// 0 means no kind, so that zeros are not a node.
#[must_use]
pub fn kind_number(kind: NodeKind) -> u8 {
    match kind {
        NodeKind::Directory => 1,
        NodeKind::File => 2,
        NodeKind::Symlink => 3,
    }
}

#[must_use]
pub fn kind_of_number(number: u8) -> Option<NodeKind> {
    match number {
        1 => Some(NodeKind::Directory),
        2 => Some(NodeKind::File),
        3 => Some(NodeKind::Symlink),
        _ => None,
    }
}

/// The length of a path one name below a path of `parent_len` bytes.
#[must_use]
pub fn path_len(parent_len: usize, name_len: usize) -> usize {
    match parent_len {
        0 => name_len,
        _ => parent_len + 1 + name_len,
    }
}

/// Where the tables of an image lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    pub rows: u64,
    pub names: u64,
    pub ids: u64,
    pub end: u64,
}

impl Tables {
    /// No sum overflows for lengths that come from within an image: each is below 2^40.
    #[must_use]
    pub fn new(node_count: u32, names_len: u64, ids_len: u64) -> Self {
        let rows = HEADER_LEN as u64;
        let names = rows + u64::from(node_count) * ROW_LEN as u64;
        let ids = names.saturating_add(names_len);
        Self {
            rows,
            names,
            ids,
            end: ids.saturating_add(ids_len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_has_no_gaps() {
        assert_eq!(HEADER_LEN, 96);
        assert_eq!(ROW_LEN, 56);
    }

    #[test]
    fn kinds_have_numbers_other_than_0() {
        for kind in NodeKind::ALL {
            assert_eq!(kind_of_number(kind_number(*kind)), Some(*kind));
        }
        assert_eq!(kind_of_number(0), None);
        assert_eq!(kind_of_number(4), None);
    }
}
