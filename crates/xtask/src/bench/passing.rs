//! Passes over a file of a promise that is cached read-through, as programs make them.
//!
//! Each is of a promise of its own, so neither the kernel nor the daemon holds anything of it. The
//! baseline is a single process whose pages the kernel keeps as well, or, where a slow provider is
//! to be hidden, the same provider behind a daemon that asks for nothing ahead.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::copying::{Tree, succeed};
use super::cost::Cost;
use super::daemons::Caching;
use super::measurement::{Measurement, Side};
use super::reading::{fields, number};
use super::stand::{Source, Stand, TreeServed};
use crate::Outcome;

#[derive(Debug, Clone, Copy)]
pub struct Passing {
    pub tree: Tree,
    pub by: By,
    pub beside: Beside,
}

/// Who makes the pass.
#[derive(Debug, Clone, Copy)]
pub enum By {
    /// bench-reader with one of its patterns (tests/bench/pass.rs).
    Reader(&'static str),
    /// tests/bench/mapped.c.
    Mapped,
    Cat,
    Cp,
    /// Of the whole tree.
    Tar,
}

/// What it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// A file of the same length by a process with a mount of its own, with the kernel's cache.
    SingleProcess,
    /// The same provider without prefetching. A slow one is read for so many bytes only: its rate
    /// is the same all along.
    OnDemand { bytes: u64 },
}

/// All of the file.
pub const WHOLE: u64 = u64::MAX;

impl Passing {
    pub fn source(&self, side: Side) -> Source {
        match (side, self.beside) {
            (Side::Promise, _) => Source::Tree(self.tree),
            (Side::Baseline, Beside::SingleProcess) => Source::KeepCache,
            (Side::Baseline, Beside::OnDemand { .. }) => Source::Tree(Tree {
                caching: Caching::OnDemand,
                ..self.tree
            }),
        }
    }

    fn bytes(&self, side: Side) -> u64 {
        match (side, self.beside) {
            (Side::Baseline, Beside::OnDemand { bytes }) => bytes,
            _ => WHOLE,
        }
    }

    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        let source = self.source(side);
        let served = stand.serve_anew(source)?;
        let mut command = stand.programs().reader();
        command.arg("verify").arg(served.file(source));
        command.arg(self.bytes(side).to_string());
        fields(command).map(drop)
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        let source = self.source(side);
        let served = stand.serve_anew(source)?;
        let before = stand.cost(source)? + Cost::of_ended_children()?;
        let (bytes, seconds) = self.pass(stand, side, &served)?;
        let cost = stand.cost(source)? + Cost::of_ended_children()? - before;
        let mebibytes = bytes / f64::from(1 << 20);
        Ok(Measurement {
            rate: mebibytes / seconds,
            cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / mebibytes,
            switches: cost.switches as f64 / mebibytes,
            latency: None,
            memory_kibibytes: None,
        })
    }

    /// Bytes and seconds.
    fn pass(&self, stand: &Stand, side: Side, served: &TreeServed) -> Outcome<(f64, f64)> {
        let programs = stand.programs();
        let file = served.file(self.source(side));
        let measuring = match self.by {
            By::Reader(pattern) => {
                let mut reader = programs.reader();
                reader.args(["pass", pattern]);
                reader
            }
            By::Mapped => programs.mapped(),
            By::Cat => return timed(programs.installed("cat"), &[&file], served),
            By::Cp => {
                let folder = stand.scratch_folder("copy")?;
                let done = timed(programs.installed("cp"), &[&file, &folder], served);
                std::fs::remove_dir_all(folder)?;
                return done;
            }
            By::Tar => {
                let folder = stand.scratch_folder("archive")?;
                let mut tar = programs.installed("tar");
                tar.arg("-cf").arg(folder.join("archive.tar")).arg("-C");
                let done = timed(tar, &[&served.path, Path::new(".")], served);
                std::fs::remove_dir_all(folder)?;
                return done;
            }
        };
        let mut command = measuring;
        command.arg(file).arg(self.bytes(side).to_string());
        let seen = fields(command)?;
        Ok((number(&seen, "bytes")?, number(&seen, "nanoseconds")? / 1e9))
    }
}

/// Runs a program that reads everything it is given.
fn timed(mut command: Command, paths: &[&Path], served: &TreeServed) -> Outcome<(f64, f64)> {
    command.args(paths);
    let started = Instant::now();
    succeed(command)?;
    Ok((served.bytes as f64, started.elapsed().as_secs_f64()))
}
