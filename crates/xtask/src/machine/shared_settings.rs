//! Settings of the whole machine that several runs may need at once.
//!
//! Each run holds a shared lock for its life. What was changed is written
//! down before it is changed, and whoever leaves last restores it: also what
//! a run that was killed had left changed. Taking and leaving happen under an
//! exclusive lock on /run, so that no run sees another half way.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::Outcome;

const FUSE: &str = "/dev/fuse";
/// systemctl and others take its existence for "systemd is running".
const BOOTED: &str = "/run/systemd/system";
/// Where changes are written down.
const STATE: &str = "/run/fuse-promise-xtask";

/// A run's hold on the settings.
#[derive(Debug)]
pub struct SharedSettings {
    users: File,
}

impl SharedSettings {
    /// Changes what has to be changed and is not yet.
    pub fn acquire() -> Outcome<Self> {
        let _moment = exclusive()?;
        fs::create_dir_all(STATE)?;
        let users = File::create(state("users"))?;
        flock(&users, FlockOperation::LockShared)?;
        let settings = Self { users };
        open_fuse()?;
        pretend_booted()?;
        Ok(settings)
    }
}

impl Drop for SharedSettings {
    fn drop(&mut self) {
        let Ok(_moment) = exclusive() else { return };
        if flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // A setting that cannot be restored any more needs no restoring.
            let _ = restore();
        }
    }
}

/// Nobody else takes or leaves while this is held.
fn exclusive() -> io::Result<File> {
    let run = File::open("/run")?;
    flock(&run, FlockOperation::LockExclusive)?;
    Ok(run)
}

fn open_fuse() -> Outcome {
    if !Path::new(FUSE).exists() {
        let _ = Command::new("modprobe")
            .arg("fuse")
            .stderr(Stdio::null())
            .status();
    }
    let metadata =
        fs::metadata(FUSE).map_err(|error| format!("{FUSE}: {error}; the kernel needs FUSE"))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o666 != 0o666 {
        write_down("fuse-mode", &format!("{mode:o}"))?;
        fs::set_permissions(FUSE, Permissions::from_mode(0o666))?;
    }
    Ok(())
}

fn pretend_booted() -> Outcome {
    if !Path::new(BOOTED).exists() {
        write_down("booted", "")?;
        fs::create_dir_all(BOOTED)?;
    }
    Ok(())
}

fn restore() -> io::Result<()> {
    if let Ok(mode) = fs::read_to_string(state("fuse-mode")) {
        let mode = u32::from_str_radix(mode.trim(), 8).unwrap_or(0o600);
        fs::set_permissions(FUSE, Permissions::from_mode(mode))?;
    }
    if state("booted").exists() {
        let _ = fs::remove_dir(BOOTED);
    }
    fs::remove_dir_all(STATE)
}

/// Keeps the first note: it alone tells how things were before any run.
fn write_down(name: &str, text: &str) -> io::Result<()> {
    let path = state(name);
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text)
}

fn state(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}
