//! The systemd shape: a real `systemd --user` with a real session bus.
//!
//! Units and the bus service file are the installed ones, rendered with the
//! paths of the programs under test, and lie in the session's own home before
//! the manager starts. The manager tells its readiness to a socket of ours.
//! There is no journal in such a session, so a drop-in sends the daemon's
//! words to a file.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::daemon_host::{DAEMON_LOG, DaemonHost};
use super::options::SessionOptions;
use crate::cgroup::ControlGroup;
use crate::notify::NotifySocket;
use crate::process::{HANG_LIMIT, Process, Ran, run, wait_end};
use crate::programs;
use crate::session_dirs::SessionDirs;

/// The unit under test.
pub const DAEMON_UNIT: &str = "fuse-promised.service";
/// The socket unit under test.
pub const SOCKET_UNIT: &str = "fuse-promised.socket";

/// Stopping every unit of the session, the daemon's clean stop included.
const EXIT_PATIENCE: Duration = Duration::from_secs(30);

/// A running service manager.
#[derive(Debug)]
pub struct SystemdUser {
    manager: Process,
    environment: Vec<(OsString, OsString)>,
    home: PathBuf,
    // Removed after the manager has ended: it cannot be while it is in use.
    _group: ControlGroup,
}

impl SystemdUser {
    /// Starts the manager and waits until basic.target is reached, which
    /// includes the bus socket and the daemon's.
    pub(super) fn start(dirs: &SessionDirs, options: &SessionOptions) -> Self {
        install_files(dirs, options);
        let group = ControlGroup::create();
        let mut notify = NotifySocket::bind(&dirs.root().join("notify"));
        let mut command = group.command(manager_program().as_os_str());
        command.arg("--user").env_clear().envs(dirs.environment());
        command
            .current_dir(dirs.home())
            .env("NOTIFY_SOCKET", notify.path())
            .env("SYSTEMD_LOG_TARGET", "console");
        let mut manager = Process::spawn(command, &dirs.log("systemd"));
        let ready = notify.wait_for("READY=1", HANG_LIMIT, || manager.ended().is_none());
        assert!(
            ready.is_some(),
            "systemd --user did not become ready:\n{}",
            manager.log()
        );
        let mut environment = dirs.environment();
        environment.push(("DBUS_SESSION_BUS_ADDRESS".into(), dirs.bus_address()));
        Self {
            manager,
            environment,
            home: dirs.home(),
            _group: group,
        }
    }

    /// Runs `systemctl --user …` to its end.
    pub fn systemctl(&self, arguments: &[&str]) -> Ran {
        self.tool("systemctl", arguments)
    }

    /// Runs `busctl --user …` to its end.
    pub fn busctl(&self, arguments: &[&str]) -> Ran {
        self.tool("busctl", arguments)
    }

    /// A property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let shown = self.systemctl(&["show", "--value", "--property", name, unit]);
        shown.ok().trim_end().to_owned()
    }

    /// Writes a unit or drop-in (`fuse-promised.service.d/x.conf`) and has
    /// the manager read it.
    pub fn write_unit(&self, name: &str, text: &str) {
        write_unit(&self.home.join(".config/systemd/user"), name, text);
        self.systemctl(&["daemon-reload"]).ok();
    }

    /// Has the bus read its service files again.
    pub fn reload_bus(&self) {
        self.busctl(&[
            "call",
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "ReloadConfig",
        ])
        .ok();
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Ran {
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("SYSTEMD_PAGER", "")
            .arg("--user")
            .args(arguments);
        run(&mut command)
    }
}

impl DaemonHost for SystemdUser {
    fn start_daemon(&mut self, dirs: &SessionDirs) {
        let started = self.systemctl(&["start", DAEMON_UNIT]);
        assert_eq!(
            started.code,
            0,
            "{}\n{}",
            started.err,
            std::fs::read_to_string(dirs.log(DAEMON_LOG)).unwrap_or_default()
        );
    }

    fn wait_daemon_end(&mut self, dirs: &SessionDirs) -> Option<i32> {
        if let Some(pid) = self.daemon_pid(dirs) {
            wait_end(pid, || {});
        }
        // The manager may not have noticed yet; a stop waits until it has.
        self.stop_daemon(dirs)
    }

    fn stop_daemon(&mut self, _dirs: &SessionDirs) -> Option<i32> {
        self.systemctl(&["stop", DAEMON_UNIT]).ok();
        // "exited" is CLD_EXITED; anything else is a signal.
        let exited = self.property(DAEMON_UNIT, "ExecMainCode") == "1";
        let status = self.property(DAEMON_UNIT, "ExecMainStatus");
        status.parse().ok().filter(|_| exited)
    }

    fn daemon_pid(&mut self, _dirs: &SessionDirs) -> Option<u32> {
        let pid = self.property(DAEMON_UNIT, "MainPID").parse().ok()?;
        (pid != 0).then_some(pid)
    }

    fn end(&mut self, dirs: &SessionDirs) {
        // A stopped daemon would keep the manager waiting for its own limit.
        for pid in crate::process::of_session(dirs.root()) {
            crate::process::send(pid, rustix::process::Signal::CONT);
        }
        self.manager.terminate(EXIT_PATIENCE);
    }
}

/// The installed units and bus service file, and the drop-in of the tests.
fn install_files(dirs: &SessionDirs, options: &SessionOptions) {
    let units = programs::installed_texts("systemd");
    for (name, text) in &units {
        write_unit(&dirs.units(), name, text);
    }
    dirs.install_bus_service();
    let wanted = dirs.units().join("sockets.target.wants");
    std::fs::create_dir_all(&wanted).expect("a new folder");
    std::os::unix::fs::symlink(format!("../{SOCKET_UNIT}"), wanted.join(SOCKET_UNIT))
        .expect("an enabled socket unit");
    let start = units
        .iter()
        .find(|(name, _)| name == DAEMON_UNIT)
        .and_then(|(_, text)| text.lines().find(|line| line.starts_with("ExecStart=")));
    let drop_in = drop_in(dirs, options, start);
    write_unit(&dirs.units(), "fuse-promised.service.d/test.conf", &drop_in);
}

/// Log file, environment and flags.
fn drop_in(dirs: &SessionDirs, options: &SessionOptions, start: Option<&str>) -> String {
    let log = dirs.log(DAEMON_LOG);
    let mut text = format!(
        "[Service]\nStandardOutput=append:{0}\nStandardError=append:{0}\n",
        log.display()
    );
    for (name, value) in options.environment() {
        let (name, value) = (name.display(), value.display());
        writeln!(text, "Environment=\"{name}={value}\"").expect("a string");
    }
    if !options.flags().is_empty() {
        let start = start.expect("a unit that starts the daemon");
        write!(text, "ExecStart=\n{start}").expect("a string");
        for flag in options.flags() {
            write!(text, " {}", flag.display()).expect("a string");
        }
        text.push('\n');
    }
    text
}

fn write_unit(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn manager_program() -> PathBuf {
    ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("systemd is installed")
}
