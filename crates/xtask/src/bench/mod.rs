//! `cargo xtask bench`: what a read through a promise costs beside a single process.
//!
//! Two file systems are mounted for the whole run: the baseline (tests/bench/baseline.rs, one
//! process that answers from its memory) and the real thing (the daemon, and a C provider that
//! answers from its memory). In every round each case is read from the one and at once from the
//! other, so that whatever else the machine does meets both. What counts is the median over the
//! rounds of the two rates' quotient; bare rates of a shared machine mean little.

mod case;
mod cost;
mod hardware;
mod programs;
mod reading;
mod report;
mod served;
mod statistics;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use case::Case;
use programs::Programs;
use reading::{Pair, Reading};
use report::Report;
use served::Served;

/// The file that is read. It stays in the processor's cache on purpose: the question is what the
/// way costs, and a provider's copy out of slow memory would be counted as part of it.
const FILE_SIZE: u64 = 8 << 20;
/// `--assert` refuses to judge by fewer rounds.
const ROUNDS_TO_ASSERT: usize = 7;

/// Measure reads through a promise beside a single-process file system.
#[derive(Debug, Args)]
pub struct Bench {
    /// Measure only the cases whose name begins so (sequential-1m, sequential-128k, random-4k-1,
    /// random-4k-8).
    name: Option<String>,
    /// How often each case is measured on each side.
    #[arg(long, default_value_t = ROUNDS_TO_ASSERT, value_name = "N")]
    rounds: usize,
    /// How long one measurement reads.
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    milliseconds: u64,
    /// Write the figures as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show how the figures differ from an earlier --json file.
    #[arg(long, value_name = "OLD.json")]
    against: Option<PathBuf>,
    /// Fail if a case is below its target.
    #[arg(long)]
    assert: bool,
}

impl Bench {
    pub fn run(self) -> Outcome<ExitCode> {
        let cases = chosen(self.name.as_deref())?;
        if self.rounds == 0 || (self.assert && self.rounds < ROUNDS_TO_ASSERT) {
            let least = if self.assert { ROUNDS_TO_ASSERT } else { 1 };
            return Err(format!("--rounds {}: at least {least} are needed", self.rounds).into());
        }
        let earlier = self.against.as_deref().map(report::load).transpose()?;
        let programs = Programs::build()?;
        let sides = [
            Served::baseline(&programs, FILE_SIZE)?,
            Served::promise(&programs, FILE_SIZE)?,
        ];
        for side in &sides {
            reading::verify(&programs, side)?;
        }
        let measured = self.measure(&programs, &sides, &cases)?;
        for side in sides {
            side.stop()?;
        }
        let report = Report::new(measured, self.rounds, self.milliseconds, FILE_SIZE);
        println!("{}", report.table(earlier.as_ref()));
        if let Some(path) = &self.json {
            report.save(path)?;
        }
        let below = if self.assert {
            report.below_target()
        } else {
            Vec::new()
        };
        below.iter().for_each(|line| eprintln!("{line}"));
        Ok(if below.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn measure(
        &self,
        programs: &Programs,
        [baseline, promise]: &[Served; 2],
        cases: &[Case],
    ) -> Outcome<Vec<(Case, Vec<Pair>)>> {
        let mut measured: Vec<(Case, Vec<Pair>)> =
            cases.iter().map(|case| (*case, Vec::new())).collect();
        for round in 0..self.rounds {
            eprintln!("round {} of {}", round + 1, self.rounds);
            for (case, pairs) in &mut measured {
                let read = |side| Reading::take(programs, side, case, self.milliseconds);
                // Every other round the other side goes first: neither always meets a warm machine.
                pairs.push(if round % 2 == 0 {
                    let baseline = read(baseline)?;
                    Pair {
                        baseline,
                        promise: read(promise)?,
                    }
                } else {
                    let promise = read(promise)?;
                    Pair {
                        baseline: read(baseline)?,
                        promise,
                    }
                });
            }
        }
        Ok(measured)
    }
}

fn chosen(name: Option<&str>) -> Outcome<Vec<Case>> {
    let prefix = name.unwrap_or_default();
    let cases: Vec<Case> = case::CASES
        .into_iter()
        .filter(|case| case.name.starts_with(prefix))
        .collect();
    if cases.is_empty() {
        let names: Vec<&str> = case::CASES.iter().map(|case| case.name).collect();
        return Err(format!(
            "no case begins with {prefix}; there are {}",
            names.join(", ")
        )
        .into());
    }
    Ok(cases)
}
