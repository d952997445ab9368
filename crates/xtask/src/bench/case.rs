//! What is measured, and how much of the baseline's rate a promise must reach.

use super::copying::{Copying, Counted, Tree};
use super::measurement::{Measurement, Side};
use super::reading::{Order, Reading};
use super::stand::{Source, Stand};
use crate::Outcome;

/// One comparison of a promise with its baseline.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub work: Work,
    /// The least acceptable share of the baseline's rate.
    pub target: f64,
}

/// What both sides do, each in its own way.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Read(Reading),
    Copy(Copying),
}

impl Case {
    /// Of the rate.
    pub fn unit(&self) -> &'static str {
        match &self.work {
            Work::Read(reading) => reading.unit(),
            Work::Copy(copying) => copying.unit(),
        }
    }

    /// What must be served for it.
    pub fn sources(&self) -> Vec<Source> {
        match &self.work {
            Work::Read(_) => vec![Source::SingleProcess, Source::Memory],
            Work::Copy(copying) => vec![Source::Tree(copying.tree)],
        }
    }

    /// Lets a side do its work once and looks whether the bytes are right, so that nothing fast
    /// and wrong is measured.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        match &self.work {
            Work::Read(_) => Reading::verify(stand, side),
            Work::Copy(copying) => copying.verify(stand, side),
        }
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        match &self.work {
            Work::Read(reading) => reading.measure(stand, side),
            Work::Copy(copying) => copying.measure(stand, side),
        }
    }
}

/// The targets of the reads follow from the number of wake-ups: a read from one process needs two,
/// a read through a provider four. The larger the read, the less they weigh.
///
/// A copy saves the way through the kernel's FUSE queue and asks for several pieces at a time. One
/// of a file that lies in memory already has a single copy of its bytes to make, a promised one
/// two.
pub const CASES: [Case; 8] = [
    read("sequential-1m", Order::Sequential, 1 << 20, 1, 0.90),
    read("sequential-128k", Order::Sequential, 128 << 10, 1, 0.52),
    read("random-4k-1", Order::Random, 4 << 10, 1, 0.40),
    read("random-4k-8", Order::Random, 4 << 10, 8, 0.53),
    copy(
        "materialize-tree",
        Copying::through_mount(Tree::MIXED, Counted::Mebibytes),
        1.5,
    ),
    copy(
        "materialize-1g",
        Copying::from_memory(Tree::LARGE, Counted::Mebibytes),
        0.5,
    ),
    copy(
        "materialize-slow",
        Copying::through_mount(Tree::SLOW, Counted::Mebibytes),
        10.0,
    ),
    copy(
        "materialize-small",
        Copying::through_mount(Tree::SMALL, Counted::Files),
        3.0,
    ),
];

const fn read(name: &'static str, order: Order, block: u64, readers: usize, target: f64) -> Case {
    let work = Work::Read(Reading {
        order,
        block,
        readers,
    });
    Case { name, work, target }
}

const fn copy(name: &'static str, copying: Copying, target: f64) -> Case {
    let work = Work::Copy(copying);
    Case { name, work, target }
}
