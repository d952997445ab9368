//! A session bus without a service manager: `dbus-daemon` alone, which starts
//! what the `Exec=` line of a service file says.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::daemon_host::{DAEMON_LOG, DaemonHost};
use super::options::SessionOptions;
use rustix::process::Signal;

use crate::process::{Process, Ran, of_session, run, send, wait_end};
use crate::session_dirs::SessionDirs;

/// A running bus.
#[derive(Debug)]
pub struct BareBus {
    bus: Process,
}

impl BareBus {
    /// Starts the bus and waits until it has printed its address, which it
    /// does when it listens.
    pub(super) fn start(dirs: &SessionDirs, options: &SessionOptions) -> Self {
        assert!(
            options.flags().is_empty() && options.before().is_empty(),
            "what the bus starts has the flags of its service file"
        );
        dirs.install_bus_service();
        let mut command = dirs.command("dbus-daemon");
        let log = std::fs::File::create(dirs.log(DAEMON_LOG)).expect("a log file");
        let mut address = std::ffi::OsString::from("--address=");
        address.push(dirs.bus_address());
        command
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(address)
            .envs(
                options
                    .environment()
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut bus = Process::spawn_piped(command, &dirs.log(DAEMON_LOG));
        let output = bus.child().stdout.take().expect("a pipe");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        assert!(
            read.is_ok_and(|length| length > 0),
            "dbus-daemon did not start:\n{}",
            bus.log()
        );
        Self { bus }
    }
}

impl DaemonHost for BareBus {
    /// By a call, as any client would.
    fn start_daemon(&mut self, dirs: &SessionDirs) {
        let ran: Ran = run(dirs
            .command("busctl")
            .env("DBUS_SESSION_BUS_ADDRESS", dirs.bus_address())
            .args(["--user", "get-property", "io.github.fuse_promise.Private1"])
            .args([
                "/io/github/fuse_promise",
                "io.github.fuse_promise.Private1.Manager",
            ])
            .arg("Mount"));
        ran.ok();
    }

    fn stop_daemon(&mut self, dirs: &SessionDirs) -> Option<i32> {
        let pid = self.daemon_pid(dirs)?;
        wait_end(pid, || send(pid, Signal::TERM));
        None
    }

    /// The bus has collected the exit code.
    fn wait_daemon_end(&mut self, dirs: &SessionDirs) -> Option<i32> {
        wait_end(self.daemon_pid(dirs)?, || {});
        None
    }

    fn daemon_pid(&mut self, dirs: &SessionDirs) -> Option<u32> {
        of_session(dirs.root()).into_iter().find(|pid| {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|program| program.file_name() == Path::new("fuse-promised").file_name())
        })
    }

    fn end(&mut self, dirs: &SessionDirs) {
        if let Some(pid) = self.daemon_pid(dirs) {
            wait_end(pid, || send(pid, Signal::TERM));
        }
        self.bus.terminate(Duration::from_secs(5));
    }
}
