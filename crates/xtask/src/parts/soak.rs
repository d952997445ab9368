//! The soak test for as long as one likes. Its short form is one of the system tests.

use super::Selection;
use super::test_bed::TestBed;
use crate::Outcome;
use crate::packages::{BUILD, MOUNT, Need, SESSION};
use crate::steps::Tally;

pub const NEEDS: &[&[Need]] = &[BUILD, MOUNT, SESSION];

pub fn run(selection: &Selection, minutes: u32) -> Outcome<Tally> {
    let mut bed = TestBed::prepare(|test| test == "soak")?;
    bed.environment("FUSE_PROMISE_SOAK_MINUTES", minutes.to_string());
    bed.run(selection)
}
