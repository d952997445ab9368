//! Unit and property tests: everything that needs no mount. The engine's
//! tables are tested once more under a scheduler that tries interleavings.

use super::Selection;
use crate::Outcome;
use crate::cargo::{cargo, libtest};
use crate::steps::Tally;

pub fn run(selection: &Selection) -> Outcome<Tally> {
    let mut command = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(["--exclude", "fuse-promise-tests", "--lib", "--bins"]);
    // Integration tests of single crates, where a crate has them.
    command.args(["--tests", "--"]).args(&selection.filters);
    libtest(&mut command)
}

pub fn interleavings(selection: &Selection) -> Outcome<Tally> {
    let mut command = cargo(&["test", "--locked", "-p", "fuse-promise-engine"]);
    // The other tests use threads that the scheduler knows nothing of.
    command.args(["--features", "shuttle", "--lib", "--", "session::tests::"]);
    libtest(command.args(&selection.filters))
}
