//! Reading an image that was checked.
//!
//! A view is a few slices and costs nothing to make, so it is made anew for each request. Every
//! access is bounded: bytes that never passed the check give nodes that are wrong or missing, but
//! neither a panic nor an endless walk.

use std::ffi::CStr;
use std::ops::Range;

use zerocopy::FromBytes;

use crate::attr::{NodeAttr, NodeKind};
use crate::failure::Result;
use crate::ids::Row;
use crate::image::layout::{Header, NodeRow, ROW_LEN, kind_of_number};
use crate::image::{check, layout};

/// The image of a tree.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    pub(super) header: &'a Header,
    pub(super) rows: &'a [NodeRow],
    pub(super) names: &'a [u8],
    pub(super) ids: &'a [u8],
}

/// One node of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    pub row: Row,
    /// Of the promise's own directory: itself.
    pub parent: Row,
    pub kind: NodeKind,
    /// Empty for the promise's own directory.
    pub name: &'a [u8],
    pub node_id: &'a [u8],
    pub attr: NodeAttr,
    /// 1 for a file; for a directory 2 and its subdirectories.
    pub nlink: u32,
    pub children: Range<u32>,
}

/// The length of the part of an image that tells the rest.
pub const HEADER_LEN: usize = layout::HEADER_LEN;

impl<'a> ImageView<'a> {
    /// Holds the bytes to every rule of the format, reading them once; `InvalidArgument` with the
    /// first thing that is wrong.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        check::check(bytes)
    }

    /// What can be said from the first [`HEADER_LEN`] bytes of an image of `len` bytes: whether
    /// mapping the rest is worth it.
    pub fn check_header(start: &[u8], len: u64) -> Result<()> {
        check::check_header(start, len).map(drop)
    }

    /// Bytes that passed [`check`](Self::check) before. Of others the view shows anything.
    #[must_use]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self::split(bytes).unwrap_or(Self::NOTHING)
    }

    const NOTHING: ImageView<'static> = ImageView {
        header: &Header::ZERO,
        rows: &[],
        names: &[],
        ids: &[],
    };

    /// Cuts bytes into the tables that the header describes; `None` if they are not all there.
    pub(super) fn split(bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = Header::ref_from_prefix(bytes).ok()?;
        let table = |offset: u64, len: u64| {
            let start = usize::try_from(offset).ok()?;
            let len = usize::try_from(len).ok()?;
            bytes.get(start..start.checked_add(len)?)
        };
        let rows_len = u64::from(header.node_count.get()) * ROW_LEN as u64;
        let rows = table(header.rows_offset.get(), rows_len)?;
        Some(Self {
            header,
            rows: <[NodeRow]>::ref_from_bytes(rows).ok()?,
            names: table(header.names_offset.get(), header.names_len.get())?,
            ids: table(header.ids_offset.get(), header.ids_len.get())?,
        })
    }

    /// The promise's own directory included.
    #[must_use]
    pub fn node_count(&self) -> u32 {
        self.header.node_count.get()
    }

    #[must_use]
    pub fn file_count(&self) -> u32 {
        self.header.file_count.get()
    }

    /// The declared sizes of all files together; `u64::MAX` if that is more than can be said.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.header.total_size.get()
    }

    #[must_use]
    pub fn row(&self, row: Row) -> Option<Node<'a>> {
        let node = self.node_row(row)?;
        let kind = kind_of_number(node.kind)?;
        let nlink = match kind {
            NodeKind::Directory => node.subdir_count.get().saturating_add(2),
            NodeKind::File | NodeKind::Symlink => 1,
        };
        Some(Node {
            row,
            parent: Row(node.parent.get()),
            kind,
            name: self.name(node),
            node_id: self.node_id(node),
            attr: attr(node),
            nlink,
            children: children(node),
        })
    }

    /// The child of `parent` with this name.
    #[must_use]
    pub fn lookup(&self, parent: Row, name: &[u8]) -> Option<Row> {
        let children = self.children(parent);
        let rows = self
            .rows
            .get(children.start as usize..children.end as usize)?;
        let place = rows
            .binary_search_by(|child| self.name(child).cmp(name))
            .ok()?;
        Some(Row(children.start + u32::try_from(place).ok()?))
    }

    /// The rows of a directory's children, sorted by the bytes of their names; empty for anything
    /// else.
    #[must_use]
    pub fn children(&self, row: Row) -> Range<u32> {
        self.node_row(row).map_or(0..0, children)
    }

    /// From the promise's own directory, whose own path is empty.
    #[must_use]
    pub fn path(&self, row: Row) -> Vec<u8> {
        self.path_from_its_end(row).unwrap_or_default()
    }

    /// Ends for any bytes: each name leaves less of the length to fill.
    fn path_from_its_end(&self, row: Row) -> Option<Vec<u8>> {
        let mut node = self.node_row(row)?;
        let mut end = usize::from(node.path_len.get());
        let mut path = vec![b'/'; end];
        let mut at = row;
        while at != Row::ROOT {
            let name = self.name(node);
            let start = end.checked_sub(name.len())?;
            path[start..end].copy_from_slice(name);
            at = Row(node.parent.get());
            if at != Row::ROOT {
                end = start.checked_sub(1)?;
                node = self.node_row(at)?;
            }
        }
        Some(path)
    }

    /// The node at a normalized path; the promise's own directory for the empty one.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Option<Row> {
        if path.is_empty() {
            return (!self.rows.is_empty()).then_some(Row::ROOT);
        }
        path.split(|byte| *byte == b'/')
            .try_fold(Row::ROOT, |parent, name| self.lookup(parent, name))
    }

    /// The provider's id of a node with the NUL that stands behind it in the image.
    #[must_use]
    pub fn node_id_c(&self, row: Row) -> Option<&'a CStr> {
        let node = self.node_row(row)?;
        let start = node.id_offset.get() as usize;
        let end = start + usize::from(node.id_len.get());
        CStr::from_bytes_with_nul(self.ids.get(start..=end)?).ok()
    }

    pub(super) fn node_row(&self, row: Row) -> Option<&'a NodeRow> {
        self.rows.get(row.0 as usize)
    }

    pub(super) fn name(&self, node: &NodeRow) -> &'a [u8] {
        text(self.names, node.name_offset.get(), node.name_len.get())
    }

    fn node_id(&self, node: &NodeRow) -> &'a [u8] {
        text(self.ids, node.id_offset.get(), node.id_len.get())
    }
}

pub(super) fn attr(node: &NodeRow) -> NodeAttr {
    NodeAttr {
        mode: u32::from(node.mode.get()),
        size: node.size.get(),
        mtime_nsec: node.mtime_nsec.get(),
    }
}

pub(super) fn children(node: &NodeRow) -> Range<u32> {
    let start = node.first_child.get();
    start..start.saturating_add(node.child_count.get())
}

fn text(table: &[u8], offset: u32, len: u16) -> &[u8] {
    let start = offset as usize;
    table
        .get(start..start.saturating_add(usize::from(len)))
        .unwrap_or_default()
}
