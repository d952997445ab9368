//! The helper process: carries out requests and undoes them at the end.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use fuse_promise_testkit::mounts;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::run_group::RunGroup;
use super::shared_settings::SharedSettings;
use crate::Outcome;

/// Far more than a dying process takes, and less than one that was forgotten lives.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Waits for requests on standard input; its end means: undo.
#[derive(Debug, Args)]
pub struct Helper {}

/// Everything to undo, undone by field and in this order.
#[derive(Default)]
struct Changes {
    leaders: Vec<Pid>,
    group: Option<RunGroup>,
    folders: Vec<PathBuf>,
    user: Option<String>,
    settings: Option<SharedSettings>,
}

impl Helper {
    pub fn run(self) -> Outcome<ExitCode> {
        let mut changes = Changes::default();
        for request in std::io::stdin().lock().lines() {
            let Ok(request) = request else { break };
            let answer = match changes.carry_out(&request) {
                Ok(text) => format!("ok {text}"),
                Err(failure) => format!("error {failure}"),
            };
            // Nobody reads it when the caller has died: then input ends too.
            let _ = writeln!(std::io::stdout(), "{}", answer.replace('\n', " "));
        }
        changes.undo();
        Ok(ExitCode::SUCCESS)
    }
}

impl Changes {
    fn carry_out(&mut self, request: &str) -> Outcome<String> {
        let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
        match verb {
            "settings" => {
                if self.settings.is_none() {
                    self.settings = Some(SharedSettings::acquire()?);
                }
            }
            "group" => {
                let (uid, pid) = rest.split_once(' ').ok_or("group UID PID")?;
                let group = RunGroup::create(uid.parse()?)?;
                self.group.insert(group).enter(pid.parse()?)?;
            }
            "user" => return self.make_user(),
            "folder" => self.folders.push(PathBuf::from(rest)),
            "stop" => {
                let leader = Pid::from_raw(rest.parse()?).ok_or("no process has number 0")?;
                self.leaders.push(leader);
            }
            "leftovers" => return Ok(self.leftovers().join("\t")),
            _ => return Err(format!("unknown request `{request}`").into()),
        }
        Ok(String::new())
    }

    fn make_user(&mut self) -> Outcome<String> {
        let name = format!("fuse-promise-{}", std::process::id());
        let made = Command::new("useradd")
            .args(["--system", "--no-create-home", "--shell", "/bin/sh", &name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(format!("useradd {name} failed").into());
        }
        self.user = Some(name.clone());
        Ok(name)
    }

    /// What stays: a process that was killed takes a moment to be gone.
    fn leftovers(&self) -> Vec<String> {
        let limit = Instant::now() + GONE_WITHIN;
        loop {
            let left = self.present();
            if left.is_empty() || Instant::now() >= limit {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn present(&self) -> Vec<String> {
        let processes = self.group.iter().flat_map(RunGroup::leftovers);
        let mounts = self
            .folders
            .iter()
            .flat_map(|folder| mounts::beneath(folder))
            .map(|mount| format!("mount {}", mount.point.display()));
        processes.chain(mounts).collect()
    }

    fn undo(mut self) {
        for leader in self.leaders.drain(..) {
            end_process_group(leader);
        }
        // Every process of the run must be gone before its folders can go.
        if let Some(group) = self.group.take() {
            group.end();
        }
        for folder in self.folders.drain(..) {
            remove_folder(&folder);
        }
        if let Some(name) = self.user.take() {
            let _ = Command::new("userdel")
                .arg(&name)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        drop(self.settings.take());
    }
}

/// Asks a process group to end, and makes it.
fn end_process_group(leader: Pid) {
    let _ = kill_process_group(leader, Signal::TERM);
    let limit = Instant::now() + Duration::from_secs(5);
    // Not our children: there is nothing to wait on but their absence.
    while test_kill_process_group(leader).is_ok() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = kill_process_group(leader, Signal::KILL);
}

fn remove_folder(folder: &Path) {
    for mount in mounts::beneath(folder) {
        // fusermount3 for the owner, umount for root, who may see others'.
        mounts::unmount_lazily(&mount.point);
        if mounts::at(&mount.point).is_some() {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(&mount.point)
                .stderr(Stdio::null())
                .status();
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}
