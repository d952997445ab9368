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
use super::multitude::Multitude;
use super::naming::{Beside as NamesBeside, Naming, Step};
use super::passing::{Beside, By, Passing, WHOLE};
use super::reading::{Order, Reading};
use super::scaling::{Holder, Scaling, Walk};
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
/// Three times what sorting the paths and writing them to memory takes is enough for a large tree;
/// of a small one most of the time is a call's.
const SORTED: Target = Target::ratio(1.0 / 3.0);
/// A store of 64 MiB, and what else a daemon needs for a reader in sequence.
const BOUND: f64 = ((64 + 48) << 10) as f64;

pub const CASES: [Case; 52] = [
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
    name("scale-commit-1k", Naming::sorting("1k"), Target::NONE),
    name("scale-commit-10k", Naming::sorting("10k"), Target::NONE),
    name("scale-commit-100k", Naming::sorting("100k"), Target::NONE),
    name("scale-commit-1m", Naming::sorting("1m"), SORTED).long(),
    list("scale-list-1k", "1k", 1_000),
    list("scale-list-10k", "10k", 10_000),
    list("scale-list-100k", "100k", 100_000),
    list("scale-list-1m", "1m", 1_000_000).long(),
    list("scale-list-wide", "wide", 200_000).long(),
    stat("scale-stat-1k", "1k", 1_000),
    stat("scale-stat-10k", "10k", 10_000),
    stat("scale-stat-100k", "100k", 100_000),
    stat("scale-stat-1m", "1m", 1_000_000).long(),
    stat("scale-stat-wide", "wide", 200_000).long(),
    inodes("scale-inodes-100k", "100k"),
    inodes("scale-inodes-1m", "1m").long(),
    // A lookup takes at most twice as long.
    work("scale-lookup", Work::Ask, Target::ratio(0.5)),
    // Listing takes at most twice as long.
    work(
        "scale-root",
        Work::Multiply(Multitude::Listed),
        Target::ratio(0.5),
    ),
    // The last ones take at most 1.2 times as long.
    work(
        "scale-churn",
        Work::Multiply(Multitude::Churned),
        Target::memory(2048.0).and_ratio(1.0 / 1.2),
    )
    .long(),
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

/// What the daemon has of its own for a tree that was listed.
const fn list(name: &'static str, shape: &'static str, nodes: u64) -> Case {
    scale(name, shape, nodes, Walk::Names)
}

/// The same with the attributes of each entry.
const fn stat(name: &'static str, shape: &'static str, nodes: u64) -> Case {
    scale(name, shape, nodes, Walk::Attributes)
}

/// Smaller trees are listed in a moment; what counts of them is the memory.
const fn scale(name: &'static str, shape: &'static str, nodes: u64, walk: Walk) -> Case {
    let scaling = Scaling {
        shape,
        walk,
        holder: Holder::Server,
    };
    let memory = Target::memory(Scaling::most(nodes));
    let target = if nodes < 100_000 {
        memory
    } else {
        memory.and_ratio(0.9)
    };
    work(name, Work::Scale(scaling), target)
}

/// What the kernel itself takes for a tree whose every inode it knows.
const fn inodes(name: &'static str, shape: &'static str) -> Case {
    let scaling = Scaling {
        shape,
        walk: Walk::Attributes,
        holder: Holder::Kernel,
    };
    work(name, Work::Scale(scaling), Target::NONE)
}

const fn copy(name: &'static str, copying: Copying, target: f64) -> Case {
    work(name, Work::Copy(copying), Target::ratio(target))
}
