//! The parts of `cargo xtask test`, in the order in which they run: first
//! what fails fast.

mod c_library;
mod fuzz;
mod generated;
mod lints;
mod semantics;
pub mod soak;
mod source_tree;
mod system;
mod test_bed;
mod tidy;
mod unit;

pub use fuzz::{TARGETS as FUZZ_TARGETS, Target as FuzzTarget};
pub use generated::{GENERATED, write_interfaces};
pub use source_tree::sources as source_texts;

use crate::Outcome;
use crate::packages::{BUILD, C_LIBRARY, MOUNT, Need, SESSION, TOOLS};
use crate::steps::Tally;

/// Which of a part's tests to run.
#[derive(Debug)]
pub struct Selection {
    /// With those that take long.
    pub full: bool,
    /// Only tests whose names contain one of these, if any is given.
    pub filters: Vec<String>,
}

/// One part.
#[derive(Debug)]
pub struct Part {
    pub name: &'static str,
    pub about: &'static str,
    pub needs: &'static [&'static [Need]],
    pub run: fn(&Selection) -> Outcome<Tally>,
}

/// All of them.
pub const PARTS: &[Part] = &[
    Part {
        name: "fmt",
        about: "the sources are formatted",
        needs: &[],
        run: lints::fmt,
    },
    Part {
        name: "tidy",
        about: "rules of the source tree; every sentence of docs/semantics.md is tested",
        needs: &[],
        run: tidy::run,
    },
    Part {
        name: "clippy",
        about: "no warning in any target",
        needs: &[BUILD],
        run: lints::clippy,
    },
    Part {
        name: "generated",
        about: "generated files are what the sources say",
        needs: &[BUILD],
        run: generated::run,
    },
    Part {
        name: "unit",
        about: "unit and property tests",
        needs: &[BUILD],
        run: unit::run,
    },
    Part {
        name: "shuttle",
        about: "the engine's tables under many interleavings of their threads",
        needs: &[BUILD],
        run: unit::interleavings,
    },
    Part {
        name: "fuzz",
        about: "images, frames, sessions, settings, records and bus calls of arbitrary bytes",
        needs: &[BUILD],
        run: fuzz::run,
    },
    Part {
        name: "system",
        about: "through a real mount, in private sessions of both shapes",
        needs: &[BUILD, MOUNT, SESSION, TOOLS],
        run: system::run,
    },
    Part {
        name: "c-library",
        about: "installed by meson, used from C: plain, with sanitizers, under memcheck",
        needs: &[BUILD, MOUNT, SESSION, C_LIBRARY],
        run: c_library::run,
    },
];
