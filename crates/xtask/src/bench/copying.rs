//! Copies of a tree to memory (a tmpfs): `fpctl materialize` beside `cp -a`.
//!
//! Each copy is of a promise of its own, of which nothing has been read or materialized: neither
//! side finds names in the kernel's cache or bytes in an earlier copy. Making the promise and
//! taking the copy away are not measured; starting the copying program is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::cost::Cost;
use super::daemons::Caching;
use super::hardware::available_memory;
use super::measurement::{Measurement, Side};
use super::stand::{Source, Stand, TreeServed};
use crate::Outcome;

/// A tree that tests/bench/tree.rs serves, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    pub shape: &'static str,
    /// How long the provider takes for each read.
    pub milliseconds: u64,
    /// Reads that it lets itself be asked for at a time.
    pub concurrent: u32,
    /// Of the daemon that serves it.
    pub caching: Caching,
}

impl Tree {
    /// 265 files from 4 KiB to 8 MiB in 20 directories.
    pub const MIXED: Self = Self::at_once("mixed");
    /// One file of 1 GiB.
    pub const LARGE: Self = Self::at_once("large");
    /// 10,000 files of 4 KiB in 100 directories.
    pub const SMALL: Self = Self::at_once("small");
    /// One file of 16 MiB and 128 of 64 KiB.
    pub const SLOW: Self = Self::at_once("slow").taking(10, 16);

    pub const fn at_once(shape: &'static str) -> Self {
        Self {
            shape,
            milliseconds: 0,
            concurrent: 1,
            caching: Caching::Off,
        }
    }

    /// By a provider that takes so long for a read and works on so many at a time.
    pub const fn taking(self, milliseconds: u64, concurrent: u32) -> Self {
        Self {
            milliseconds,
            concurrent,
            ..self
        }
    }

    pub const fn cached(self) -> Self {
        Self {
            caching: Caching::Ahead,
            ..self
        }
    }

    /// MiB/s that its provider cannot exceed: as many of the longest requests as it works on at a
    /// time, each answered after its time. None if it takes no time.
    pub fn most(&self) -> Option<f64> {
        let each = self.milliseconds as f64 / 1e3;
        (each > 0.0).then(|| f64::from(self.concurrent) / each)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Copying {
    pub tree: Tree,
    counted: Counted,
    from: From,
}

/// What the rate counts.
#[derive(Debug, Clone, Copy)]
pub enum Counted {
    Mebibytes,
    Files,
}

/// Where the baseline's cp finds the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Mount,
    /// The tree as ordinary files beside the target.
    Memory,
}

/// Memory that must be left beside a tree and its copy.
const SPARE_MEMORY: u64 = 512 << 20;

impl Copying {
    pub const fn through_mount(tree: Tree, counted: Counted) -> Self {
        let from = From::Mount;
        Self {
            tree,
            counted,
            from,
        }
    }

    pub const fn from_memory(tree: Tree, counted: Counted) -> Self {
        let from = From::Memory;
        Self {
            tree,
            counted,
            from,
        }
    }

    pub fn unit(&self) -> &'static str {
        match self.counted {
            Counted::Mebibytes => "MiB/s",
            Counted::Files => "files/s",
        }
    }

    /// Copies once and compares the copy with what should be there.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        let copy = self.copy(stand, side)?;
        let mut command = stand.programs().tree();
        command.args(["verify", self.tree.shape]).arg(&copy.path);
        succeed(command)?;
        Ok(fs::remove_dir_all(&copy.folder)?)
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        let copy = self.copy(stand, side)?;
        fs::remove_dir_all(&copy.folder)?;
        let amount = match self.counted {
            Counted::Mebibytes => copy.served.bytes as f64 / f64::from(1 << 20),
            Counted::Files => copy.served.files as f64,
        };
        Ok(Measurement {
            rate: amount / copy.seconds,
            cpu_microseconds: copy.cost.cpu_nanoseconds as f64 / 1e3 / amount,
            switches: copy.cost.switches as f64 / amount,
            latency: None,
            memory_kibibytes: None,
        })
    }

    fn copy(&self, stand: &mut Stand, side: Side) -> Outcome<Copy> {
        let served = stand.serve_anew(Source::Tree(self.tree))?;
        let needed = 2 * served.bytes + SPARE_MEMORY;
        if available_memory()? < needed {
            let needed = needed >> 20;
            return Err(format!("the tree {} takes {needed} MiB", self.tree.shape).into());
        }
        let folder = stand.scratch_folder("copy")?;
        let (from, command) = match side {
            Side::Promise => {
                let mut command = stand.fpctl(self.tree.caching)?;
                command.arg("materialize");
                (served.path.clone(), command)
            }
            Side::Baseline => {
                let from = match self.from {
                    From::Mount => served.path.clone(),
                    From::Memory => self.ordinary_files(stand)?,
                };
                let mut command = stand.programs().installed("cp");
                command.arg("-a");
                (from, command)
            }
        };
        let path = folder.join(from.file_name().ok_or("a tree without a name")?);
        let (seconds, cost) = self.timed(stand, command, &from, &folder)?;
        Ok(Copy {
            folder,
            path,
            served,
            seconds,
            cost,
        })
    }

    /// Runs the copying program; its time, and what it and the serving programs spent.
    fn timed(
        &self,
        stand: &Stand,
        mut command: Command,
        from: &Path,
        folder: &Path,
    ) -> Outcome<(f64, Cost)> {
        command.arg(from).arg(folder);
        let spent = || -> Outcome<Cost> {
            Ok(stand.cost(Source::Tree(self.tree))? + Cost::of_ended_children()?)
        };
        let before = spent()?;
        let started = Instant::now();
        succeed(command)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok((seconds, spent()? - before))
    }

    /// The tree as ordinary files, made when it is first wanted.
    fn ordinary_files(&self, stand: &Stand) -> Outcome<PathBuf> {
        let path = stand.scratch().join(self.tree.shape);
        if !path.exists() {
            stand.scratch_folder(self.tree.shape)?;
            let mut command = stand.programs().tree();
            command.args(["write", self.tree.shape]).arg(&path);
            succeed(command)?;
        }
        Ok(path)
    }
}

/// A copy that was made.
struct Copy {
    /// An own folder, with nothing else in it.
    folder: PathBuf,
    path: PathBuf,
    served: TreeServed,
    seconds: f64,
    cost: Cost,
}

pub fn succeed(mut command: Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {}", output.status, said.trim_end()).into())
}
