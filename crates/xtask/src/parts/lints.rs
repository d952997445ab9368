//! Formatting and lints.

use super::Selection;
use crate::Outcome;
use crate::cargo::{cargo, check};
use crate::steps::Tally;

pub fn fmt(_: &Selection) -> Outcome<Tally> {
    check(&mut cargo(&["fmt", "--all", "--check"]))
}

pub fn clippy(_: &Selection) -> Outcome<Tally> {
    check(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}
