//! Copies out of a session's mount with `fpctl materialize`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use fuse_promise_testkit::process::{Process, Ran, run};
use fuse_promise_testkit::{Session, programs};

/// A new directory of the session.
pub fn target(session: &Session) -> PathBuf {
    let target = session.dirs().root().join("target");
    std::fs::create_dir(&target).expect("a target directory");
    target
}

/// Copies to the end.
pub fn copy(session: &Session, flags: &[&str], source: &Path, target: &Path) -> Ran {
    run(&mut command(session, flags, source, target))
}

/// Begins a copy, which may outlive the test's interest in it.
pub fn begin(session: &Session, flags: &[&str], source: &Path, target: &Path) -> Process {
    let command = command(session, flags, source, target);
    Process::spawn(command, &session.dirs().log("fpctl-materialize"))
}

fn command(session: &Session, flags: &[&str], source: &Path, target: &Path) -> Command {
    let mut command = session.command(programs::program("fpctl"));
    command.arg("materialize").args(flags);
    command.arg(source).arg(target);
    command
}

/// Every name below a directory, relative to it. What a copy left half-done
/// would be among them.
pub fn names(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.symlink_metadata().expect("its kind").is_dir() {
                open.push(path.clone());
            }
            let relative = path.strip_prefix(directory).expect("a path below");
            found.insert(relative.to_string_lossy().into_owned());
        }
    }
    found
}

/// The same as a list of words.
pub fn named<const COUNT: usize>(names: [&str; COUNT]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}
