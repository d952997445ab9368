//! A tree's names, laid out to be found fast: the children of a directory lie side by side, sorted,
//! so that a listing walks along them and a lookup halves them. Built once; never changed.

use std::collections::HashMap;
use std::ops::Range;

use super::shape::Shape;

pub struct Node {
    pub name: Box<str>,
    pub parent: usize,
    pub kind: Kind,
}

pub enum Kind {
    File { size: u64 },
    Directory { children: Range<usize> },
}

/// The root is the node 0.
pub struct Table {
    nodes: Vec<Node>,
}

/// A directory's entry before it has its place: its name, and what it is.
enum Entry<'a> {
    File(&'a str, u64),
    Directory(&'a str, &'a str),
}

impl<'a> Entry<'a> {
    fn name(&self) -> &'a str {
        match self {
            Self::File(name, _) | Self::Directory(name, _) => name,
        }
    }
}

impl Table {
    pub fn new(shape: &Shape) -> Self {
        let mut entries: HashMap<&str, Vec<Entry<'_>>> = HashMap::new();
        for path in &shape.directories {
            let (parent, name) = split(path);
            let entry = Entry::Directory(name, path);
            entries.entry(parent).or_default().push(entry);
        }
        for file in &shape.files {
            let (parent, name) = split(&file.path);
            let entry = Entry::File(name, file.size);
            entries.entry(parent).or_default().push(entry);
        }
        let root = Node {
            name: "".into(),
            parent: 0,
            kind: Kind::Directory { children: 0..0 },
        };
        let mut nodes = vec![root];
        let mut unlisted = vec![(0, "")];
        while let Some((directory, path)) = unlisted.pop() {
            let mut children = entries.remove(path).unwrap_or_default();
            children.sort_unstable_by_key(Entry::name);
            let first = nodes.len();
            for entry in children {
                let kind = match entry {
                    Entry::File(_, size) => Kind::File { size },
                    Entry::Directory(_, path) => {
                        unlisted.push((nodes.len(), path));
                        Kind::Directory { children: 0..0 }
                    }
                };
                nodes.push(Node {
                    name: entry.name().into(),
                    parent: directory,
                    kind,
                });
            }
            let children = first..nodes.len();
            nodes[directory].kind = Kind::Directory { children };
        }
        Self { nodes }
    }

    pub fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)
    }

    /// The numbers of a directory's children; none if it is no directory.
    pub fn children(&self, directory: usize) -> Option<Range<usize>> {
        match &self.nodes.get(directory)?.kind {
            Kind::Directory { children } => Some(children.clone()),
            Kind::File { .. } => None,
        }
    }

    pub fn child(&self, directory: usize, name: &str) -> Option<usize> {
        let children = self.children(directory)?;
        let sorted = &self.nodes[children.clone()];
        let found = sorted.binary_search_by(|node| (*node.name).cmp(name));
        found.ok().map(|index| children.start + index)
    }
}

/// A path's directory, empty for the tree's own, and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
