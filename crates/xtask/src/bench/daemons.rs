//! The daemons of a run, one for each way of caching that a case needs. Each has a runtime
//! directory of its own, so that they know nothing of each other.

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

#[derive(Default)]
pub struct Daemons {
    running: Vec<Daemon>,
}

struct Daemon {
    caching: Caching,
    process: Process,
    runtime_dir: PathBuf,
}

impl Daemons {
    /// Starts a daemon unless it runs already.
    pub fn start(&mut self, programs: &Programs, caching: Caching) -> Outcome {
        if self.find(caching).is_ok() {
            return Ok(());
        }
        let runtime_dir = programs.private_folder(caching.folder())?;
        let mut command = programs.daemon();
        in_session(&mut command, &runtime_dir);
        command.args(caching.flags());
        let process = Process::start_daemon(command, programs.stage(), &runtime_dir)?;
        self.running.push(Daemon {
            caching,
            process,
            runtime_dir,
        });
        Ok(())
    }

    pub fn id(&self, caching: Caching) -> Outcome<u32> {
        Ok(self.find(caching)?.process.id())
    }

    /// Lets a program find the daemon.
    pub fn attach(&self, command: &mut Command, caching: Caching) -> Outcome {
        in_session(command, &self.find(caching)?.runtime_dir);
        Ok(())
    }

    fn find(&self, caching: Caching) -> Outcome<&Daemon> {
        let mut all = self.running.iter();
        let found = all.find(|daemon| daemon.caching == caching);
        found.ok_or_else(|| format!("no daemon caches as {caching:?}").into())
    }

    /// Ends all of them and says so if one did not end well.
    pub fn stop(self) -> Outcome {
        self.running
            .into_iter()
            .try_for_each(|daemon| daemon.process.end())
    }
}

pub fn in_session(command: &mut Command, runtime_dir: &Path) {
    command
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
}
