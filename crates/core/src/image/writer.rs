//! Writing a builder's tree in the one order an image has.
//!
//! Children are gathered by parent, sorted by the bytes of their names, and laid out breadth-first;
//! then header, rows, names and ids are written one after the other.

use std::io::{self, Write};

use zerocopy::IntoBytes;
use zerocopy::native_endian::{I64, U16, U32, U64};

use crate::attr::NodeKind;
use crate::image::builder::{Entry, TreeBuilder};
use crate::image::layout::{
    FLAG_BYTE_NAMES, FORMAT_VERSION, Header, MAGIC, NodeRow, Tables, kind_number,
};

impl TreeBuilder {
    /// Writes the image, [`image_len`](Self::image_len) bytes in many small pieces: give it a
    /// buffered writer. The builder stays as it is.
    pub fn write_image(&self, out: &mut dyn Write) -> io::Result<()> {
        let order = Order::of(self);
        out.write_all(self.header().as_bytes())?;
        let mut name_at = 0;
        let mut id_at = 0;
        for place in 0..order.nodes.len() {
            let row = self.node_row(&order, place, name_at, id_at);
            name_at += u32::from(row.name_len.get()) + 1;
            id_at += u32::from(row.id_len.get()) + 1;
            out.write_all(row.as_bytes())?;
        }
        for text in [Self::name, Self::node_id] {
            for node in &order.nodes {
                out.write_all(text(self, &self.nodes[*node as usize]))?;
                out.write_all(&[0])?;
            }
        }
        Ok(())
    }

    fn header(&self) -> Header {
        let node_count = number_of(self.nodes.len());
        let tables = Tables::new(node_count, self.names_len(), self.ids_len());
        let files = || self.nodes.iter().filter(|node| node.kind == NodeKind::File);
        let total_size = files().fold(0_u64, |sum, file| sum.saturating_add(file.attr.size));
        let flags = if self.has_byte_names() {
            FLAG_BYTE_NAMES
        } else {
            0
        };
        Header {
            magic: MAGIC,
            version: U32::new(FORMAT_VERSION),
            flags: U32::new(flags),
            node_count: U32::new(node_count),
            file_count: U32::new(number_of(files().count())),
            total_size: U64::new(total_size),
            rows_offset: U64::new(tables.rows),
            names_offset: U64::new(tables.names),
            names_len: U64::new(self.names_len()),
            ids_offset: U64::new(tables.ids),
            ids_len: U64::new(self.ids_len()),
            side_offset: U64::new(tables.end),
            side_len: U64::ZERO,
            total_len: U64::new(tables.end),
        }
    }

    fn node_row(&self, order: &Order, place: usize, name_at: u32, id_at: u32) -> NodeRow {
        let number = order.nodes[place] as usize;
        let node: &Entry = &self.nodes[number];
        let mode = u16::try_from(node.attr.mode).expect("a mode was checked when it was added");
        NodeRow {
            parent: U32::new(order.rows[node.parent as usize]),
            first_child: U32::new(order.first_child[place]),
            child_count: U32::new(order.children[number].count),
            subdir_count: U32::new(order.children[number].directories),
            name_offset: U32::new(name_at),
            id_offset: U32::new(id_at),
            mode: U16::new(mode),
            name_len: U16::new(node.name_len),
            id_len: U16::new(node.id_len),
            kind: kind_number(node.kind),
            flags: 0,
            side: U32::ZERO,
            path_len: U16::new(node.path_len),
            reserved: U16::ZERO,
            size: U64::new(node.attr.size),
            mtime_nsec: I64::new(node.attr.mtime_nsec),
        }
    }
}

/// Which node stands in which row.
struct Order {
    /// The builder's number of the node in each row.
    nodes: Vec<u32>,
    /// The row of each of the builder's nodes.
    rows: Vec<u32>,
    /// For each row; 0 for one without children.
    first_child: Vec<u32>,
    /// For each of the builder's nodes.
    children: Vec<Children>,
}

/// A node's children while they are gathered.
#[derive(Clone, Default)]
struct Children {
    start: usize,
    count: u32,
    directories: u32,
}

impl Order {
    fn of(tree: &TreeBuilder) -> Self {
        let (children, gathered) = gather(tree);
        let count = tree.nodes.len();
        let mut order = Self {
            nodes: Vec::with_capacity(count),
            rows: vec![0; count],
            first_child: Vec::with_capacity(count),
            children,
        };
        order.nodes.push(0);
        let mut place = 0;
        while let Some(number) = order.nodes.get(place).copied() {
            order.rows[number as usize] = number_of(place);
            let children = &order.children[number as usize];
            let first_child = match children.count {
                0 => 0,
                _ => number_of(order.nodes.len()),
            };
            order.first_child.push(first_child);
            let siblings = children.start..children.start + children.count as usize;
            order.nodes.extend_from_slice(&gathered[siblings]);
            place += 1;
        }
        order
    }
}

/// The builder's numbers of all nodes, gathered by parent, each family sorted by name.
fn gather(tree: &TreeBuilder) -> (Vec<Children>, Vec<u32>) {
    let mut children = vec![Children::default(); tree.nodes.len()];
    // The promise's own directory is nobody's child.
    for node in &tree.nodes[1..] {
        let family = &mut children[node.parent as usize];
        family.count += 1;
        family.directories += u32::from(node.kind == NodeKind::Directory);
    }
    let mut start = 0;
    for family in &mut children {
        family.start = start;
        start += family.count as usize;
    }
    let mut gathered = vec![0; start];
    let mut free: Vec<usize> = children.iter().map(|family| family.start).collect();
    for (number, node) in tree.nodes.iter().enumerate().skip(1) {
        let place = &mut free[node.parent as usize];
        gathered[*place] = number_of(number);
        *place += 1;
    }
    for family in &children {
        let siblings = &mut gathered[family.start..family.start + family.count as usize];
        siblings.sort_unstable_by_key(|number| tree.name(&tree.nodes[*number as usize]));
    }
    (children, gathered)
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than NODES_MAX nodes")
}
