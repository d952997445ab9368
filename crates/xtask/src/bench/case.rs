//! What is measured, and what a promise must reach. The cases themselves are in `cases.rs`.

use super::asking;
use super::bounding::Bounding;
use super::copying::Copying;
use super::idling;
use super::measurement::{Measurement, Side};
use super::multitude::Multitude;
use super::naming::Naming;
use super::passing::Passing;
use super::reading::Reading;
use super::scaling::Scaling;
use super::sharing;
use super::stand::{Source, Stand};
use super::starting;
use super::target::Target;
use crate::Outcome;

/// One comparison of a promise with its baseline.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub work: Work,
    pub target: Target,
    /// Takes so long that it is run only when it is asked for.
    pub long: bool,
}

/// What both sides do, each in its own way.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Read(Reading),
    /// One reader, while many read from another provider.
    Share,
    Copy(Copying),
    Pass(Passing),
    Name(Naming),
    /// From nothing to the first byte.
    Start,
    /// Sessions that do nothing.
    Idle,
    /// A file that is many times as large as the store.
    Bound(Bounding),
    /// Ever more nodes.
    Scale(Scaling),
    /// Single names in a large directory.
    Ask,
    /// Many promises.
    Multiply(Multitude),
}

impl Case {
    pub const fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// Of the rate.
    pub fn unit(&self) -> &'static str {
        match &self.work {
            Work::Read(reading) => reading.unit(),
            Work::Share => sharing::SINGLE.unit(),
            Work::Copy(copying) => copying.unit(),
            Work::Pass(_) | Work::Bound(_) => "MiB/s",
            Work::Name(_) | Work::Scale(_) | Work::Ask => "names/s",
            Work::Multiply(multitude) => multitude.unit(),
            Work::Start => "starts/s",
            Work::Idle => "sessions/s",
        }
    }

    /// The rate that the provider's own slowness allows.
    pub fn most(&self) -> Option<f64> {
        match &self.work {
            Work::Pass(passing) => passing.tree.most(),
            _ => None,
        }
    }

    /// What must be served for it.
    pub fn sources(&self) -> Vec<Source> {
        match &self.work {
            Work::Read(_) => vec![Source::SingleProcess, Source::Memory],
            Work::Share => vec![Source::Memory, Source::Neighbour],
            Work::Copy(copying) => vec![Source::Tree(copying.tree)],
            Work::Ask => [Side::Baseline, Side::Promise].map(asking::source).to_vec(),
            Work::Pass(passing) => [Side::Baseline, Side::Promise]
                .map(|side| passing.source(side))
                .to_vec(),
            Work::Name(naming) => naming.sources(),
            Work::Start | Work::Idle | Work::Bound(_) | Work::Scale(_) | Work::Multiply(_) => {
                Vec::new()
            }
        }
    }

    /// Lets a side do its work once and looks whether the bytes are right, so that nothing fast
    /// and wrong is measured.
    pub fn verify(&self, stand: &mut Stand, side: Side) -> Outcome {
        match &self.work {
            Work::Read(_) => Reading::verify(stand, side),
            Work::Share => sharing::verify(stand),
            Work::Copy(copying) => copying.verify(stand, side),
            Work::Pass(passing) => passing.verify(stand, side),
            Work::Name(naming) => naming.verify(stand, side),
            Work::Start => starting::measure(stand, side).map(drop),
            // Its programs fail by themselves if they cannot read.
            Work::Idle | Work::Ask | Work::Multiply(_) => Ok(()),
            Work::Scale(scaling) => scaling.verify(stand, side),
            Work::Bound(bounding) => bounding.verify(stand, side),
        }
    }

    pub fn measure(&self, stand: &mut Stand, side: Side) -> Outcome<Measurement> {
        match &self.work {
            Work::Read(reading) => reading.measure(stand, side),
            Work::Share => sharing::measure(stand, side),
            Work::Copy(copying) => copying.measure(stand, side),
            Work::Pass(passing) => passing.measure(stand, side),
            Work::Name(naming) => naming.measure(stand, side),
            Work::Start => starting::measure(stand, side),
            Work::Idle => idling::measure(stand, side),
            Work::Bound(bounding) => bounding.measure(stand, side),
            Work::Scale(scaling) => scaling.measure(stand, side),
            Work::Ask => asking::measure(stand, side),
            Work::Multiply(multitude) => multitude.measure(stand, side),
        }
    }
}
