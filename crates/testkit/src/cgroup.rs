//! Control groups for a private service manager.
//!
//! `systemd --user` wants a control group of its own that it may divide. Root
//! has prepared one for the user who runs the tests and started them in its
//! child `runner`; each session takes a sibling of that. Needed are the
//! hierarchy in which systemd keeps its units: the unified one, and on
//! machines with both kinds also the old one named `systemd`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mounts;

/// The child in which root starts the tests.
pub const RUNNER: &str = "runner";

/// One group in every hierarchy that counts; removed when dropped.
#[derive(Debug)]
pub struct ControlGroup {
    folders: Vec<PathBuf>,
}

impl ControlGroup {
    /// A new group beside the one this process was started in.
    pub fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let parents = prepared();
        assert!(
            !parents.is_empty(),
            "no control group was prepared for these tests: run them by `cargo xtask test system`"
        );
        let name = format!(
            "session-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let folders: Vec<PathBuf> = parents.iter().map(|parent| parent.join(&name)).collect();
        for folder in &folders {
            std::fs::create_dir(folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
        Self { folders }
    }

    /// A command that runs `program` inside the group from its first moment.
    pub fn command(&self, program: &OsStr) -> Command {
        let mut script = String::new();
        for index in 1..=self.folders.len() {
            script.push_str(&format!(
                "echo $$ >\"${{{index}}}/cgroup.procs\" || exit 1\n"
            ));
        }
        script.push_str(&format!("shift {}\nexec \"$@\"", self.folders.len()));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh"]).args(&self.folders);
        command.arg(program);
        command
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            remove(folder);
        }
    }
}

/// Removes a group and its children; what still holds a process stays.
fn remove(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}

/// Where the hierarchies are mounted in which systemd keeps its units.
pub fn hierarchies() -> Vec<PathBuf> {
    mounts::all()
        .into_iter()
        .filter(|mount| {
            mount.kind == "cgroup2"
                || (mount.kind == "cgroup" && mount.super_options.contains("name=systemd"))
        })
        .map(|mount| mount.point)
        .collect()
}

/// The folder of the group a process is in.
pub fn path_in(hierarchy: &Path, pid: u32) -> Option<PathBuf> {
    let unified = mounts::at(hierarchy)?.kind == "cgroup2";
    let wanted = if unified { "" } else { "name=systemd" };
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        (controllers == wanted).then(|| path.to_owned())
    })?;
    Some(hierarchy.join(path.trim_start_matches('/')))
}

/// The prepared group's folder in each hierarchy.
fn prepared() -> Vec<PathBuf> {
    hierarchies()
        .iter()
        .filter_map(|hierarchy| path_in(hierarchy, std::process::id()))
        .filter(|path| path.ends_with(RUNNER))
        .filter_map(|path| Some(path.parent()?.to_owned()))
        .collect()
}
