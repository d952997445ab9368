//! A folder that the ordinary user can read, for what is built here.
//!
//! The workspace may lie where nobody but root can look. So the programs
//! under test and the text files they are installed with are copied to a
//! temporary folder: `bin`, `tests`, `systemd`, `dbus`, and `place`, in which
//! the user may write. The folder's end is the helper's business.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::cargo::{Executable, root};
use crate::machine::Machine;
use crate::user::{OrdinaryUser, is_root};

/// The staged files.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    user: OrdinaryUser,
}

impl Stage {
    /// An empty stage, removed when `machine` ends.
    pub fn create(machine: &mut Machine, user: &OrdinaryUser) -> Outcome<Self> {
        let root = tempfile::Builder::new()
            .prefix("fuse-promise-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?
            .keep();
        machine.remove_at_end(&root)?;
        let stage = Self {
            root,
            user: user.clone(),
        };
        for folder in ["bin", "tests", "place"] {
            fs::create_dir(stage.root.join(folder))?;
        }
        stage.give(&stage.place())?;
        for folder in ["systemd", "dbus"] {
            stage.copy_folder(&root_folder(folder), &stage.root.join(folder))?;
        }
        Ok(stage)
    }

    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Where the user may write.
    pub fn place(&self) -> PathBuf {
        self.root.join("place")
    }

    /// Copies programs into `bin`, and tests into `tests`.
    pub fn add(&self, executables: &[Executable]) -> Outcome {
        for executable in executables {
            let folder = if executable.is_test { "tests" } else { "bin" };
            let target = self.root.join(folder).join(&executable.name);
            fs::copy(&executable.path, &target)
                .map_err(|error| format!("{}: {error}", executable.path.display()))?;
            fs::set_permissions(&target, Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// A staged test.
    pub fn test(&self, name: &str) -> PathBuf {
        self.root.join("tests").join(name)
    }

    /// A new folder on the stage.
    pub fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// A command that runs as the user, knowing where the programs are.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.user.command(program, &self.place());
        command.env("FUSE_PROMISE_BIN_DIR", self.bin());
        command
    }

    /// Gives a path to the user.
    pub fn give(&self, path: &Path) -> Outcome {
        if is_root() {
            chown(path, Some(self.user.uid), Some(self.user.gid))?;
        }
        Ok(())
    }

    /// Copies the files of one folder, readable by everybody.
    fn copy_folder(&self, from: &Path, to: &Path) -> Outcome {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            fs::copy(entry.path(), &target)?;
            fs::set_permissions(&target, Permissions::from_mode(0o644))?;
        }
        Ok(())
    }
}

fn root_folder(name: &str) -> PathBuf {
    root().join(name)
}
