//! System tests: the built programs, run by an ordinary user through a real
//! mount, in private sessions.

use super::test_bed::TestBed;
use super::{Selection, c_library, fuzz};
use crate::Outcome;
use crate::steps::Tally;

pub fn run(selection: &Selection) -> Outcome<Tally> {
    let others = [c_library::TEST, fuzz::TEST];
    TestBed::prepare(|test| !others.contains(&test))?.run(selection)
}
