//! A small good image taken apart, so that one thing in it can be made wrong.

use std::hint::black_box;

use zerocopy::IntoBytes;
use zerocopy::native_endian::{U16, U32, U64};

use crate::attr::NodeAttr;
use crate::ids::Row;
use crate::image::layout::{Header, NodeRow, Tables, path_len};
use crate::image::tests::image_of;
use crate::image::{ImageView, TreeBuilder};
use crate::path::PathRule;

// The rows of the small tree.
pub const A: usize = 1;
pub const E: usize = 2;
pub const Z: usize = 3;
pub const AB: usize = 4;
pub const AC: usize = 5;
pub const ACD: usize = 6;

pub const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 7,
    mtime_nsec: 5,
};
pub const DIR: NodeAttr = NodeAttr { size: 0, ..FILE };

pub fn small_tree() -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    for (path, attr) in [
        ("a", DIR),
        ("e", FILE),
        ("z", DIR),
        ("a/b", FILE),
        ("a/c", DIR),
        ("a/c/d", FILE),
    ] {
        let id = format!("id-{path}");
        let added = match attr.size {
            0 => tree.add_dir(path.as_bytes(), attr, id.as_bytes()),
            _ => tree.add_file(path.as_bytes(), attr, id.as_bytes()),
        };
        added.expect("a good node");
    }
    tree
}

/// The parts of an image, to be changed one by one.
pub struct Forgery {
    pub header: Header,
    pub rows: Vec<NodeRow>,
    pub names: Vec<u8>,
    pub ids: Vec<u8>,
    pub rest: Vec<u8>,
}

impl Forgery {
    pub fn of(bytes: &[u8]) -> Self {
        let view = ImageView::check(bytes).expect("it begins as a good image");
        Self {
            header: *view.header,
            rows: view.rows.to_vec(),
            names: view.names.to_vec(),
            ids: view.ids.to_vec(),
            rest: Vec::new(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let tables = [self.rows.as_bytes(), &self.names, &self.ids, &self.rest];
        [self.header.as_bytes()]
            .into_iter()
            .chain(tables)
            .collect::<Vec<_>>()
            .concat()
    }

    /// Makes the header agree with the parts again, so that only what was forged is wrong.
    pub fn settle(&mut self) {
        let count = u32::try_from(self.rows.len()).expect("few");
        let tables = Tables::new(count, self.names.len() as u64, self.ids.len() as u64);
        self.header.node_count = U32::new(count);
        self.header.names_offset = U64::new(tables.names);
        self.header.names_len = U64::new(self.names.len() as u64);
        self.header.ids_offset = U64::new(tables.ids);
        self.header.ids_len = U64::new(self.ids.len() as u64);
        self.header.side_offset = U64::new(tables.end);
        self.header.total_len = U64::new(tables.end);
    }

    /// Gives a row another name and moves the names behind it.
    pub fn rename(&mut self, row: usize, name: &[u8]) {
        let start = self.rows[row].name_offset.get() as usize;
        let len = usize::from(self.rows[row].name_len.get());
        self.names.splice(start..start + len, name.iter().copied());
        self.rows[row].name_len = U16::new(u16::try_from(name.len()).expect("short"));
        for later in &mut self.rows[row + 1..] {
            let moved = later.name_offset.get() as usize + name.len() - len;
            later.name_offset = U32::new(u32::try_from(moved).expect("small"));
        }
        for row in 1..self.rows.len() {
            let parent = &self.rows[self.rows[row].parent.get() as usize];
            let name_len = usize::from(self.rows[row].name_len.get());
            let len = path_len(usize::from(parent.path_len.get()), name_len);
            self.rows[row].path_len = U16::new(u16::try_from(len).expect("short"));
        }
        self.settle();
    }

    /// Gives a row another node id and moves the ids behind it.
    pub fn reid(&mut self, row: usize, id: &[u8]) {
        let start = self.rows[row].id_offset.get() as usize;
        let len = usize::from(self.rows[row].id_len.get());
        self.ids.splice(start..start + len, id.iter().copied());
        self.rows[row].id_len = U16::new(u16::try_from(id.len()).expect("short"));
        for later in &mut self.rows[row + 1..] {
            let moved = later.id_offset.get() as usize + id.len() - len;
            later.id_offset = U32::new(u32::try_from(moved).expect("small"));
        }
        self.settle();
    }
}

/// Changes a good image and expects the refusal to say `why`.
#[track_caller]
pub fn refused(why: &str, forge: impl FnOnce(&mut Forgery)) {
    let mut forgery = Forgery::of(&image_of(&small_tree()));
    forge(&mut forgery);
    let bytes = forgery.bytes();
    let failure = ImageView::check(&bytes).expect_err("a forged image");
    assert!(failure.message.contains(why), "{failure}");
    walk_all(&ImageView::trusted(&bytes));
}

/// Asks a view for everything it has; for images that were never checked.
pub fn walk_all(view: &ImageView<'_>) {
    let rows = (0..view.node_count().min(64)).chain([u32::MAX]);
    for row in rows.map(Row) {
        let path = view.path(row);
        let found = [&b"b"[..], b"", b"zz"].map(|name| view.lookup(row, name));
        let node = view.row(row);
        let again = node.map(|node| view.lookup(node.parent, node.name));
        black_box((view.resolve(&path), view.node_id_c(row), found, again));
    }
}
