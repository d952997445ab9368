//! The folders of one session: a runtime directory, a home, and room for
//! logs, all under one temporary folder with a short name (a Unix socket's
//! path has 107 bytes).

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{mounts, process, programs};

/// The folders, removed with everything in them when dropped.
#[derive(Debug)]
pub struct SessionDirs {
    root: TempDir,
}

impl SessionDirs {
    pub fn create() -> Self {
        let root = tempfile::Builder::new()
            .prefix("fp-")
            .rand_bytes(5)
            .tempdir()
            .expect("a temporary folder");
        let dirs = Self { root };
        for folder in [dirs.runtime(), dirs.home(), dirs.logs()] {
            std::fs::create_dir(&folder).expect("a new folder");
        }
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dirs.runtime(), private).expect("a private folder");
        for folder in [dirs.config(), dirs.units(), dirs.bus_services()] {
            std::fs::create_dir_all(&folder).expect("a new folder");
        }
        dirs
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What `XDG_RUNTIME_DIR` names.
    pub fn runtime(&self) -> PathBuf {
        self.root().join("run")
    }

    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub fn logs(&self) -> PathBuf {
        self.root().join("log")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(name)
    }

    /// Where `fuse-promised.toml` is looked for.
    pub fn config(&self) -> PathBuf {
        self.home().join(".config/fuse-promise")
    }

    /// Where a user's own units lie.
    pub fn units(&self) -> PathBuf {
        self.home().join(".config/systemd/user")
    }

    /// Where a session bus looks for what it can activate.
    pub fn bus_services(&self) -> PathBuf {
        self.runtime().join("dbus-1/services")
    }

    /// Installs what makes a session bus start the daemon.
    pub fn install_bus_service(&self) {
        for (name, text) in programs::installed_texts("dbus") {
            if name.ends_with(".service") {
                std::fs::write(self.bus_services().join(name), text).expect("a bus service file");
            }
        }
    }

    /// The session's bus, where it has one.
    pub fn bus_address(&self) -> OsString {
        let mut address = OsString::from("unix:path=");
        address.push(self.runtime().join("bus"));
        address
    }

    /// A command that sees this session and nothing of the environment the
    /// test itself was started in. It looks for programs under test first.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let program = Path::new(program.as_ref());
        let ours = programs::program(program.to_str().unwrap_or_default());
        let mut command = if program.components().count() == 1 && ours.exists() {
            Command::new(ours)
        } else {
            Command::new(program)
        };
        command.env_clear().current_dir(self.home());
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// The environment of every program of the session.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut path = OsString::from(programs::bin_dir());
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let pair = |name: &str, value: OsString| (OsString::from(name), value);
        vec![
            pair("PATH", path),
            pair("HOME", self.home().into()),
            pair("XDG_RUNTIME_DIR", self.runtime().into()),
            pair("TMPDIR", self.root().into()),
            pair("LANG", "C.UTF-8".into()),
            pair("RUST_BACKTRACE", "1".into()),
        ]
    }

    /// Everything known about the session, for a test that failed.
    pub fn describe(&self) -> String {
        describe(self.root())
    }
}

impl Drop for SessionDirs {
    fn drop(&mut self) {
        end_everything(self.root());
        // The service manager keeps folders that nobody may enter, for units
        // that hide paths; they would keep ours from being removed.
        let closed = self.runtime().join("systemd/inaccessible/dir");
        let _ = std::fs::set_permissions(closed, std::fs::Permissions::from_mode(0o700));
    }
}

/// What a killed process takes to be gone.
const A_MOMENT: Duration = Duration::from_millis(500);

/// Kills every process of the session in `root` and takes its mounts away.
pub fn end_everything(root: &Path) {
    // A service manager restarts what is killed before it is killed itself,
    // hence more than one round.
    for _ in 0..20 {
        let left = process::of_session(root);
        if left.is_empty() {
            break;
        }
        process::end(&left, A_MOMENT);
    }
    for mount in mounts::beneath(root) {
        mounts::unmount_lazily(&mount.point);
    }
}

/// Processes, mounts and logs of the session in `root`.
pub fn describe(root: &Path) -> String {
    let mut text = format!("== session in {}\n", root.display());
    for pid in process::of_session(root) {
        text.push_str(&process::describe(pid));
        text.push('\n');
    }
    for mount in mounts::beneath(root) {
        text.push_str(&format!("mount {}\n", mount.point.display()));
    }
    let mut logs: Vec<PathBuf> = std::fs::read_dir(root.join("log"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    logs.sort();
    for log in logs {
        let content = std::fs::read_to_string(&log).unwrap_or_default();
        text.push_str(&format!("-- {}\n{content}", log.display()));
    }
    text
}
