//! Putting a tree together, node by node.
//!
//! Nodes are kept in the order they were added, their names and ids in two long buffers, and found
//! again through a table of numbers keyed by parent and name, so that no name is kept twice and no
//! node costs an allocation. The table has half of each hash beside the number: most names that
//! differ are told apart without a look at them, and none is looked at when the table grows. A node
//! that is refused leaves the builder as it was.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;

use crate::attr::{NodeAttr, NodeKind};
use crate::failure::{Failure, Result};
use crate::image::layout::{HEADER_LEN, ROW_LEN, path_len};
use crate::limits::{IMAGE_LEN_MAX, NODE_ID_LEN_MAX, NODES_MAX};
use crate::path::{PathRule, RelativePath, normalize};

/// A tree that is not committed yet. It always has the promise's own directory.
#[derive(Debug)]
pub struct TreeBuilder {
    rule: PathRule,
    pub(super) nodes: Vec<Entry>,
    /// Each name and each id has a NUL behind it, as in the image.
    names: Vec<u8>,
    ids: Vec<u8>,
    by_name: HashTable<Place>,
    hasher: RandomState,
    /// The directory of the node that was added last, which is likely to be the next one's.
    last_directory: Directory,
}

/// A directory that was found.
#[derive(Debug)]
struct Directory {
    path: Vec<u8>,
    number: u32,
}

/// A node in the order of adding; its numbers are those of the builder, not rows.
#[derive(Debug)]
pub(super) struct Entry {
    pub parent: u32,
    name_at: u32,
    id_at: u32,
    pub name_len: u16,
    pub id_len: u16,
    pub path_len: u16,
    pub kind: NodeKind,
    pub attr: NodeAttr,
}

/// Where a node stands in the table.
#[derive(Debug)]
struct Place {
    number: u32,
    hash: u32,
}

const ROOT: u32 = 0;

impl TreeBuilder {
    #[must_use]
    pub fn new(rule: PathRule) -> Self {
        let root = Entry {
            parent: ROOT,
            name_at: 0,
            id_at: 0,
            name_len: 0,
            id_len: 0,
            path_len: 0,
            kind: NodeKind::Directory,
            attr: NodeAttr::ROOT,
        };
        Self {
            rule,
            nodes: vec![root],
            names: vec![0],
            ids: vec![0],
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            last_directory: Directory {
                path: Vec::new(),
                number: ROOT,
            },
        }
    }

    pub fn add_dir(&mut self, path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Result<()> {
        self.add(NodeKind::Directory, path, attr, node_id)
    }

    pub fn add_file(&mut self, path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Result<()> {
        self.add(NodeKind::File, path, attr, node_id)
    }

    /// The nodes added, without the promise's own directory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the image would be now.
    #[must_use]
    pub fn image_len(&self) -> u64 {
        let rows = HEADER_LEN + self.nodes.len() * ROW_LEN;
        (rows + self.names.len() + self.ids.len()) as u64
    }

    fn add(&mut self, kind: NodeKind, path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Result<()> {
        let path = normalize(path, self.rule)?;
        let (entry, hash) = self
            .admit(kind, &path, attr, node_id)
            .map_err(|failure| failure.context(&shown(path.as_bytes())))?;
        if self.last_directory.path != path.parent() {
            self.last_directory = Directory {
                path: path.parent().to_vec(),
                number: entry.parent,
            };
        }
        let number = u32::try_from(self.nodes.len()).expect("fewer than NODES_MAX nodes");
        for (text, table) in [(path.name(), &mut self.names), (node_id, &mut self.ids)] {
            table.extend_from_slice(text);
            table.push(0);
        }
        self.nodes.push(entry);
        let place = Place { number, hash };
        self.by_name
            .insert_unique(spread(hash), place, |place| spread(place.hash));
        Ok(())
    }

    /// The entry for a node that may be added, and the hash to find it by; changes nothing.
    fn admit(
        &self,
        kind: NodeKind,
        path: &RelativePath<'_>,
        attr: NodeAttr,
        node_id: &[u8],
    ) -> Result<(Entry, u32)> {
        attr.check(kind)?;
        if node_id.is_empty() || node_id.contains(&0) || node_id.len() > NODE_ID_LEN_MAX {
            return Err(Failure::invalid(format!(
                "a node id must have 1 to {NODE_ID_LEN_MAX} bytes, none of them NUL; this one has {}",
                node_id.len()
            )));
        }
        let parent = self.directory(path.parent())?;
        let hash = self.hash(parent, path.name());
        if self.find(hash, parent, path.name()).is_some() {
            return Err(Failure::already_exists("this path was added before"));
        }
        let growth = ROW_LEN + path.name().len() + 1 + node_id.len() + 1;
        room_for(self.nodes.len(), self.image_len(), growth as u64)?;
        let parent_path_len = usize::from(self.nodes[parent as usize].path_len);
        let entry = Entry {
            parent,
            name_at: small(self.names.len()),
            id_at: small(self.ids.len()),
            name_len: small(path.name().len()),
            id_len: small(node_id.len()),
            path_len: small(path_len(parent_path_len, path.name().len())),
            kind,
            attr,
        };
        Ok((entry, hash))
    }

    /// The number of the directory at a normalized path, which may be the empty one.
    fn directory(&self, path: &[u8]) -> Result<u32> {
        if path == self.last_directory.path {
            return Ok(self.last_directory.number);
        }
        if path.is_empty() {
            return Ok(ROOT);
        }
        let found = path
            .split(|byte| *byte == b'/')
            .try_fold(ROOT, |parent, name| {
                self.find(self.hash(parent, name), parent, name)
            });
        match found {
            Some(number) if self.nodes[number as usize].kind == NodeKind::Directory => Ok(number),
            Some(_) => Err(Failure::not_found(format!(
                "{} was added as a file, not as a directory",
                shown(path)
            ))),
            None => Err(Failure::not_found(format!(
                "add its directory {} first",
                shown(path)
            ))),
        }
    }

    fn find(&self, hash: u32, parent: u32, name: &[u8]) -> Option<u32> {
        let found = self.by_name.find(spread(hash), |place| {
            let entry = || &self.nodes[place.number as usize];
            place.hash == hash && entry().parent == parent && self.name(entry()) == name
        });
        found.map(|place| place.number)
    }

    /// Keyed, since names may come from strangers. The parent's number is ours, so it need not go
    /// through the hasher: to be another number is enough.
    fn hash(&self, parent: u32, name: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        let hash = hasher.finish().wrapping_add(spread(parent));
        (hash >> 32) as u32
    }

    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        text(&self.names, entry.name_at, entry.name_len)
    }

    pub(super) fn node_id(&self, entry: &Entry) -> &[u8] {
        text(&self.ids, entry.id_at, entry.id_len)
    }

    pub(super) fn names_len(&self) -> u64 {
        self.names.len() as u64
    }

    pub(super) fn ids_len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Whether there is a name that is not UTF-8. (NUL and the like are UTF-8, and no character
    /// reaches over them, so all names are UTF-8 exactly if the whole buffer is.)
    pub(super) fn has_byte_names(&self) -> bool {
        self.rule == PathRule::Bytes && std::str::from_utf8(&self.names).is_err()
    }
}

/// Whether an image of so many nodes and bytes can take one more node.
fn room_for(nodes: usize, image_len: u64, growth: u64) -> Result<()> {
    let full = |why: &str| {
        Err(Failure::unavailable(format!(
            "the promise is full: {why}; commit what there is and begin another"
        )))
    };
    if nodes >= NODES_MAX as usize {
        return full(&format!(
            "it has {nodes} nodes, and {NODES_MAX} is the limit"
        ));
    }
    let grown = image_len + growth;
    if grown > IMAGE_LEN_MAX {
        return full(&format!(
            "with one more node than its {nodes} its image would have {grown} bytes, and \
             {IMAGE_LEN_MAX} is the limit"
        ));
    }
    Ok(())
}

/// A number in all 64 bits, as a table wants a hash to be: multiplied by the golden ratio.
fn spread(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn text(table: &[u8], at: u32, len: u16) -> &[u8] {
    let start = at as usize;
    &table[start..start + usize::from(len)]
}

fn shown(path: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(path))
}

/// A length that the limits keep small.
fn small<T: TryFrom<usize, Error: std::fmt::Debug>>(len: usize) -> T {
    T::try_from(len).expect("the limits keep lengths and offsets small")
}

#[cfg(test)]
mod tests;
