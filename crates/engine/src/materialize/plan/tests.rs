//! Planning against a model: random trees, random targets, every policy.

use std::collections::BTreeMap;
use std::rc::Rc;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use proptest::prelude::*;

use super::*;

/// A directory of a target that exists only here.
#[derive(Debug, Clone)]
enum Model {
    File(i128),
    Directory(Rc<BTreeMap<Vec<u8>, Model>>),
    Other,
}

impl Existing for Rc<BTreeMap<Vec<u8>, Model>> {
    fn look(&self, name: &[u8]) -> Result<Present> {
        Ok(match self.get(name) {
            None => Present::Nothing,
            Some(Model::File(mtime_nsec)) => Present::File {
                mtime_nsec: *mtime_nsec,
            },
            Some(Model::Directory(_)) => Present::Directory,
            Some(Model::Other) => Present::Other,
        })
    }

    fn enter(&self, name: &[u8]) -> Result<Self> {
        match self.get(name) {
            Some(Model::Directory(inside)) => Ok(Rc::clone(inside)),
            _ => panic!("entered {name:?}, which is no directory"),
        }
    }
}

const NAMES: [&str; 3] = ["a", "b.txt", "c"];

fn existing() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![(0i128..4).prop_map(Model::File), Just(Model::Other)];
    leaf.prop_recursive(3, 20, 3, |inner| {
        let names = prop::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec());
        prop::collection::btree_map(names, inner, 0..3)
            .prop_map(|inside| Model::Directory(Rc::new(inside)))
    })
}

/// Paths of a tree whose names are those the targets have, some of them twice.
fn tree() -> impl Strategy<Value = BTreeMap<String, bool>> {
    let name = || prop::sample::select(&NAMES[..]);
    let path = prop::collection::vec(name(), 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(path, any::<bool>(), 0..8)
}

fn build(tree: &BTreeMap<String, bool>) -> Vec<u8> {
    let mut builder = TreeBuilder::new(PathRule::Utf8);
    let attr = |size| NodeAttr {
        mode: 0o644,
        size,
        mtime_nsec: 2,
    };
    for (path, is_file) in tree {
        let parts: Vec<_> = path.split('/').collect();
        for depth in 1..parts.len() {
            // Those that are there already are refused, and files stay files.
            let _ = builder.add_dir(parts[..depth].join("/").as_bytes(), attr(0), b"d");
        }
        let _ = match is_file {
            true => builder.add_file(path.as_bytes(), attr(5), b"f"),
            false => builder.add_dir(path.as_bytes(), attr(0), b"d"),
        };
    }
    let mut image = Vec::new();
    builder.write_image(&mut image).unwrap();
    image
}

/// What the policy says about one node, in the plainest words.
fn expected(is_directory: bool, there: Option<&Model>, policy: ConflictPolicy) -> Action {
    use ConflictPolicy::{Newer, Overwrite, Skip};
    match (is_directory, there, policy) {
        (true, None, _) => Action::MakeDirectory,
        (false, None, _) => Action::CreateFile,
        (true, Some(Model::Directory(_)), _) => Action::ReuseDirectory,
        (_, Some(_), Skip) => Action::Skip,
        (false, Some(Model::File(_)), Overwrite) => Action::ReplaceFile,
        (false, Some(Model::File(mtime)), Newer) if *mtime < 2 => Action::ReplaceFile,
        (false, Some(Model::File(_)), Newer) => Action::Skip,
        _ => Action::Refuse,
    }
}

fn expect_below(
    view: &ImageView<'_>,
    row: Row,
    there: Option<&Model>,
    policy: ConflictPolicy,
    steps: &mut Vec<Step>,
) {
    let node = view.row(row).unwrap();
    let action = expected(node.kind == NodeKind::Directory, there, policy);
    steps.push(Step { row, action });
    if !matches!(action, Action::MakeDirectory | Action::ReuseDirectory) {
        return;
    }
    for child in view.children(row).map(Row) {
        let name = view.row(child).unwrap().name.to_vec();
        let below = match there {
            Some(Model::Directory(inside)) => inside.get(&name),
            _ => None,
        };
        expect_below(view, child, below, policy, steps);
    }
}

proptest! {
    #[test]
    fn every_node_gets_what_the_policy_says(
        tree in tree(),
        there in proptest::option::of(existing()),
        policy in prop::sample::select(ConflictPolicy::ALL),
    ) {
        let image = build(&tree);
        let view = ImageView::check(&image).unwrap();
        let source = view.row(Row(0)).unwrap();
        let inside = there.clone().map(|there| (b"promise-1".to_vec(), there));
        let target = Rc::new(inside.into_iter().collect::<BTreeMap<_, _>>());
        let planned = Root::plan(&source, b"promise-1", &target, policy);
        if policy == ConflictPolicy::Fail && there.is_some() {
            prop_assert_eq!(planned.unwrap_err().status, Status::AlreadyExists);
            return Ok(());
        }
        let planned = planned.unwrap();
        let renamed = policy == ConflictPolicy::Rename && there.is_some();
        let name = if renamed { "promise-1 (1)" } else { "promise-1" };
        prop_assert_eq!(&planned.name[..], name.as_bytes());
        let mut steps = Vec::new();
        let there = there.as_ref().filter(|_| !renamed);
        expect_below(&view, Row(0), there, policy, &mut steps);
        prop_assert_eq!(planned.steps(&view, &target, policy, || Ok(())).unwrap(), steps);
    }
}

#[test]
fn a_renamed_root_keeps_its_extension_and_its_length() {
    let numbered = |name: &str, kind, number| {
        String::from_utf8(super::numbered(name.as_bytes(), kind, number)).unwrap()
    };
    assert_eq!(numbered("a.txt", NodeKind::File, 1), "a (1).txt");
    assert_eq!(numbered("a.tar.gz", NodeKind::File, 2), "a.tar (2).gz");
    assert_eq!(numbered("plain", NodeKind::File, 3), "plain (3)");
    assert_eq!(numbered(".hidden", NodeKind::File, 1), ".hidden (1)");
    assert_eq!(numbered("dir.d", NodeKind::Directory, 1), "dir.d (1)");
    let long = numbered(&"ü".repeat(127), NodeKind::File, 12);
    assert!(long.len() <= 255 && long.ends_with(" (12)"), "{long}");
}

#[test]
fn the_first_free_number_is_taken() {
    let taken = ["f.txt", "f (1).txt", "f (2).txt"];
    let taken = taken.map(|name| (name.as_bytes().to_vec(), Model::File(0)));
    let target = Rc::new(BTreeMap::from(taken));
    let free = free_name(b"f.txt", NodeKind::File, &target).unwrap();
    assert_eq!(free, b"f (3).txt");
}

#[test]
fn a_job_that_is_cancelled_stops_looking_at_the_target() {
    let image = build(&BTreeMap::from([("a".to_owned(), true)]));
    let view = ImageView::check(&image).unwrap();
    let inside = Model::Directory(Rc::default());
    let target = Rc::new(BTreeMap::from([(b"promise-1".to_vec(), inside)]));
    let source = view.row(Row(0)).unwrap();
    let root = Root::plan(&source, b"promise-1", &target, ConflictPolicy::Overwrite).unwrap();
    let cancelled = || Err(Failure::cancelled("the job was cancelled"));
    let refused = root.steps(&view, &target, ConflictPolicy::Overwrite, cancelled);
    assert_eq!(refused.unwrap_err().status, Status::Cancelled);
}

#[test]
fn the_policy_rename_tries_so_many_names_and_says_so() {
    let mut present: BTreeMap<Vec<u8>, Model> = (1..limits::RENAMES_MAX)
        .map(|number| (format!("a ({number})").into_bytes(), Model::Other))
        .collect();
    let free = |target: &BTreeMap<Vec<u8>, Model>| {
        free_name(b"a", NodeKind::File, &Rc::new(target.clone()))
    };
    let last = format!("a ({})", limits::RENAMES_MAX).into_bytes();
    assert_eq!(free(&present).as_ref(), Ok(&last));
    present.insert(last, Model::Other);
    let refused = free(&present).unwrap_err();
    assert_eq!(refused.status, Status::AlreadyExists);
    let limit = limits::RENAMES_MAX.to_string();
    assert!(refused.message.contains("\"a\"") && refused.message.contains(&limit));
}
