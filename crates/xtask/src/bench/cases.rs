//! The table of cases.
//!
//! The targets of the reads follow from the number of wake-ups: a read from one process needs two,
//! a read through a provider four. The larger the read, the less they weigh.
//!
//! A copy saves the way through the kernel's FUSE queue and asks for several pieces at a time. One
//! of a file that lies in memory already has a single copy of its bytes to make, a promised one
//! two.
//!
//! Names that the kernel does not know cost a promise what they cost any FUSE file system: both are
//! asked as often, and answer out of memory. Names that it knows it tells itself.

use super::bounding::Bounding;
use super::case::{Case, Work};
use super::copying::{Copying, Counted, Tree};
use super::naming::{Beside as NamesBeside, Naming, Step};
use super::passing::{Beside, By, Passing, WHOLE};
use super::reading::{Order, Reading};
use super::target::Target;

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

/// Of a single process, where the kernel has to ask.
const COLD: Target = Target::ratio(0.9);
/// Of a tmpfs, where it need not.
const WARM: Target = Target::ratio(0.6);
/// A store of 64 MiB, and what else a daemon needs for a reader in sequence.
const BOUND: f64 = ((64 + 48) << 10) as f64;

pub const CASES: [Case; 33] = [
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
    work("fairness", Work::Share, Target::ratio(0.33)),
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
    work("first-byte", Work::Start, Target::NONE),
    work("idle-sessions", Work::Idle, Target::memory(200.0)),
    name("commit-1k", Naming::making("1k"), Target::NONE),
    name("commit-100k", Naming::making("100k"), Target::NONE),
    name("find", cold("100k", Step::List), COLD),
    name("find-stat", cold("100k", Step::ListStat), COLD),
    name("stat", cold("100k", Step::Stat), COLD),
    name("find-warm", warm("100k", Step::List), WARM),
    name("find-stat-warm", warm("100k", Step::ListStat), WARM),
    name("find-1m", cold("1m", Step::List), COLD).long(),
    name("find-stat-1m", cold("1m", Step::ListStat), COLD).long(),
    name("list-wide", cold("wide", Step::ListStat), COLD).long(),
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
    work(
        "bounded-4g",
        Work::Bound(Bounding {
            shape: "4g",
            store: "64MiB",
        }),
        Target::memory(BOUND),
    )
    .long(),
];

const fn cold(shape: &'static str, step: Step) -> Naming {
    Naming::of(shape, step, NamesBeside::SingleProcess)
}

const fn warm(shape: &'static str, step: Step) -> Naming {
    Naming::of(shape, step, NamesBeside::Memory)
}

const fn work(name: &'static str, work: Work, target: Target) -> Case {
    Case {
        name,
        work,
        target,
        long: false,
    }
}

const fn read(
    name: &'static str,
    order: Order,
    block: u64,
    readers: usize,
    target: Target,
) -> Case {
    let reading = Reading {
        order,
        block,
        readers,
    };
    work(name, Work::Read(reading), target)
}

const fn pass(name: &'static str, tree: Tree, by: By, beside: Beside, target: Target) -> Case {
    work(name, Work::Pass(Passing { tree, by, beside }), target)
}

const fn name(name: &'static str, naming: Naming, target: Target) -> Case {
    work(name, Work::Name(naming), target)
}

const fn copy(name: &'static str, copying: Copying, target: f64) -> Case {
    work(name, Work::Copy(copying), Target::ratio(target))
}
