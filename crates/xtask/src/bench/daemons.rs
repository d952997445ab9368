//! The daemons of a run, one for each way of caching that a case needs. Each has a runtime
//! directory of its own, so that they know nothing of each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::programs::Programs;
use crate::Outcome;

/// How a daemon caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    Off,
    /// Read-through, with the usual prefetching.
    Ahead,
    /// Read-through without any prefetching.
    OnDemand,
}

impl Caching {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Off => &[],
            Self::Ahead => &["--cache=read-through"],
            Self::OnDemand => &["--cache=read-through", "--readahead=0"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Off => "session",
            Self::Ahead => "session-ahead",
            Self::OnDemand => "session-on-demand",
        }
    }
}

/// A daemon that runs.
pub struct Daemon {
    process: Process,
    runtime_dir: PathBuf,
}

impl Daemon {
    /// In a session that is the folder's.
    pub fn start(programs: &Programs, folder: &str, flags: &[&str]) -> Outcome<Self> {
        let runtime_dir = programs.private_folder(folder)?;
        let mut command = programs.daemon();
        in_session(&mut command, &runtime_dir);
        command.args(flags);
        let process = Process::start_daemon(command, programs.stage(), &runtime_dir)?;
        Ok(Self {
            process,
            runtime_dir,
        })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where promises appear.
    pub fn mount(&self) -> PathBuf {
        self.runtime_dir.join("fuse-promise")
    }

    /// Lets a program find it.
    pub fn attach(&self, command: &mut Command) {
        in_session(command, &self.runtime_dir);
    }

    /// Ends it, says so if it did not end well, and leaves nothing of its session.
    pub fn stop(self) -> Outcome {
        self.process.end()?;
        Ok(fs::remove_dir_all(self.runtime_dir)?)
    }
}

#[derive(Default)]
pub struct Daemons {
    running: Vec<(Caching, Daemon)>,
}

impl Daemons {
    /// Starts a daemon unless it runs already.
    pub fn start(&mut self, programs: &Programs, caching: Caching) -> Outcome {
        if self.find(caching).is_ok() {
            return Ok(());
        }
        let daemon = Daemon::start(programs, caching.folder(), caching.flags())?;
        self.running.push((caching, daemon));
        Ok(())
    }

    pub fn id(&self, caching: Caching) -> Outcome<u32> {
        Ok(self.find(caching)?.id())
    }

    /// Lets a program find the daemon.
    pub fn attach(&self, command: &mut Command, caching: Caching) -> Outcome {
        self.find(caching)?.attach(command);
        Ok(())
    }

    fn find(&self, caching: Caching) -> Outcome<&Daemon> {
        let mut all = self.running.iter();
        let found = all.find(|(cached, _)| *cached == caching);
        let daemon = found.map(|(_, daemon)| daemon);
        daemon.ok_or_else(|| format!("no daemon caches as {caching:?}").into())
    }

    /// Ends all of them and says so if one did not end well.
    pub fn stop(self) -> Outcome {
        self.running
            .into_iter()
            .try_for_each(|(_, daemon)| daemon.stop())
    }
}

pub fn in_session(command: &mut Command, runtime_dir: &Path) {
    command
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
}
