//! Debian packages that a command needs, installed when they are missing.
//!
//! Whether one is missing is asked of what it brings, not of the package
//! manager: a git or python from elsewhere is as good.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::cargo::must;
use crate::user::is_root;

/// What is needed: the package, and a program or file that it brings.
pub type Need = (&'static str, &'static str);

/// To build.
pub const BUILD: &[Need] = &[("gcc", "cc"), ("libc6-dev", "/usr/include/stdio.h")];

/// To mount.
pub const MOUNT: &[Need] = &[("fuse3", "fusermount3")];

/// To run a user's service manager and bus.
pub const SESSION: &[Need] = &[
    ("systemd", "systemctl"),
    ("dbus-daemon", "dbus-daemon"),
    ("dbus-user-session", "/usr/lib/systemd/user/dbus.socket"),
];

/// Ordinary programs that read through the mount.
pub const TOOLS: &[Need] = &[
    ("git", "git"),
    ("python3", "/usr/bin/python3"),
    ("rsync", "rsync"),
    ("sqlite3", "sqlite3"),
    ("unzip", "unzip"),
    ("zip", "zip"),
];

/// To build, install and check the C library.
pub const C_LIBRARY: &[Need] = &[
    ("g++", "c++"),
    ("pkg-config", "pkg-config"),
    ("meson", "meson"),
    ("ninja-build", "ninja"),
    ("valgrind", "valgrind"),
];

/// Folders in which every user finds programs.
const PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Installs what is missing of `needs`; does nothing when nothing is.
pub fn install(needs: &[&[Need]]) -> Outcome {
    let missing: Vec<&str> = needs
        .iter()
        .flat_map(|list| list.iter())
        .filter(|(_, brings)| !is_there(brings))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        println!("every package that is needed is there");
        return Ok(());
    }
    let list = missing.join(" ");
    if !on_path("apt-get") {
        return Err(
            format!("these are missing, and there is no apt-get to install them: {list}").into(),
        );
    }
    if !is_root() && !on_path("sudo") {
        return Err(format!(
            "these packages are missing: {list}; run this as root, or as a user who may sudo"
        )
        .into());
    }
    println!("installing {list}");
    must(&mut apt_get(&["update", "-qq"]))?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    must(&mut apt_get(&arguments))?;
    match missing_still(needs) {
        None => Ok(()),
        Some(brings) => Err(format!("{brings} is missing although {list} was installed").into()),
    }
}

fn missing_still(needs: &[&[Need]]) -> Option<&'static str> {
    needs
        .iter()
        .flat_map(|list| list.iter())
        .map(|(_, brings)| *brings)
        .find(|brings| !is_there(brings))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn is_there(brings: &str) -> bool {
    if brings.starts_with('/') {
        Path::new(brings).exists()
    } else {
        on_path(brings)
    }
}

/// Whether every user finds this program.
pub fn on_path(program: &str) -> bool {
    PATH.iter()
        .any(|folder| Path::new(folder).join(program).exists())
}
