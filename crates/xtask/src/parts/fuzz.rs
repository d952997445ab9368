//! The fuzz targets, each for some seconds beyond its corpus. `cargo xtask
//! fuzz` runs the same at length.

use std::time::Duration;

use super::Selection;
use crate::Outcome;
use crate::cargo::{cargo, libtest};
use crate::steps::Tally;

/// The test program of most targets; the system tests do without it.
pub const TEST: &str = "fuzz";

/// Enough for a few thousand cases of the slowest target.
const BRIEFLY: Duration = Duration::from_secs(8);

/// One target: a test that takes the time it is given.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// Where cargo finds it, and the beginning of the test's name there.
    program: &'static [&'static str],
    test: &'static str,
}

const fn target(name: &'static str, test: &'static str) -> Target {
    let program = &["-p", "fuse-promise-tests", "--test", TEST];
    Target {
        name,
        program,
        test,
    }
}

/// All of them. Their corpora are `tests/fuzz/corpus/NAME`.
pub const TARGETS: &[Target] = &[
    target("image", "image::"),
    target("frames", "frames::"),
    target("session", "session::"),
    target("options", "options::"),
    target("records", "records::"),
    Target {
        name: "bus",
        program: &["-p", "fuse-promised", "--lib"],
        test: "bus::tests::fuzz::",
    },
];

impl Target {
    /// Runs it for so long.
    pub fn run(&self, time: Duration) -> Outcome<Tally> {
        let mut command = cargo(&["test", "--locked"]);
        command.args(self.program);
        command.args(["--", "--nocapture", self.test]);
        command.env("FUSE_PROMISE_FUZZ_SECONDS", time.as_secs().to_string());
        libtest(&mut command)
    }
}

pub fn run(selection: &Selection) -> Outcome<Tally> {
    let mut tally = Tally::default();
    for target in TARGETS {
        let filters = &selection.filters;
        if filters.is_empty() || filters.iter().any(|filter| target.name.contains(filter)) {
            tally += target.run(BRIEFLY)?;
        }
    }
    Ok(tally)
}
