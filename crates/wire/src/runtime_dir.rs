//! The runtime directory and what lies in it.
//!
//! Whoever can write into the directory can take the place of the daemon, so it is used only if
//! nobody else can: absolute, a directory, owned by this user, without group or other bits. The
//! names of everything the project keeps there are given here and nowhere else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use fuse_promise_core::{Failure, Result};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::errno::failed;

/// A runtime directory that was found safe when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// Relative, empty or not a directory is `InvalidArgument`; missing is `Unavailable`; another
    /// owner, or bits for group or others, is `Permission`.
    pub fn open(path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Failure::invalid("the runtime directory is empty"));
        }
        if !path.is_absolute() {
            return Err(Failure::invalid(format!(
                "runtime directory {} is not an absolute path",
                path.display()
            )));
        }
        check_safe(path)?;
        // Drops a slash at the end, so that equal directories are shown alike.
        let path = path.components().collect();
        Ok(Self { path })
    }

    /// The one that `XDG_RUNTIME_DIR` names; `Unavailable` if it is not set.
    pub fn from_env() -> Result<Self> {
        Self::named_by(std::env::var_os("XDG_RUNTIME_DIR").as_deref())
    }

    fn named_by(variable: Option<&OsStr>) -> Result<Self> {
        let Some(path) = variable else {
            return Err(Failure::unavailable(
                "XDG_RUNTIME_DIR is not set; log in to a session, or name a runtime directory",
            ));
        };
        Self::open(Path::new(path)).map_err(|failure| failure.context("XDG_RUNTIME_DIR"))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the daemon listens for peer-to-peer connections.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("fuse-promise.sock")
    }

    /// Locked by the daemon as long as it lives.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.path.join("fuse-promise.lock")
    }

    /// The numbers that must not be given out again.
    #[must_use]
    pub fn state_path(&self) -> PathBuf {
        self.path.join("fuse-promise.state")
    }

    /// The mount point.
    #[must_use]
    pub fn mount_path(&self) -> PathBuf {
        self.path.join("fuse-promise")
    }

    /// Whether `other` is the same directory, however it is spelled.
    #[must_use]
    pub fn is_same(&self, other: &Path) -> bool {
        let identity = |path: &Path| {
            let stat = rustix::fs::stat(path).ok()?;
            Some((stat.st_dev, stat.st_ino))
        };
        self.path == other || identity(&self.path).is_some_and(|mine| identity(other) == Some(mine))
    }
}

/// Looks through one descriptor, so that what is checked is one directory.
fn check_safe(path: &Path) -> Result<()> {
    let shown = path.display();
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let stat = match opened.and_then(rustix::fs::fstat) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => {
            return Err(Failure::unavailable(format!(
                "runtime directory {shown} does not exist"
            )));
        }
        Err(errno @ (Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL)) => {
            return Err(Failure::invalid(format!(
                "runtime directory {shown}: {errno}"
            )));
        }
        Err(errno) => return Err(failed(&format!("runtime directory {shown}"), errno)),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Failure::invalid(format!(
            "runtime directory {shown} is not a directory"
        )));
    }
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid != user {
        return Err(Failure::permission(format!(
            "runtime directory {shown} belongs to uid {}, not to uid {user}",
            stat.st_uid
        )));
    }
    let bits = stat.st_mode & 0o777;
    if bits & 0o077 != 0 {
        return Err(Failure::permission(format!(
            "runtime directory {shown} has mode {bits:04o}; others must have no access: chmod 0700"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
