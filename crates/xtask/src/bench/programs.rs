//! Builds what is measured, in release, and lays it out where the ordinary user may run it.

use std::ffi::OsStr;
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
const NAMES: &str = "bench-names";
const TREE: &str = "bench-tree";
const FPCTL: &str = "fpctl";
const PROVIDER: &str = "bench-provider";
const MAPPED: &str = "bench-mapped";
const LIBRARY: &str = "libfusepromise.so";
/// The name a program asks the loader for.
const SONAME: &str = "libfusepromise.so.1";
const BUS_SERVICE: &str = "io.github.fuse_promise.Private1.service";

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
        compile("mapped.c", &stage.bin().join(MAPPED), &[])?;
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

    pub fn names(&self) -> Command {
        self.command(NAMES)
    }

    pub fn mapped(&self) -> Command {
        self.command(MAPPED)
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

    /// What makes a session bus start the daemon, written to a folder where it looks.
    pub fn install_bus_service(&self, folder: &Path) -> Outcome {
        let template = root().join(format!("dbus/{BUS_SERVICE}.in"));
        let programs = self.stage.bin();
        let text = fs::read_to_string(template)?.replace("@bindir@", &programs.to_string_lossy());
        Ok(fs::write(folder.join(BUS_SERVICE), text)?)
    }

    /// Has a folder removed at the end.
    pub fn remove_at_end(&mut self, folder: &Path) -> Outcome {
        self.machine.remove_at_end(folder)
    }
}

/// Copies the library and compiles the provider against it and the public header.
fn stage_provider(release: &Path, folder: &Path) -> Outcome {
    let library = folder.join(SONAME);
    fs::copy(release.join(LIBRARY), &library)?;
    compile(
        "provider.c",
        &folder.join(PROVIDER),
        &[library.as_os_str(), OsStr::new("-Wl,-rpath,$ORIGIN")],
    )
}

/// Compiles a program of tests/bench.
fn compile(source: &str, program: &Path, with: &[&OsStr]) -> Outcome {
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg(root().join("tests/bench").join(source))
        .arg("-o")
        .arg(program)
        .args(with);
    must(&mut compiler)
}
