//! `cargo xtask soak`: everything at once, for a long time.

use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use crate::packages;
use crate::parts::{Selection, soak};
use crate::steps::{Steps, Tally};

/// Lets providers come and go, readers compare every byte, copies be made, cancelled and killed,
/// and daemons be killed, in two sessions at a time; then looks whether anything was left.
#[derive(Debug, Args)]
pub struct Soak {
    /// How long each session goes on, in minutes.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

impl Soak {
    pub fn run(self) -> Outcome<ExitCode> {
        let mut steps = Steps::default();
        steps.run("packages", || {
            packages::install(soak::NEEDS).map(|()| Tally::default())
        });
        let selection = Selection {
            full: false,
            filters: Vec::new(),
        };
        steps.run("soak", || soak::run(&selection, self.minutes));
        Ok(steps.report())
    }
}
