//! What a run changes on the machine, and its undoing.
//!
//! Some steps need root once: `/dev/fuse` open to everybody, a control group
//! given to the ordinary user, perhaps a user at all. A helper process does
//! them (through sudo when the caller is not root), in a process group of its
//! own, and undoes everything when its input ends. So the undoing happens
//! however this process ends: normally, by Ctrl-C, or killed.

pub mod helper;
mod run_group;
mod shared_settings;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Outcome;
use crate::packages::on_path;
use crate::user::{OrdinaryUser, is_root};

/// The conversation with the helper: a line asks, a line answers.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Machine {
    /// Starts the helper as root, asking for a password if that takes one.
    pub fn as_root() -> Outcome<Self> {
        if is_root() {
            return Self::start(Command::new(own_program()));
        }
        if !on_path("sudo") {
            return Err("this needs root for a moment: run it as root, or install sudo".into());
        }
        // In the foreground, where a password can be typed.
        if !Command::new("sudo").arg("-v").status()?.success() {
            return Err("this needs root for a moment, and sudo refused".into());
        }
        let mut command = Command::new("sudo");
        command.args(["-n", "--"]).arg(own_program());
        Self::start(command)
    }

    /// Starts the helper without any privilege, for its undoing alone.
    pub fn as_caller() -> Outcome<Self> {
        Self::start(Command::new(own_program()))
    }

    /// Ready for an ordinary user to mount; root only if something must be changed for it.
    pub fn for_mounts() -> Outcome<(Self, OrdinaryUser)> {
        let open = fuse_is_open();
        let mut machine = if open {
            Self::as_caller()?
        } else {
            Self::as_root()?
        };
        let user = machine.user()?;
        if !open {
            machine.settings()?;
        }
        Ok((machine, user))
    }

    fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command
            .arg("machine")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("the helper has no output")?);
        Ok(Self {
            child,
            requests,
            answers,
        })
    }

    /// The ordinary user to run as, made for this run if there is none.
    pub fn user(&mut self) -> Outcome<OrdinaryUser> {
        if let Some(user) = OrdinaryUser::find()? {
            return Ok(user);
        }
        let name = self.ask("user")?;
        OrdinaryUser::look_up(&name)?.ok_or_else(|| format!("user {name} is not there").into())
    }

    /// Makes `/dev/fuse` usable by everybody and systemd's tools willing.
    pub fn settings(&mut self) -> Outcome {
        self.ask("settings").map(drop)
    }

    /// Puts this process into a control group that `user` may divide.
    pub fn enter_group(&mut self, user: &OrdinaryUser) -> Outcome {
        self.ask(&format!("group {} {}", user.uid, std::process::id()))
            .map(drop)
    }

    /// Has a folder and the mounts in it removed at the end.
    pub fn remove_at_end(&mut self, folder: &Path) -> Outcome {
        self.ask(&format!("folder {}", folder.display())).map(drop)
    }

    /// Has a process group ended at the end.
    pub fn stop_at_end(&mut self, leader: u32) -> Outcome {
        self.ask(&format!("stop {leader}")).map(drop)
    }

    /// What the run has left running or mounted, a description each.
    pub fn leftovers(&mut self) -> Outcome<Vec<String>> {
        let answer = self.ask("leftovers")?;
        Ok(answer
            .split('\t')
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn ask(&mut self, request: &str) -> Outcome<String> {
        let requests = self.requests.as_mut().ok_or("the helper has ended")?;
        writeln!(requests, "{request}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim_end().split_once(' ') {
            Some(("ok", rest)) => Ok(rest.to_owned()),
            Some(("error", text)) => Err(text.into()),
            _ if answer.trim_end() == "ok" => Ok(String::new()),
            _ => Err(format!("the helper for `{request}` has died").into()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.wait();
    }
}

/// This program, by a name that holds even when it was built anew meanwhile,
/// and that means the same to sudo.
fn own_program() -> String {
    format!("/proc/{}/exe", std::process::id())
}

/// Whether any user may use FUSE here.
fn fuse_is_open() -> bool {
    fs::metadata("/dev/fuse").is_ok_and(|device| device.permissions().mode() & 0o006 == 0o006)
}
