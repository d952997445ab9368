use super::*;
use crate::image::ImageView;
use crate::image::tests::image_of;
use crate::limits::{NAME_LEN_MAX, PATH_LEN_MAX};
use crate::status::Status;

const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 3,
    mtime_nsec: 0,
};
const DIR: NodeAttr = NodeAttr { size: 0, ..FILE };

fn tree() -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    tree.add_dir(b"d", DIR, b"dir").expect("a good node");
    tree.add_file(b"d/f", FILE, b"file").expect("a good node");
    tree
}

/// The refusal says how much was given and how much there may be.
#[track_caller]
fn names_both(refused: &Failure, value: u64, limit: u64) {
    let named = |number: u64| refused.message.contains(&number.to_string());
    assert!(named(value) && named(limit), "{refused}");
}

/// Adds a file that must be refused, and finds the tree as it was.
fn refusal(path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Failure {
    let mut tree = tree();
    let before = image_of(&tree);
    let refused = tree.add_file(path, attr, node_id).unwrap_err();
    assert_eq!(image_of(&tree), before, "a refusal changes nothing");
    refused
}

#[test]
fn a_parent_must_have_been_added_as_a_directory() {
    for path in [&b"x/f"[..], b"d/x/f", b"d/f/g"] {
        let refused = refusal(path, FILE, b"id");
        assert_eq!(refused.status, Status::NotFound, "{refused}");
    }
    let refused = refusal(b"d/f/g", FILE, b"id");
    assert!(refused.message.contains("\"d/f\""), "{refused}");
}

#[test]
fn a_path_is_added_once_in_any_spelling() {
    for path in [&b"d/f"[..], b"./d//f", b"d", b"d/"] {
        let refused = refusal(path, FILE, b"id");
        assert_eq!(refused.status, Status::AlreadyExists, "{refused}");
    }
    let mut tree = tree();
    let refused = tree.add_dir(b"d/f", DIR, b"id").unwrap_err();
    assert_eq!(refused.status, Status::AlreadyExists);
}

#[test]
fn paths_attributes_and_ids_are_checked() {
    let long_name = [b'n'; NAME_LEN_MAX + 1];
    for path in [&b""[..], b"/f", b"../f", b".", b"g\0", b"\xff", &long_name] {
        let refused = refusal(path, FILE, b"id");
        assert_eq!(refused.status, Status::InvalidArgument, "{path:?}");
    }
    for attr in [
        NodeAttr {
            mode: 0o100_644,
            ..FILE
        },
        NodeAttr {
            size: 1 << 63,
            ..FILE
        },
        NodeAttr {
            mtime_nsec: -1,
            ..FILE
        },
    ] {
        let refused = refusal(b"g", attr, b"id");
        assert_eq!(refused.status, Status::InvalidArgument, "{attr:?}");
        assert!(refused.message.starts_with("\"g\": "), "{refused}");
    }
    for node_id in [&b""[..], b"a\0b", &[b'i'; NODE_ID_LEN_MAX + 1]] {
        let refused = refusal(b"g", FILE, node_id);
        assert_eq!(refused.status, Status::InvalidArgument);
        names_both(&refused, node_id.len() as u64, NODE_ID_LEN_MAX as u64);
    }
    let refused = tree().add_dir(b"g", FILE, b"id").unwrap_err();
    assert_eq!(refused.status, Status::InvalidArgument, "a size");
}

#[test]
fn the_longest_names_paths_and_ids_are_accepted() {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let name = [b'n'; NAME_LEN_MAX];
    let id = [b'i'; NODE_ID_LEN_MAX];
    let mut path = name.to_vec();
    tree.add_dir(&path, DIR, &id).expect("a good node");
    while path.len() + 1 + NAME_LEN_MAX <= PATH_LEN_MAX {
        path.push(b'/');
        path.extend_from_slice(&name);
        tree.add_dir(&path, DIR, &id).expect("a good node");
    }
    assert_eq!(path.len(), PATH_LEN_MAX - 1);
    // The longest path has a short name in it, and all others are the longest or nearly so.
    let mut longest = b"a".to_vec();
    tree.add_dir(&longest, DIR, &id).expect("a good node");
    for len in [[NAME_LEN_MAX; 15].as_slice(), &[NAME_LEN_MAX - 1]].concat() {
        longest.push(b'/');
        longest.extend_from_slice(&name[..len]);
        tree.add_dir(&longest, DIR, &id).expect("a good node");
    }
    assert_eq!(longest.len(), PATH_LEN_MAX);
    let bytes = image_of(&tree);
    let view = ImageView::check(&bytes).expect("a good image");
    for path in [path, longest] {
        let row = view.resolve(&path).expect("it was added");
        assert_eq!(view.row(row).expect("a row").node_id, id);
        assert_eq!(view.path(row), path);
    }
}

#[test]
fn a_builder_goes_on_after_an_image_was_written() {
    let mut tree = tree();
    assert_eq!(tree.len(), 2);
    let first = image_of(&tree);
    assert_eq!(first, image_of(&tree), "writing changes nothing");
    tree.add_file(b"g", FILE, b"id").expect("a good node");
    assert_eq!(tree.len(), 3);
    let second = image_of(&tree);
    assert!(ImageView::check(&second).is_ok());
    assert_ne!(first, second);
}

#[test]
fn byte_names_need_the_rule_and_do_not_show_without_need() {
    let mut tree = TreeBuilder::new(PathRule::Bytes);
    tree.add_file(b"utf-8", FILE, b"id").expect("a good node");
    let plain = image_of(&tree);
    let mut other = TreeBuilder::new(PathRule::Utf8);
    other.add_file(b"utf-8", FILE, b"id").expect("a good node");
    assert_eq!(plain, image_of(&other));
    // Two names that are UTF-8 only when taken together.
    tree.add_file(b"a\xc3", FILE, b"id").expect("a good node");
    tree.add_file(b"\xa9", FILE, b"id").expect("a good node");
    assert!(tree.has_byte_names());
    assert!(ImageView::check(&image_of(&tree)).is_ok());
}

#[test]
fn a_full_builder_is_unavailable() {
    assert_eq!(room_for(10, IMAGE_LEN_MAX - 100, 100), Ok(()));
    let too_long = room_for(10, IMAGE_LEN_MAX - 100, 101).unwrap_err();
    assert_eq!(too_long.status, Status::Unavailable);
    names_both(&too_long, IMAGE_LEN_MAX + 1, IMAGE_LEN_MAX);
    assert_eq!(room_for(NODES_MAX as usize - 1, 1000, 100), Ok(()));
    let too_many = room_for(NODES_MAX as usize, 1000, 100).unwrap_err();
    assert_eq!(too_many.status, Status::Unavailable);
    names_both(&too_many, u64::from(NODES_MAX), u64::from(NODES_MAX));
}
