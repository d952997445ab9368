//! The check that stands between a provider's bytes and everything that trusts an image.
//!
//! One pass over the rows, in order, with a handful of counters and no allocation. In breadth-first
//! order each directory claims the rows right behind those already claimed, so one counter shows
//! that every row has exactly one parent and that no row is its own ancestor. Names and ids are
//! claimed from their tables the same way. Whatever is not claimed at the end is refused.

use zerocopy::FromBytes;

use crate::attr::{NodeAttr, NodeKind};
use crate::failure::{Failure, Result};
use crate::ids::Row;
use crate::image::layout::{
    FLAG_BYTE_NAMES, FORMAT_VERSION, HEADER_LEN, Header, MAGIC, NodeRow, Tables, kind_of_number,
    path_len,
};
use crate::image::view::{ImageView, attr, children};
use crate::limits::{IMAGE_LEN_MAX, NAME_LEN_MAX, NODE_ID_LEN_MAX, NODES_MAX, PATH_LEN_MAX};

pub fn check(bytes: &[u8]) -> Result<ImageView<'_>> {
    check_header(bytes, bytes.len() as u64)?;
    let Some(view) = ImageView::split(bytes) else {
        return Err(refused("its tables lie outside of it"));
    };
    let mut walk = Walk::new(view);
    for number in 0..view.node_count() {
        walk.row(Row(number))
            .map_err(|failure| failure.context(&format!("the image is not valid: row {number}")))?;
    }
    walk.end()?;
    Ok(view)
}

/// Everything but what the rows must agree to.
pub fn check_header(start: &[u8], len: u64) -> Result<()> {
    if len > IMAGE_LEN_MAX {
        return Err(refused(&format!(
            "{len} bytes are over the limit of {IMAGE_LEN_MAX}"
        )));
    }
    let Ok((header, _)) = Header::ref_from_prefix(start) else {
        return Err(refused(&format!(
            "{} bytes are less than its header of {HEADER_LEN}",
            start.len()
        )));
    };
    if header.magic != MAGIC {
        return Err(refused("it does not begin like one"));
    }
    if header.version.get() != FORMAT_VERSION {
        return Err(Failure::version_mismatch(format!(
            "the image has format version {}, this program reads version {FORMAT_VERSION}",
            header.version.get()
        )));
    }
    if header.flags.get() & !FLAG_BYTE_NAMES != 0 {
        return Err(refused("it has flags that are not known"));
    }
    let node_count = header.node_count.get();
    if node_count == 0 || node_count > NODES_MAX {
        return Err(refused(&format!(
            "it has {node_count} nodes, and must have 1 to {NODES_MAX}"
        )));
    }
    let tables = Tables::new(node_count, header.names_len.get(), header.ids_len.get());
    let written = Tables {
        rows: header.rows_offset.get(),
        names: header.names_offset.get(),
        ids: header.ids_offset.get(),
        end: header.total_len.get(),
    };
    let side = (header.side_offset.get(), header.side_len.get());
    if written != tables || side != (tables.end, 0) {
        return Err(refused("its tables are not where its counts put them"));
    }
    if tables.end != len {
        return Err(refused(&format!(
            "it says {} bytes and has {len}",
            tables.end
        )));
    }
    Ok(())
}

fn refused(why: &str) -> Failure {
    Failure::invalid(format!("the image is not valid: {why}"))
}

/// What the rows up to here have claimed and counted.
struct Walk<'a> {
    view: ImageView<'a>,
    /// The first row that no directory has claimed.
    next_child: u32,
    /// The first byte of each table that no row has claimed.
    name_at: usize,
    id_at: usize,
    /// Directories among the children of the current parent.
    subdirs: u32,
    files: u32,
    total_size: u64,
    byte_names: bool,
}

impl<'a> Walk<'a> {
    fn new(view: ImageView<'a>) -> Self {
        Self {
            view,
            // Nobody claims the promise's own directory.
            next_child: 1,
            name_at: 0,
            id_at: 0,
            subdirs: 0,
            files: 0,
            total_size: 0,
            byte_names: false,
        }
    }

    fn row(&mut self, row: Row) -> Result<()> {
        let Some(node) = self.view.node_row(row) else {
            return Err(Failure::invalid("it is missing"));
        };
        let kind = check_fields(node)?;
        let name = self.claim_name(node)?;
        self.claim_node_id(node, row)?;
        if row == Row::ROOT {
            check_root(node, name)?;
        } else {
            self.check_name(name)?;
            self.check_place(row, node, kind, name)?;
        }
        self.claim_children(node, kind)?;
        if kind == NodeKind::File {
            self.files += 1;
            self.total_size = self.total_size.saturating_add(node.size.get());
        }
        Ok(())
    }

    fn claim_name(&mut self, node: &NodeRow) -> Result<&'a [u8]> {
        let claimed = claim(
            self.view.names,
            &mut self.name_at,
            node.name_offset.get(),
            node.name_len.get(),
        );
        claimed.ok_or_else(|| Failure::invalid("its name is not at its place in the name table"))
    }

    fn claim_node_id(&mut self, node: &NodeRow, row: Row) -> Result<()> {
        let claimed = claim(
            self.view.ids,
            &mut self.id_at,
            node.id_offset.get(),
            node.id_len.get(),
        );
        let Some(id) = claimed else {
            return Err(Failure::invalid(
                "its node id is not at its place in the id table",
            ));
        };
        // The promise's own directory is nobody's node; every other node has an id.
        let (least, most) = match row {
            Row::ROOT => (0, 0),
            _ => (1, NODE_ID_LEN_MAX),
        };
        if !(least..=most).contains(&id.len()) {
            return Err(Failure::invalid(format!(
                "its node id has {} bytes, and must have {least} to {most}",
                id.len()
            )));
        }
        Ok(())
    }

    fn check_name(&mut self, name: &[u8]) -> Result<()> {
        if name.is_empty() || name.len() > NAME_LEN_MAX {
            return Err(Failure::invalid(format!(
                "its name has {} bytes, and must have 1 to {NAME_LEN_MAX}",
                name.len()
            )));
        }
        if name == b"." || name == b".." || name.contains(&b'/') {
            return Err(Failure::invalid(format!(
                "no node can have the name {:?}",
                String::from_utf8_lossy(name)
            )));
        }
        self.byte_names |= std::str::from_utf8(name).is_err();
        Ok(())
    }

    /// The row is where its parent says, and behind its smaller sibling.
    fn check_place(&mut self, row: Row, node: &NodeRow, kind: NodeKind, name: &[u8]) -> Result<()> {
        let parent = Row(node.parent.get());
        // Only rows before this one have been checked, so only there can a parent be.
        let directory = Some(parent)
            .filter(|parent| *parent < row)
            .and_then(|parent| self.view.node_row(parent));
        let siblings = directory.map_or(0..0, children);
        let Some(directory) = directory.filter(|_| siblings.contains(&row.0)) else {
            return Err(Failure::invalid(format!(
                "row {} is not the directory it is in",
                parent.0
            )));
        };
        let path_len = path_len(usize::from(directory.path_len.get()), name.len());
        if path_len > PATH_LEN_MAX || usize::from(node.path_len.get()) != path_len {
            return Err(Failure::invalid(format!(
                "its path has {path_len} bytes, says {} and must not have over {PATH_LEN_MAX}",
                node.path_len.get()
            )));
        }
        if row.0 == siblings.start {
            self.subdirs = 0;
        } else if self.name_before(row) >= Some(name) {
            return Err(Failure::invalid(
                "its name does not come after that of the row before",
            ));
        }
        self.subdirs += u32::from(kind == NodeKind::Directory);
        if row.0 + 1 == siblings.end && self.subdirs != directory.subdir_count.get() {
            return Err(Failure::invalid(format!(
                "its directory has {} directories in it and says {}",
                self.subdirs,
                directory.subdir_count.get()
            )));
        }
        Ok(())
    }

    fn name_before(&self, row: Row) -> Option<&'a [u8]> {
        let before = self.view.node_row(Row(row.0 - 1))?;
        Some(self.view.name(before))
    }

    fn claim_children(&mut self, node: &NodeRow, kind: NodeKind) -> Result<()> {
        let (first, count) = (node.first_child.get(), node.child_count.get());
        if count == 0 {
            if first != 0 || node.subdir_count.get() != 0 {
                return Err(Failure::invalid("it has no children and counts some"));
            }
            return Ok(());
        }
        if kind != NodeKind::Directory {
            return Err(Failure::invalid("it is a file and has children"));
        }
        let unclaimed = self.view.node_count() - self.next_child;
        if first != self.next_child || count > unclaimed {
            return Err(Failure::invalid(
                "its children are not the next rows that belong to nobody",
            ));
        }
        self.next_child += count;
        Ok(())
    }

    /// All text was claimed, and the header's sums are right. (All rows were: each has been found
    /// among the children of one before it.)
    fn end(self) -> Result<()> {
        let header = self.view.header;
        if self.name_at != self.view.names.len() || self.id_at != self.view.ids.len() {
            return Err(refused("its tables hold text that belongs to no row"));
        }
        if self.files != header.file_count.get() || self.total_size != header.total_size.get() {
            return Err(refused("its files are not as many or as large as it says"));
        }
        if self.byte_names != (header.flags.get() & FLAG_BYTE_NAMES != 0) {
            return Err(refused("it says wrongly whether its names are all UTF-8"));
        }
        Ok(())
    }
}

/// The next text of a table: `len` bytes other than NUL, then a NUL, right at `*at`.
fn claim<'a>(table: &'a [u8], at: &mut usize, offset: u32, len: u16) -> Option<&'a [u8]> {
    let text = table.get(*at..)?.get(..usize::from(len))?;
    let end = *at + text.len();
    let in_place = offset as usize == *at && table.get(end) == Some(&0) && !text.contains(&0);
    *at = end + 1;
    in_place.then_some(text)
}

/// What a row must be whatever is around it.
fn check_fields(node: &NodeRow) -> Result<NodeKind> {
    let kind = match kind_of_number(node.kind) {
        Some(kind @ (NodeKind::Directory | NodeKind::File)) => kind,
        Some(NodeKind::Symlink) | None => {
            return Err(Failure::invalid(format!("its kind is {}", node.kind)));
        }
    };
    if node.flags != 0 || node.side.get() != 0 || node.reserved.get() != 0 {
        return Err(Failure::invalid("its reserved fields are not zero"));
    }
    attr(node).check(kind)?;
    Ok(kind)
}

fn check_root(node: &NodeRow, name: &[u8]) -> Result<()> {
    let is_directory = kind_of_number(node.kind) == Some(NodeKind::Directory);
    let above = (node.parent.get(), node.path_len.get());
    if !is_directory || attr(node) != NodeAttr::ROOT || above != (0, 0) || !name.is_empty() {
        return Err(Failure::invalid(
            "the promise's own directory is not as it always is",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
