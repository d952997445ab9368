//! Random trees, built, checked and read back, against a map of paths.

use super::*;
use crate::attr::{NodeAttr, NodeKind};
use crate::ids::Row;
use crate::path::PathRule;
use crate::status::Status;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the provider meant, by path.
type Model = BTreeMap<Vec<u8>, ModelNode>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelNode {
    kind: NodeKind,
    attr: NodeAttr,
    node_id: Vec<u8>,
}

fn parent_and_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// What adding this node must come to, and the model with it.
fn add_to_model(model: &mut Model, path: &[u8], node: ModelNode) -> Status {
    let (parent, _) = parent_and_name(path);
    let parent_is_there = parent.is_empty()
        || model
            .get(parent)
            .is_some_and(|parent| parent.kind == NodeKind::Directory);
    if !parent_is_there {
        return Status::NotFound;
    }
    if model.contains_key(path) {
        return Status::AlreadyExists;
    }
    model.insert(path.to_vec(), node);
    Status::Ok
}

fn add_to_builder(tree: &mut TreeBuilder, path: &[u8], node: &ModelNode) -> Status {
    let added = match node.kind {
        NodeKind::Directory => tree.add_dir(path, node.attr, &node.node_id),
        _ => tree.add_file(path, node.attr, &node.node_id),
    };
    added.map_or_else(|failure| failure.status, |()| Status::Ok)
}

pub(super) fn image_of(tree: &TreeBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    tree.write_image(&mut bytes).expect("memory takes it all");
    assert_eq!(bytes.len() as u64, tree.image_len());
    bytes
}

/// A tree with the nodes that a view shows.
pub(super) fn rebuilt(view: &ImageView<'_>) -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Bytes);
    for row in 1..view.node_count() {
        let node = view.row(Row(row)).expect("within the count");
        let path = view.path(Row(row));
        let model = ModelNode {
            kind: node.kind,
            attr: node.attr,
            node_id: node.node_id.to_vec(),
        };
        assert_eq!(add_to_builder(&mut tree, &path, &model), Status::Ok);
    }
    tree
}

/// Names of which some begin like others, with bytes on both sides of `/`.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[ab][-.0a]{0,2}".prop_map(String::into_bytes),
        1 => Just(b"\xff\xfe".to_vec()),
        1 => Just("\u{e9}".as_bytes().to_vec()),
    ]
}

fn any_node() -> impl Strategy<Value = ModelNode> {
    let attr = (0..=0o7777_u32, 0..=i64::MAX as u64, 0..=i64::MAX);
    (any::<bool>(), attr, "[a-z]{1,4}").prop_map(|(is_dir, (mode, size, mtime_nsec), id)| {
        let (kind, size) = match is_dir {
            true => (NodeKind::Directory, 0),
            false => (NodeKind::File, size),
        };
        ModelNode {
            kind,
            attr: NodeAttr {
                mode,
                size,
                mtime_nsec,
            },
            node_id: id.into_bytes(),
        }
    })
}

/// Nodes to add below directories that are mostly there: the number picks one of the paths so far.
fn any_additions() -> impl Strategy<Value = Vec<(usize, Vec<u8>, ModelNode)>> {
    proptest::collection::vec((any::<usize>(), any_name(), any_node()), 0..60)
}

fn build(additions: Vec<(usize, Vec<u8>, ModelNode)>) -> (TreeBuilder, Model) {
    let mut tree = TreeBuilder::new(PathRule::Bytes);
    let mut model = Model::new();
    let mut paths = vec![Vec::new()];
    for (pick, name, node) in additions {
        let parent: &[u8] = &paths[pick % paths.len()];
        let path = match parent.is_empty() {
            true => name,
            false => [parent, &name].join(&b'/'),
        };
        let expected = add_to_model(&mut model, &path, node.clone());
        assert_eq!(
            add_to_builder(&mut tree, &path, &node),
            expected,
            "{path:?}"
        );
        paths.push(path);
    }
    assert_eq!(tree.len(), model.len());
    (tree, model)
}

/// The names in a directory and which of them are directories.
fn children_in_model(model: &Model, directory: &[u8]) -> BTreeMap<Vec<u8>, NodeKind> {
    model
        .iter()
        .map(|(path, node)| (parent_and_name(path), node.kind))
        .filter(|((parent, _), _)| *parent == directory)
        .map(|((_, name), kind)| (name.to_vec(), kind))
        .collect()
}

fn assert_shows(view: &ImageView<'_>, model: &Model) {
    let files = model.values().filter(|node| node.kind == NodeKind::File);
    let total = files
        .clone()
        .fold(0_u64, |sum, file| sum.saturating_add(file.attr.size));
    assert_eq!(view.node_count() as usize, model.len() + 1);
    assert_eq!(view.file_count() as usize, files.count());
    assert_eq!(view.total_size(), total);
    assert_eq!(view.resolve(b""), Some(Row::ROOT));

    let mut rows = BTreeSet::from([Row::ROOT]);
    for (path, expected) in model {
        let row = view.resolve(path).expect("every node is found");
        assert!(rows.insert(row), "each in a row of its own");
        let (parent, name) = parent_and_name(path);
        let node = view.row(row).expect("within the count");
        assert_eq!((node.row, node.name), (row, name));
        assert_eq!(Some(node.parent), view.resolve(parent));
        assert_eq!((node.kind, node.attr), (expected.kind, expected.attr));
        assert_eq!(node.node_id, expected.node_id);
        let in_place = view.node_id_c(row).expect("with its NUL");
        assert_eq!(in_place.to_bytes(), expected.node_id);
        assert_eq!(view.path(row), *path);
        assert_eq!(view.lookup(node.parent, name), Some(row));
    }
    for row in rows {
        assert_lists(view, model, row);
    }
}

/// The children of a row are those of the model, in the order of their names.
fn assert_lists(view: &ImageView<'_>, model: &Model, row: Row) {
    let node = view.row(row).expect("within the count");
    let expected = children_in_model(model, &view.path(row));
    let listed: Vec<Vec<u8>> = view
        .children(row)
        .map(|child| view.row(Row(child)).expect("within the count"))
        .inspect(|child| assert_eq!(child.parent, row))
        .map(|child| child.name.to_vec())
        .collect();
    assert_eq!(node.children, view.children(row));
    assert_eq!(listed, expected.keys().cloned().collect::<Vec<_>>());
    let subdirs = expected
        .values()
        .filter(|kind| **kind == NodeKind::Directory)
        .count();
    let nlink = match node.kind {
        NodeKind::Directory => 2 + u32::try_from(subdirs).expect("few"),
        _ => 1,
    };
    assert_eq!(node.nlink, nlink);
    for absent in [&b"absent"[..], b"", b".", b"..", b"a/b"] {
        assert_eq!(view.lookup(row, absent), None);
    }
}

proptest! {
    #[test]
    fn an_image_shows_the_tree_that_was_built(additions in any_additions()) {
        let (tree, model) = build(additions);
        let bytes = image_of(&tree);
        let checked = ImageView::check(&bytes).expect("a good image");
        assert_shows(&checked, &model);
        assert_shows(&ImageView::trusted(&bytes), &model);
    }

    #[test]
    fn a_tree_has_one_image_whatever_the_order_of_adding(additions in any_additions()) {
        let (tree, model) = build(additions);
        let bytes = image_of(&tree);
        // The map's order is another one: parents first, then by path.
        let mut in_map_order = TreeBuilder::new(PathRule::Bytes);
        for (path, node) in &model {
            prop_assert_eq!(add_to_builder(&mut in_map_order, path, node), Status::Ok);
        }
        prop_assert_eq!(&image_of(&in_map_order), &bytes);
        let view = ImageView::check(&bytes).expect("a good image");
        prop_assert_eq!(&image_of(&rebuilt(&view)), &bytes);
    }

    #[test]
    fn an_image_is_read_wherever_it_begins(additions in any_additions(), shift in 0..8_usize) {
        let (tree, model) = build(additions);
        let mut bytes = vec![0; shift];
        tree.write_image(&mut bytes).expect("memory takes it all");
        let checked = ImageView::check(&bytes[shift..]).expect("a good image");
        assert_shows(&checked, &model);
    }
}

#[test]
fn an_empty_tree_is_one_directory() {
    let bytes = image_of(&TreeBuilder::new(PathRule::Utf8));
    let view = ImageView::check(&bytes).expect("a good image");
    assert_shows(&view, &Model::new());
    let root = view.row(Row::ROOT).expect("always there");
    assert_eq!(root.attr, NodeAttr::ROOT);
    assert_eq!(
        (root.name, root.node_id, root.nlink),
        (&b""[..], &b""[..], 2)
    );
    assert_eq!(view.row(Row(1)), None);
    assert_eq!(view.path(Row(1)), b"");
    assert_eq!(view.children(Row(1)), 0..0);
}

#[test]
fn a_deep_tree_and_a_wide_directory_are_ordinary() {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let dir = NodeAttr::ROOT;
    let mut path = Vec::new();
    while path.len() + 2 <= crate::limits::PATH_LEN_MAX {
        path.extend_from_slice(if path.is_empty() { b"d" } else { b"/d" });
        tree.add_dir(&path, dir, b"id").expect("a good node");
    }
    for number in 0..10_000 {
        let name = format!("file-{number}");
        tree.add_file(name.as_bytes(), NodeAttr::default(), name.as_bytes())
            .expect("a good node");
    }
    let bytes = image_of(&tree);
    let view = ImageView::check(&bytes).expect("a good image");
    let deepest = view.resolve(&path).expect("it was added");
    assert_eq!(view.path(deepest), path);
    for number in 0..10_000 {
        let name = format!("file-{number}");
        let row = view.lookup(Row::ROOT, name.as_bytes()).expect("added");
        assert_eq!(view.row(row).expect("a row").node_id, name.as_bytes());
    }
    assert_eq!(view.lookup(Row::ROOT, b"file-10000"), None);
}

#[test]
fn sizes_that_no_sum_can_hold_saturate() {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let largest = NodeAttr {
        size: i64::MAX as u64,
        ..NodeAttr::default()
    };
    for name in [b"a", b"b", b"c"] {
        tree.add_file(name, largest, b"id").expect("a good node");
    }
    let bytes = image_of(&tree);
    let view = ImageView::check(&bytes).expect("a good image");
    assert_eq!(view.total_size(), u64::MAX);
}
