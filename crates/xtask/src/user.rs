//! The ordinary user who runs what root must not: the one who called, or the
//! one who called sudo, or uid 1000, in this order.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// A user with an entry in the user database, which fusermount3 insists on.
#[derive(Debug, Clone)]
pub struct OrdinaryUser {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl OrdinaryUser {
    /// The user to run as; `None` when only root exists.
    pub fn find() -> Outcome<Option<Self>> {
        if !is_root() {
            let uid = rustix::process::getuid().as_raw();
            let found = Self::look_up(&uid.to_string())?;
            return match found {
                Some(user) => Ok(Some(user)),
                None => Err(format!("uid {uid} has no entry in the user database").into()),
            };
        }
        let caller = std::env::var("SUDO_USER").unwrap_or_default();
        for key in [caller.as_str(), "1000"] {
            if key.is_empty() || key == "root" {
                continue;
            }
            if let Some(user) = Self::look_up(key)? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// A user by name or number.
    pub fn look_up(key: &str) -> Outcome<Option<Self>> {
        let output = Command::new("getent")
            .args(["passwd", "--", key])
            .output()?;
        let entry = String::from_utf8_lossy(&output.stdout).into_owned();
        let fields: Vec<&str> = entry.trim_end().split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: (*name).to_owned(),
            uid: uid.parse()?,
            gid: gid.parse()?,
        }))
    }

    /// A command that runs as this user with a bare environment, its home
    /// and temporary files in `place`.
    pub fn command(&self, program: impl AsRef<OsStr>, place: &Path) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", self.uid))
                .arg(format!("--regid={}", self.gid))
                .args(["--init-groups", "--"])
                .arg(program.as_ref());
            command
        } else {
            Command::new(program.as_ref())
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LANG", "C.UTF-8")
            .env("HOME", place)
            .env("TMPDIR", place)
            .env("RUST_BACKTRACE", "1")
            .current_dir(place);
        for name in ["CI", "TERM", "NO_COLOR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}
