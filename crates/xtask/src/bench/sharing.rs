//! A reader whose provider has nothing else to do, while many readers keep another provider of the
//! same daemon busy. Beside it stands the same reader alone: what is left of its rate is what the
//! daemon lets one provider take from another, and what the machine's processors do.
//!
//! What a read costs the serving programs is told with the neighbour's reads in it.

use super::measurement::{Measurement, Side};
use super::process::Process;
use super::reading::{Order, Reading, verify_file};
use super::stand::{Source, Stand};
use crate::Outcome;

/// The reader that is measured.
pub const SINGLE: Reading = Reading {
    order: Order::Random,
    block: 4 << 10,
    readers: 1,
};
/// Of the neighbour.
const READERS: &str = "64";

/// Of both files.
pub fn verify(stand: &Stand) -> Outcome {
    verify_file(stand, Source::Memory)?;
    verify_file(stand, Source::Neighbour)
}

pub fn measure(stand: &Stand, side: Side) -> Outcome<Measurement> {
    let alone = || SINGLE.measure_of(stand, Source::Memory);
    match side {
        Side::Baseline => alone(),
        Side::Promise => {
            let mut command = stand.programs().reader();
            command.arg("saturate").arg(stand.file(Source::Neighbour)?);
            command.args([&SINGLE.block.to_string(), READERS]);
            let mut neighbours = Process::start(command)?;
            neighbours.line()?;
            let measured = alone()?;
            neighbours.end()?;
            Ok(measured)
        }
    }
}
