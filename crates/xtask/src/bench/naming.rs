//! Names without contents: trees that are committed, listed and asked for attributes.
//!
//! What the kernel does not know yet is asked of a new promise, and of a single process that has
//! just mounted the same tree. What it knows is beside the same tree as ordinary files in memory
//! (a tmpfs), whose names it always knows, since they are nowhere else: a pass that is not measured
//! has told it those of the promise. A commit is beside creating such files, or beside the least that
//! can be done to the names: sorting their paths and writing them to memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::copying::Tree;
use super::cost::Cost;
use super::measurement::{Measurement, Side};
use super::reading::{fields, number};
use super::stand::{Source, Stand};
use crate::Outcome;

#[derive(Debug, Clone, Copy)]
pub struct Naming {
    tree: Tree,
    step: Step,
    beside: Beside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A promise is built and committed; the baseline creates files of the same lengths, or sorts.
    Make,
    /// Every directory is listed.
    List,
    /// The same, and each entry is asked for its attributes as it comes.
    ListStat,
    /// Every file is asked for its attributes, by its path.
    Stat,
}

/// What it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Names that the kernel does not know.
    SingleProcess,
    /// Names that it knows.
    Memory,
    /// Paths that are sorted.
    Sorted,
}

/// Names, the seconds they took, and what was spent on them.
type Done = (f64, f64, Cost);

impl Step {
    /// What bench-names calls it, and whether it needs to know the shape.
    fn verb(self) -> (&'static str, bool) {
        match self {
            Self::Make => ("make", true),
            Self::List => ("list", false),
            Self::ListStat => ("list-stat", false),
            Self::Stat => ("stat", true),
        }
    }
}

impl Naming {
    pub const fn of(shape: &'static str, step: Step, beside: Beside) -> Self {
        Self {
            tree: Tree::at_once(shape),
            step,
            beside,
        }
    }

    pub const fn making(shape: &'static str) -> Self {
        Self::of(shape, Step::Make, Beside::Memory)
    }

    pub const fn sorting(shape: &'static str) -> Self {
        Self::of(shape, Step::Make, Beside::Sorted)
    }

    pub fn sources(&self) -> Vec<Source> {
        let promise = Source::Tree(self.tree);
        match self.beside {
            Beside::SingleProcess => vec![Source::Names(self.tree.shape), promise],
            Beside::Memory | Beside::Sorted => vec![promise],
        }
    }

    /// None for ordinary files.
    fn source(&self, side: Side) -> Option<Source> {
        match (side, self.beside) {
            (Side::Promise, _) => Some(Source::Tree(self.tree)),
            (Side::Baseline, Beside::SingleProcess) => Some(Source::Names(self.tree.shape)),
            (Side::Baseline, Beside::Memory | Beside::Sorted) => None,
        }
    }

    /// Both sides must have the same names.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        if side == Side::Baseline && self.beside == Beside::Sorted {
            return Ok(());
        }
        let folder = self.folder(stand, side)?;
        self.run(stand, "verify", true, &folder).map(drop)
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        let (names, seconds, cost) = match (side, self.step) {
            (Side::Promise, Step::Make) => self.commit(stand)?,
            (Side::Baseline, Step::Make) if self.beside == Beside::Sorted => self.sort(stand)?,
            (Side::Baseline, Step::Make) => self.create(stand)?,
            (_, step) => self.look(stand, side, step)?,
        };
        Ok(Measurement {
            rate: names / seconds,
            cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / names,
            switches: cost.switches as f64 / names,
            latency: None,
            memory_kibibytes: None,
        })
    }

    fn spent(&self, stand: &Stand, side: Side) -> Outcome<Cost> {
        let children = Cost::of_ended_children()?;
        Ok(match self.source(side) {
            Some(source) => stand.cost(source)? + children,
            None => children,
        })
    }

    fn commit(&self, stand: &mut Stand) -> Outcome<Done> {
        let before = self.spent(stand, Side::Promise)?;
        let served = stand.serve_anew(Source::Tree(self.tree))?;
        let cost = self.spent(stand, Side::Promise)? - before;
        Ok((served.files as f64, served.seconds, cost))
    }

    fn sort(&self, stand: &Stand) -> Outcome<Done> {
        let before = self.spent(stand, Side::Baseline)?;
        let mut command = stand.programs().names();
        command.args(["sort", self.tree.shape]);
        let (names, seconds) = told(command)?;
        let cost = self.spent(stand, Side::Baseline)? - before;
        Ok((names, seconds, cost))
    }

    fn create(&self, stand: &Stand) -> Outcome<Done> {
        let folder = stand.scratch_folder("made")?;
        let before = self.spent(stand, Side::Baseline)?;
        let (names, seconds) = self.run(stand, "make", true, &folder)?;
        let cost = self.spent(stand, Side::Baseline)? - before;
        fs::remove_dir_all(folder)?;
        Ok((names, seconds, cost))
    }

    fn look(&self, stand: &mut Stand, side: Side, step: Step) -> Outcome<Done> {
        let folder = self.folder(stand, side)?;
        let (verb, shaped) = step.verb();
        if self.beside == Beside::Memory {
            self.run(stand, verb, shaped, &folder)?;
        }
        let before = self.spent(stand, side)?;
        let (names, seconds) = self.run(stand, verb, shaped, &folder)?;
        Ok((names, seconds, self.spent(stand, side)? - before))
    }

    /// Names and seconds.
    fn run(&self, stand: &Stand, verb: &str, shaped: bool, folder: &Path) -> Outcome<(f64, f64)> {
        let mut command = stand.programs().names();
        command.arg(verb);
        command.args(shaped.then_some(self.tree.shape));
        command.arg(folder);
        told(command)
    }

    /// A tree of which the kernel knows nothing, or that of ordinary files.
    fn folder(&self, stand: &mut Stand, side: Side) -> Outcome<PathBuf> {
        match self.source(side) {
            Some(source) => {
                let path = stand.serve_anew(source)?.path;
                // The kernel forgets the promise before, and the daemon hears of it. A single
                // process is rid of all that by unmounting.
                if side == Side::Promise {
                    stand.until_at_rest(source)?;
                }
                Ok(path)
            }
            None => self.ordinary(stand),
        }
    }

    /// The tree as ordinary files, made when it is first wanted.
    fn ordinary(&self, stand: &Stand) -> Outcome<PathBuf> {
        let name = format!("names-{}", self.tree.shape);
        let path = stand.scratch().join(&name);
        if !path.exists() {
            stand.scratch_folder(&name)?;
            self.run(stand, "make", true, &path)?;
        }
        Ok(path)
    }
}

/// Names and seconds, as bench-names tells them.
fn told(command: Command) -> Outcome<(f64, f64)> {
    let seen = fields(command)?;
    Ok((number(&seen, "names")?, number(&seen, "nanoseconds")? / 1e9))
}
