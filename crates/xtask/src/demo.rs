//! `cargo xtask demo`: from nothing to files read through the mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use crate::cargo::executables;
use crate::machine::Machine;
use crate::packages::{self, BUILD, MOUNT, TOOLS};
use crate::parts::source_texts;
use crate::stage::Stage;

/// Installs what is missing, builds, publishes a real directory in a private
/// session, reads it through the mount with ordinary programs, cleans up.
#[derive(Debug, Args)]
pub struct Demo {
    /// The directory to publish; this project's own sources if none is given.
    directory: Option<PathBuf>,
}

impl Demo {
    pub fn run(self) -> Outcome<ExitCode> {
        packages::install(&[BUILD, MOUNT, TOOLS])?;
        println!("building");
        let programs = executables(&[
            "build",
            "--package=fuse-promised",
            "--package=fpctl",
            "--package=xtask",
            "--bins",
        ])?;
        let (mut machine, user) = Machine::for_mounts()?;
        let stage = Stage::create(&mut machine, &user)?;
        stage.add(&programs)?;
        let published = match &self.directory {
            Some(directory) => directory.canonicalize()?,
            None => copy_sources(&stage)?,
        };
        let mut session = stage.command(&stage.bin().join("xtask"));
        session.arg("demo-session").arg(&published);
        let mut child =
            std::os::unix::process::CommandExt::process_group(&mut session, 0).spawn()?;
        machine.stop_at_end(child.id())?;
        let status = child.wait()?;
        drop(machine);
        println!("everything the demo made is gone again");
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The project's own sources, copied to where the user can read them.
fn copy_sources(stage: &Stage) -> Outcome<PathBuf> {
    let target = stage.place().join("sources");
    for source in source_texts()? {
        let path = target.join(&source.path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, &source.text)?;
    }
    give_all(stage, &target)?;
    Ok(target)
}

fn give_all(stage: &Stage, path: &Path) -> Outcome {
    stage.give(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(stage, &entry?.path())?;
        }
    }
    Ok(())
}
