//! System tests: the built programs, run by an ordinary user through a real
//! mount, in private sessions.

use super::test_bed::TestBed;
use super::{Selection, c_library};
use crate::Outcome;
use crate::steps::Tally;

pub fn run(selection: &Selection) -> Outcome<Tally> {
    TestBed::prepare(|test| test != c_library::TEST)?.run(selection)
}
