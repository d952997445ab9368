//! Builds what is measured, in release, and lays it out where the ordinary user may run it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::cargo::{executables, must, root};
use crate::machine::Machine;
use crate::stage::Stage;

const DAEMON: &str = "fuse-promised";
const BASELINE: &str = "bench-baseline";
const READER: &str = "bench-reader";
const TREE: &str = "bench-tree";
const FPCTL: &str = "fpctl";
const PROVIDER: &str = "bench-provider";
const LIBRARY: &str = "libfusepromise.so";
/// The name a program asks the loader for.
const SONAME: &str = "libfusepromise.so.1";

/// The staged programs.
pub struct Programs {
    stage: Stage,
    /// Undoes at its end what the run changed.
    machine: Machine,
}

impl Programs {
    pub fn build() -> Outcome<Self> {
        let built = executables(&[
            "build",
            "--release",
            "--package=fuse-promised",
            "--package=fusepromise",
            "--package=fpctl",
            "--package=fuse-promise-tests",
            "--bins",
            "--lib",
        ])?;
        let (mut machine, user) = Machine::for_mounts()?;
        let stage = Stage::create(&mut machine, &user)?;
        stage.add(&built)?;
        let release = built.first().and_then(|program| program.path.parent());
        stage_provider(release.ok_or("cargo built nothing")?, &stage.bin())?;
        Ok(Self { stage, machine })
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn daemon(&self) -> Command {
        self.command(DAEMON)
    }

    pub fn baseline(&self) -> Command {
        self.command(BASELINE)
    }

    pub fn provider(&self) -> Command {
        self.command(PROVIDER)
    }

    pub fn reader(&self) -> Command {
        self.command(READER)
    }

    pub fn tree(&self) -> Command {
        self.command(TREE)
    }

    pub fn fpctl(&self) -> Command {
        self.command(FPCTL)
    }

    /// One that is not ours.
    pub fn installed(&self, program: &str) -> Command {
        self.stage.command(Path::new(program))
    }

    fn command(&self, program: &str) -> Command {
        self.stage.command(&self.stage.bin().join(program))
    }

    /// An empty folder of the ordinary user's own.
    pub fn private_folder(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.stage.place().join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        self.stage.give(&path)?;
        Ok(path)
    }

    /// Has a folder removed at the end.
    pub fn remove_at_end(&mut self, folder: &Path) -> Outcome {
        self.machine.remove_at_end(folder)
    }
}

/// Copies the library and compiles the provider against it and the public header.
fn stage_provider(release: &Path, folder: &Path) -> Outcome {
    fs::copy(release.join(LIBRARY), folder.join(SONAME))?;
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg(root().join("tests/bench/provider.c"))
        .arg("-o")
        .arg(folder.join(PROVIDER))
        .arg(folder.join(SONAME))
        .arg("-Wl,-rpath,$ORIGIN");
    must(&mut compiler)
}
