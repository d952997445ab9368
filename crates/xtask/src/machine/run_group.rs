//! The control group of one run: a list of its processes that none escapes,
//! and room for the private service managers of the tests.
//!
//! The caller itself is moved into the child `runner`, so that everything it
//! starts is in the group; at the end it is moved back to where it was.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fuse_promise_testkit::cgroup::{RUNNER, hierarchies, path_in};
use fuse_promise_testkit::process::{describe, send};
use rustix::process::Signal;

use crate::Outcome;

/// The group in each hierarchy.
#[derive(Debug)]
pub struct RunGroup {
    folders: Vec<PathBuf>,
    /// Who was moved in, and the `cgroup.procs` that takes it back.
    entered: Vec<(u32, PathBuf)>,
}

impl RunGroup {
    /// Makes the group and gives it to `uid`.
    pub fn create(uid: u32) -> Outcome<Self> {
        let mut group = Self {
            folders: Vec::new(),
            entered: Vec::new(),
        };
        let name = format!("fuse-promise-{}", std::process::id());
        for hierarchy in hierarchies() {
            let folder = hierarchy.join(&name);
            fs::create_dir_all(folder.join(RUNNER))
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            group.folders.push(folder.clone());
            for part in ["", "cgroup.procs", RUNNER, "runner/cgroup.procs"] {
                chown(folder.join(part), Some(uid), None)?;
            }
        }
        if group.folders.is_empty() {
            return Err("no control group hierarchy is mounted at /sys/fs/cgroup".into());
        }
        Ok(group)
    }

    /// Moves a process in.
    pub fn enter(&mut self, pid: u32) -> Outcome {
        for (hierarchy, folder) in hierarchies().iter().zip(&self.folders) {
            let before = path_in(hierarchy, pid).ok_or("a process without a control group")?;
            self.entered.push((pid, before.join("cgroup.procs")));
            fs::write(folder.join(RUNNER).join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// What runs in the group apart from who was moved in.
    pub fn leftovers(&self) -> Vec<String> {
        self.processes().into_iter().map(describe).collect()
    }

    /// Kills what is left, moves the caller back and removes the group.
    pub fn end(self) {
        let limit = Instant::now() + Duration::from_secs(10);
        while Instant::now() < limit {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            for pid in left {
                send(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for (pid, procs) in &self.entered {
            // It may have died meanwhile.
            let _ = fs::write(procs, pid.to_string());
        }
        for folder in &self.folders {
            remove_tree(folder);
        }
    }

    fn processes(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for folder in &self.folders {
            collect(folder, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids.retain(|pid| self.entered.iter().all(|(entered, _)| entered != pid));
        pids
    }
}

fn collect(folder: &Path, pids: &mut Vec<u32>) {
    let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    pids.extend(list.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    for child in children(folder) {
        collect(&child, pids);
    }
}

fn remove_tree(folder: &Path) {
    for child in children(folder) {
        remove_tree(&child);
    }
    let _ = fs::remove_dir(folder);
}

fn children(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
