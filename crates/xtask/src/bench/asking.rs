//! Whether a name costs more to look up in a larger directory: names that are not there, which are
//! asked of the daemon each time, in one of 200,000 files beside one of 10. Both are promised.

use super::copying::Tree;
use super::cost::Cost;
use super::measurement::{Measurement, Side};
use super::reading::{fields, number};
use super::stand::{Source, Stand};
use crate::Outcome;

/// Each has a single directory.
const DIRECTORY: &str = "directory-0";

pub fn source(side: Side) -> Source {
    Source::Tree(Tree::at_once(match side {
        Side::Baseline => "narrow",
        Side::Promise => "wide",
    }))
}

pub fn measure(stand: &mut Stand, side: Side) -> Outcome<Measurement> {
    let folder = stand.serve_anew(source(side))?.path.join(DIRECTORY);
    stand.until_at_rest(source(side))?;
    let spent = |stand: &Stand| {
        Ok::<_, crate::Failure>(stand.cost(source(side))? + Cost::of_ended_children()?)
    };
    let before = spent(stand)?;
    let mut command = stand.programs().names();
    command.arg("missing").arg(folder);
    let seen = fields(command)?;
    let cost = spent(stand)? - before;
    let names = number(&seen, "names")?;
    Ok(Measurement {
        rate: names * 1e9 / number(&seen, "nanoseconds")?,
        cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / names,
        switches: cost.switches as f64 / names,
        latency: None,
        memory_kibibytes: None,
    })
}
