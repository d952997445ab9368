//! `cargo xtask fuzz`: the fuzz targets at length.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::Outcome;
use crate::packages::{self, BUILD};
use crate::parts::{FUZZ_TARGETS, FuzzTarget};
use crate::steps::{Steps, Tally};

/// Looks for inputs that make a parser, a session or a bus call fail. What is
/// found is written to tests/fuzz/corpus and stays there as a test.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// Targets to run; all of them if none is named.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
}

impl Fuzz {
    pub fn run(self) -> Outcome<ExitCode> {
        let targets = self.selected()?;
        let mut steps = Steps::default();
        steps.run("packages", || {
            packages::install(&[BUILD]).map(|()| Tally::default())
        });
        let time = Duration::from_secs(self.minutes * 60);
        for target in targets {
            steps.run(target.name, || target.run(time));
        }
        Ok(steps.report())
    }

    fn selected(&self) -> Outcome<Vec<&'static FuzzTarget>> {
        for name in &self.targets {
            if FUZZ_TARGETS.iter().all(|target| target.name != name) {
                let names: Vec<&str> = FUZZ_TARGETS.iter().map(|target| target.name).collect();
                let names = names.join(" ");
                return Err(format!("there is no target `{name}`; targets: {names}").into());
            }
        }
        let wanted = |name: &str| self.targets.is_empty() || self.targets.iter().any(|n| n == name);
        let targets = FUZZ_TARGETS.iter();
        Ok(targets.filter(|target| wanted(target.name)).collect())
    }
}
