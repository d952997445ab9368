//! The private shape: `fuse-promised --foreground` as a child of the test.
//!
//! Readiness is the daemon's own notification, sent to a socket of ours; the
//! same socket hears its STATUS= lines.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::daemon_host::{DAEMON_LOG, DaemonHost};
use super::options::SessionOptions;
use crate::notify::NotifySocket;
use crate::process::{HANG_LIMIT, Process};
use crate::programs::program as program_path;
use crate::session_dirs::SessionDirs;

/// How long a daemon may take to end before it is killed: answering what is
/// in flight and unmounting take milliseconds.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// A daemon in the foreground.
#[derive(Debug)]
pub struct Foreground {
    before: Vec<OsString>,
    flags: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    daemon: Option<Process>,
    notify: Option<NotifySocket>,
}

impl Foreground {
    pub(super) fn new(options: &SessionOptions) -> Self {
        Self {
            before: options.before().to_vec(),
            flags: options.flags().to_vec(),
            environment: options.environment().to_vec(),
            daemon: None,
            notify: None,
        }
    }

    /// The command that starts the session's daemon.
    pub fn command(&self, dirs: &SessionDirs) -> Command {
        let mut command = match self.before.split_first() {
            None => dirs.command("fuse-promised"),
            Some((program, words)) => {
                let mut command = dirs.command(program);
                command.args(words).arg(program_path("fuse-promised"));
                command
            }
        };
        command
            .arg("--foreground")
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the daemon without waiting for anything.
    pub fn launch(&mut self, dirs: &SessionDirs) {
        let mut command = self.command(dirs);
        let notify = self
            .notify
            .get_or_insert_with(|| NotifySocket::bind(&dirs.root().join("notify")));
        notify.clear();
        command.env("NOTIFY_SOCKET", notify.path());
        self.daemon = Some(Process::spawn(command, &dirs.log(DAEMON_LOG)));
    }

    /// Waits for a line of the daemon's notifications; `None` if it ended
    /// without having sent one.
    pub fn notified(&mut self, wanted: &str) -> Option<String> {
        let (notify, daemon) = (self.notify.as_mut()?, self.daemon.as_mut()?);
        notify.wait_for(wanted, HANG_LIMIT, || daemon.ended().is_none())
    }

    /// Every notification so far.
    pub fn notifications(&mut self) -> Vec<String> {
        self.notify
            .as_mut()
            .map(|notify| notify.lines().to_vec())
            .unwrap_or_default()
    }

    /// The daemon's process.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        self.daemon.as_mut().expect("a started daemon")
    }
}

impl DaemonHost for Foreground {
    fn start_daemon(&mut self, dirs: &SessionDirs) {
        self.launch(dirs);
        if self.notified("READY=1").is_none() {
            let log = self.process().log();
            panic!("fuse-promised did not become ready:\n{log}");
        }
    }

    fn stop_daemon(&mut self, _dirs: &SessionDirs) -> Option<i32> {
        self.daemon.take()?.terminate(STOP_PATIENCE)
    }

    fn wait_daemon_end(&mut self, _dirs: &SessionDirs) -> Option<i32> {
        self.daemon.take()?.wait().code()
    }

    fn daemon_pid(&mut self, _dirs: &SessionDirs) -> Option<u32> {
        let daemon = self.daemon.as_mut()?;
        daemon.ended().is_none().then(|| daemon.pid())
    }

    fn end(&mut self, _dirs: &SessionDirs) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.signal(Signal::CONT);
            daemon.terminate(STOP_PATIENCE);
        }
    }
}
