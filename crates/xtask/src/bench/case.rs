//! What is measured, and what a promise must reach.

use super::copying::{Copying, Counted, Tree};
use super::measurement::{Measurement, Side};
use super::naming::{Naming, Step};
use super::passing::{Beside, By, Passing, WHOLE};
use super::reading::{Order, Reading};
use super::stand::{Source, Stand};
use super::starting;
use super::target::Target;
use crate::Outcome;

/// One comparison of a promise with its baseline.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub work: Work,
    pub target: Target,
}

/// What both sides do, each in its own way.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Read(Reading),
    Copy(Copying),
    Pass(Passing),
    Name(Naming),
    /// From nothing to the first byte.
    Start,
}

impl Case {
    /// Of the rate.
    pub fn unit(&self) -> &'static str {
        match &self.work {
            Work::Read(reading) => reading.unit(),
            Work::Copy(copying) => copying.unit(),
            Work::Pass(_) => "MiB/s",
            Work::Name(_) => "names/s",
            Work::Start => "starts/s",
        }
    }

    /// The rate that the provider's own slowness allows.
    pub fn most(&self) -> Option<f64> {
        match &self.work {
            Work::Pass(passing) => passing.tree.most(),
            _ => None,
        }
    }

    /// What must be served for it.
    pub fn sources(&self) -> Vec<Source> {
        match &self.work {
            Work::Read(_) => vec![Source::SingleProcess, Source::Memory],
            Work::Copy(copying) => vec![Source::Tree(copying.tree)],
            Work::Pass(passing) => [Side::Baseline, Side::Promise]
                .map(|side| passing.source(side))
                .to_vec(),
            Work::Name(naming) => vec![Source::Tree(naming.tree)],
            Work::Start => Vec::new(),
        }
    }

    /// Lets a side do its work once and looks whether the bytes are right, so that nothing fast
    /// and wrong is measured.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        match &self.work {
            Work::Read(_) => Reading::verify(stand, side),
            Work::Copy(copying) => copying.verify(stand, side),
            Work::Pass(passing) => passing.verify(stand, side),
            Work::Name(naming) => naming.verify(stand, side),
            Work::Start => starting::measure(stand, side).map(drop),
        }
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        match &self.work {
            Work::Read(reading) => reading.measure(stand, side),
            Work::Copy(copying) => copying.measure(stand, side),
            Work::Pass(passing) => passing.measure(stand, side),
            Work::Name(naming) => naming.measure(stand, side),
            Work::Start => starting::measure(stand, side),
        }
    }
}

/// One file of 256 MiB; one of 32 MiB; four of 8 MiB.
const LONG: Tree = Tree::at_once("256m").cached();
const FILE: Tree = Tree::at_once("32m").cached();
const FILES: Tree = Tree::at_once("4x8m").cached();

/// Of the time that a slow provider's file would take without prefetching, a second or two are
/// enough.
const fn first(mebibytes: u64) -> Beside {
    Beside::OnDemand {
        bytes: mebibytes << 20,
    }
}

/// How a slow provider is read that takes 10 ms and works on one read at a time, as most do.
const fn hidden(name: &'static str, tree: Tree, by: By) -> Case {
    let beside = Beside::OnDemand { bytes: WHOLE };
    let tree = tree.taking(10, 1);
    pass(name, tree, by, beside, Target::ratio(3.0))
}

/// The targets of the reads follow from the number of wake-ups: a read from one process needs two,
/// a read through a provider four. The larger the read, the less they weigh.
///
/// A copy saves the way through the kernel's FUSE queue and asks for several pieces at a time. One
/// of a file that lies in memory already has a single copy of its bytes to make, a promised one
/// two.
pub const CASES: [Case; 24] = [
    read(
        "sequential-1m",
        Order::Sequential,
        1 << 20,
        1,
        Target::ratio(0.92),
    ),
    read(
        "sequential-128k",
        Order::Sequential,
        128 << 10,
        1,
        Target::ratio(0.65),
    ),
    read(
        "random-4k-1",
        Order::Random,
        4 << 10,
        1,
        Target::ratio(0.50),
    ),
    read(
        "random-4k-8",
        Order::Random,
        4 << 10,
        8,
        Target::ratio(0.65).and_p99(2.0),
    ),
    pass(
        "cached-first",
        LONG,
        By::Reader("forward"),
        Beside::SingleProcess,
        Target::ratio(0.8),
    ),
    pass(
        "cached-second",
        LONG,
        By::Reader("again"),
        Beside::SingleProcess,
        Target::ratio(0.9),
    ),
    pass(
        "slow-10ms-1",
        LONG.taking(10, 1),
        By::Reader("forward"),
        first(16),
        Target::rate(70.0).and_ratio(7.0),
    ),
    pass(
        "slow-10ms-16",
        LONG.taking(10, 16),
        By::Reader("forward"),
        first(16),
        Target::rate(600.0),
    ),
    pass(
        "slow-100ms-16",
        LONG.taking(100, 16),
        By::Reader("forward"),
        first(4),
        Target::rate(100.0),
    ),
    hidden("slow-cp", FILE, By::Cp),
    hidden("slow-cat", FILE, By::Cat),
    hidden("slow-tar", FILES, By::Tar),
    hidden("slow-video", FILE, By::Reader("video")),
    hidden("slow-pair", FILE, By::Reader("pair")),
    hidden("slow-mapped", FILE, By::Mapped),
    Case {
        name: "first-byte",
        work: Work::Start,
        target: Target::NONE,
    },
    name("commit-1k", Tree::at_once("1k"), Step::Make),
    name("commit-100k", Tree::at_once("100k"), Step::Make),
    name("readdir", Tree::at_once("100k"), Step::List),
    name("stat", Tree::at_once("100k"), Step::Stat),
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

const fn read(
    name: &'static str,
    order: Order,
    block: u64,
    readers: usize,
    target: Target,
) -> Case {
    let work = Work::Read(Reading {
        order,
        block,
        readers,
    });
    Case { name, work, target }
}

const fn pass(name: &'static str, tree: Tree, by: By, beside: Beside, target: Target) -> Case {
    let work = Work::Pass(Passing { tree, by, beside });
    Case { name, work, target }
}

const fn name(name: &'static str, tree: Tree, step: Step) -> Case {
    let work = Work::Name(Naming { tree, step });
    let target = Target::NONE;
    Case { name, work, target }
}

const fn copy(name: &'static str, copying: Copying, target: f64) -> Case {
    let work = Work::Copy(copying);
    let target = Target::ratio(target);
    Case { name, work, target }
}
