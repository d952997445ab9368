//! Names without contents: trees that are committed, listed and asked for attributes, beside the
//! same tree as ordinary files in memory (a tmpfs).
//!
//! The promise is a new one each time, so the kernel knows none of its names; a tmpfs always knows
//! them, since they are nowhere else.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::copying::Tree;
use super::cost::Cost;
use super::measurement::{Measurement, Side};
use super::reading::fields;
use super::stand::{Source, Stand};
use crate::Outcome;

#[derive(Debug, Clone, Copy)]
pub struct Naming {
    pub tree: Tree,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A promise is built and committed; the baseline creates files of the same lengths.
    Make,
    /// Every directory is listed.
    List,
    /// Every file is asked for its attributes.
    Stat,
}

impl Naming {
    /// Both sides must have the same names.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        let folder = match side {
            Side::Promise => stand.serve_anew(Source::Tree(self.tree))?.path,
            Side::Baseline => self.ordinary(stand)?,
        };
        self.run(stand, "stat", folder).map(drop)
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        let source = Source::Tree(self.tree);
        let spent = |stand: &Stand| -> Outcome<Cost> {
            let children = Cost::of_ended_children()?;
            Ok(match side {
                Side::Promise => stand.cost(source)? + children,
                Side::Baseline => children,
            })
        };
        let (names, seconds, cost) = match (side, self.step) {
            (Side::Promise, Step::Make) => {
                let before = spent(stand)?;
                let served = stand.serve_anew(source)?;
                (served.files as f64, served.seconds, spent(stand)? - before)
            }
            (Side::Baseline, Step::Make) => {
                let folder = stand.scratch_folder("made")?;
                let before = spent(stand)?;
                let (names, seconds) = self.run(stand, "make", folder.clone())?;
                let cost = spent(stand)? - before;
                fs::remove_dir_all(folder)?;
                (names, seconds, cost)
            }
            (_, Step::List | Step::Stat) => {
                let folder = match side {
                    Side::Promise => stand.serve_anew(source)?.path,
                    Side::Baseline => self.ordinary(stand)?,
                };
                let verb = if self.step == Step::List {
                    "list"
                } else {
                    "stat"
                };
                let before = spent(stand)?;
                let (names, seconds) = self.run(stand, verb, folder)?;
                (names, seconds, spent(stand)? - before)
            }
        };
        Ok(Measurement {
            rate: names / seconds,
            cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / names,
            switches: cost.switches as f64 / names,
            latency: None,
        })
    }

    /// Names and seconds.
    fn run(&self, stand: &Stand, verb: &str, folder: PathBuf) -> Outcome<(f64, f64)> {
        let mut command: Command = stand.programs().names();
        command.arg(verb);
        if verb != "list" {
            command.arg(self.tree.shape);
        }
        let seen = fields({
            command.arg(folder);
            command
        })?;
        let number = |key: &str| {
            seen.get(key)
                .copied()
                .ok_or(format!("no {key} was printed"))
        };
        Ok((number("names")?, number("nanoseconds")? / 1e9))
    }

    /// The tree as ordinary files, made when it is first wanted.
    fn ordinary(&self, stand: &Stand) -> Outcome<PathBuf> {
        let name = format!("names-{}", self.tree.shape);
        let path = stand.scratch().join(&name);
        if !path.exists() {
            stand.scratch_folder(&name)?;
            self.run(stand, "make", path.clone())?;
        }
        Ok(path)
    }
}
