//! A hundred thousand files are an ordinary promise.

use std::fs;
use std::time::Duration;

use fuse_promise_testkit::fixture::check::{assert_attributes, assert_content};
use fuse_promise_testkit::process::run;
use fuse_promise_testkit::{Tree, both_shapes};

const IN_ONE_DIRECTORY: usize = 50_000;
const DIRECTORIES: usize = 50;
const IN_EACH: usize = 1_000;
const FILES: usize = IN_ONE_DIRECTORY + DIRECTORIES * IN_EACH;
/// The directories' parents, and the promise's own.
const FOLDERS: usize = DIRECTORIES + 3;

fn tree() -> Tree {
    let mut tree = Tree::new().files("flat/f", IN_ONE_DIRECTORY, 3);
    for number in 0..DIRECTORIES {
        tree = tree.files(&format!("deep/d{number}/f"), IN_EACH, 5);
    }
    tree
}

both_shapes! {
    fn a_hundred_thousand_files_are_committed_and_listed(session) {
        session.allow(Duration::from_secs(180));
        let tree = tree();
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        let lines = |words: &[&str]| {
            let mut command = session.command("sh");
            let mut script = words.join(" ");
            script.push_str(" | wc -l");
            command.args(["-c", &script, "sh"]).arg(&promise.path);
            run(&mut command).ok().trim().parse::<usize>().unwrap()
        };
        assert_eq!(lines(&["find \"$1\" -type f -size 1"]), FILES);
        assert_eq!(lines(&["find \"$1\" -type d"]), FOLDERS);
        assert_eq!(lines(&["ls -l \"$1/flat\""]), IN_ONE_DIRECTORY + 1);
        assert_eq!(fs::read_dir(promise.join("flat")).unwrap().count(), IN_ONE_DIRECTORY);
        let listed = session.fpctl(&["list"]).ok();
        let nodes = listed.lines().filter(|line| line.starts_with("node "));
        assert_eq!(nodes.count(), FILES + FOLDERS);
        for node in tree.file_nodes().step_by(997) {
            assert_attributes(&promise.join(&node.path), node);
            assert_content(&promise.join(&node.path), node);
        }
        provider.unregister();
        assert_eq!(fs::read_dir(session.mount()).unwrap().count(), 0);
    }
}
