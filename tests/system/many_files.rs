//! A hundred thousand files are an ordinary promise.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fuse_promise_core::{NodeAttr, NodeKind, Record};
use fuse_promise_testkit::fixture::check::{assert_attributes, assert_content};
use fuse_promise_testkit::fixture::tree::TreeNode;
use fuse_promise_testkit::process::run;
use fuse_promise_testkit::{ProviderProcess, Session, both_shapes};

const IN_ONE_DIRECTORY: usize = 50_000;
const DIRECTORIES: usize = 50;
const IN_EACH: usize = 1_000;
const FILES: usize = IN_ONE_DIRECTORY + DIRECTORIES * IN_EACH;
/// Two at the top, and the promise's own.
const FOLDERS: usize = DIRECTORIES + 3;

fn node(path: String, kind: NodeKind) -> TreeNode {
    let is_file = kind == NodeKind::File;
    TreeNode {
        node_id: path.clone(),
        path,
        kind,
        attr: NodeAttr {
            mode: if is_file { 0o640 } else { 0o755 },
            size: if is_file { 5 } else { 0 },
            mtime_nsec: 1_000_000_007,
        },
    }
}

/// Directories before what is in them.
fn nodes() -> Vec<TreeNode> {
    let directory = |path: String| node(path, NodeKind::Directory);
    let file = |path: String| node(path, NodeKind::File);
    let mut nodes = vec![directory("flat".into()), directory("deep".into())];
    nodes.extend((0..IN_ONE_DIRECTORY).map(|number| file(format!("flat/file-{number}"))));
    for number in 0..DIRECTORIES {
        let folder = format!("deep/{number}");
        nodes.extend((0..IN_EACH).map(|number| file(format!("{folder}/{number}"))));
        nodes.insert(2, directory(folder));
    }
    nodes
}

fn publish(provider: &mut ProviderProcess, nodes: &[TreeNode]) {
    provider.ask(&Record::new("begin")).unwrap();
    for node in nodes {
        let word = if node.kind == NodeKind::File {
            "file"
        } else {
            "dir"
        };
        let addition = Record::new(word)
            .field("path", &node.path)
            .field("mode", node.attr.mode)
            .field("size", node.attr.size)
            .field("mtime_nsec", node.attr.mtime_nsec)
            .field("id", &node.node_id);
        provider.ask(&addition).unwrap();
    }
    provider.ask(&Record::new("commit")).unwrap();
}

/// How many lines a command prints about the folder it has as $1.
fn lines(session: &Session, script: &str, folder: &Path) -> usize {
    let mut command = session.command("sh");
    command.args(["-ec", script, "sh"]).arg(folder);
    run(&mut command).ok().lines().count()
}

both_shapes! {
    fn a_hundred_thousand_files_are_committed_and_listed(session) {
        session.allow(Duration::from_secs(180));
        let nodes = nodes();
        let mut provider = session.provider();
        publish(&mut provider, &nodes);
        let promise = session.promised("promise-1");
        assert_eq!(lines(&session, "find \"$1\" -type f -size 1 -perm 640", &promise), FILES);
        assert_eq!(lines(&session, "find \"$1\" -type d", &promise), FOLDERS);
        assert_eq!(lines(&session, "ls -l \"$1/flat\"", &promise), IN_ONE_DIRECTORY + 1);
        let flat = fs::read_dir(promise.join("flat")).unwrap();
        assert_eq!(flat.count(), IN_ONE_DIRECTORY);
        let listed = session.fpctl(&["list"]).ok();
        let listed = listed.lines().filter(|line| line.starts_with("node "));
        // All but the directory of the promise, which has a line of its own.
        assert_eq!(listed.count(), FILES + FOLDERS - 1);
        for node in nodes.iter().skip(DIRECTORIES + 2).step_by(997) {
            assert_attributes(&promise.join(&node.path), node);
            assert_content(&promise.join(&node.path), node);
        }
        provider.unregister();
        assert_eq!(fs::read_dir(session.mount()).unwrap().count(), 0);
    }
}
