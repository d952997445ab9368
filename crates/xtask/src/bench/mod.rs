//! `cargo xtask bench`: what a promise costs beside the simplest way to the same bytes.
//!
//! Each case (`cases.rs`) lets a baseline and a promise do the same work: read a file over and over
//! (`reading.rs`), beside a busy neighbour (`sharing.rs`) or once (`passing.rs`), copy a tree
//! (`copying.rs`), handle names (`naming.rs`), start (`starting.rs`). Two are about memory: that of
//! sessions which do nothing (`idling.rs`) and that of a large file (`bounding.rs`). Those that begin
//! with scale show what grows with the tree (`scaling.rs`), with a directory (`asking.rs`) and with
//! the number of promises (`multitude.rs`).
//!
//! Nearly everything that serves is there for the whole run (`stand.rs`). In every round each case
//! is measured on the one side and at once on the other, so that whatever else the machine does
//! meets both. What counts is the median over the rounds of the two rates' quotient; bare rates of
//! a shared machine mean little.

mod asking;
mod bounding;
mod case;
mod cases;
mod copying;
mod cost;
mod daemons;
mod gauges;
mod hardware;
mod idling;
mod measurement;
mod multitude;
mod naming;
mod passing;
mod process;
mod programs;
mod reading;
mod report;
mod residence;
mod scaling;
mod scratch;
mod sharing;
mod stand;
mod starting;
mod statistics;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use case::Case;
use cases::CASES;
use measurement::{Pair, Side};
use programs::Programs;
use report::Report;
use stand::Stand;

/// `--assert` refuses to judge by fewer rounds.
const ROUNDS_TO_ASSERT: usize = 7;

/// Measure promises beside their baselines: reads and names beside a single-process file system,
/// slow reads beside a daemon without prefetching, copies beside cp, known names beside a tmpfs.
#[derive(Debug, Args)]
pub struct Bench {
    /// Measure only the cases whose name begins so, of sequential, random, fairness, cached, slow,
    /// first-byte, idle-sessions, commit, find, stat, list-wide, materialize, scale and bounded-4g;
    /// docs/performance.md has them all.
    name: Option<String>,
    /// Also the cases that take minutes. They are measured without it if the name begins no other.
    #[arg(long)]
    long: bool,
    /// How often each case is measured on each side.
    #[arg(long, default_value_t = ROUNDS_TO_ASSERT, value_name = "N")]
    rounds: usize,
    /// How long one measurement of reads takes; other work takes as long as it takes.
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    milliseconds: u64,
    /// Write the figures as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show how the figures differ from an earlier --json file.
    #[arg(long, value_name = "OLD.json")]
    against: Option<PathBuf>,
    /// Fail if a case misses its target.
    #[arg(long)]
    assert: bool,
}

impl Bench {
    pub fn run(self) -> Outcome<ExitCode> {
        let cases = chosen(self.name.as_deref(), self.long)?;
        if self.rounds == 0 || (self.assert && self.rounds < ROUNDS_TO_ASSERT) {
            let least = if self.assert { ROUNDS_TO_ASSERT } else { 1 };
            return Err(format!("--rounds {}: at least {least} are needed", self.rounds).into());
        }
        let earlier = self.against.as_deref().map(report::load).transpose()?;
        let mut stand = Stand::start(Programs::build()?, &cases, self.milliseconds)?;
        for case in &cases {
            case.verify(&mut stand, Side::Baseline)?;
            case.verify(&mut stand, Side::Promise)?;
        }
        let measured = self.measure(&mut stand, &cases)?;
        stand.stop()?;
        let report = Report::new(measured, self.rounds, self.milliseconds);
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

    fn measure(&self, stand: &mut Stand, cases: &[Case]) -> Outcome<Vec<(Case, Vec<Pair>)>> {
        let mut measured: Vec<(Case, Vec<Pair>)> =
            cases.iter().map(|case| (*case, Vec::new())).collect();
        for round in 0..self.rounds {
            eprintln!("round {} of {}", round + 1, self.rounds);
            // Every other round the other side goes first: neither always meets a warm machine.
            let first = match round % 2 {
                0 => Side::Baseline,
                _ => Side::Promise,
            };
            for (case, pairs) in &mut measured {
                pairs.push(Pair::of(first, |side| case.measure(stand, side))?);
            }
        }
        Ok(measured)
    }
}

fn chosen(name: Option<&str>, long: bool) -> Outcome<Vec<Case>> {
    let prefix = name.unwrap_or_default();
    let mut cases = Vec::from(CASES);
    cases.retain(|case| case.name.starts_with(prefix));
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        return Err(format!(
            "no case begins with {prefix}; there are {}",
            names.join(", ")
        )
        .into());
    }
    if !long && cases.iter().any(|case| !case.long) {
        cases.retain(|case| !case.long);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: Option<&str>, long: bool) -> Vec<&'static str> {
        let cases = chosen(name, long).unwrap();
        cases.iter().map(|case| case.name).collect()
    }

    #[test]
    fn cases_are_chosen_by_the_beginning_of_their_name() {
        assert_eq!(names(None, true).len(), CASES.len());
        assert_eq!(names(Some("materialize"), false).len(), 4);
        assert_eq!(names(Some("random-4k-8"), false), ["random-4k-8"]);
        assert!(chosen(Some("materialise"), false).is_err());
    }

    #[test]
    fn long_cases_are_measured_only_when_asked_for() {
        assert!(!names(None, false).contains(&"find-1m"));
        assert!(!names(Some("find"), false).contains(&"find-1m"));
        assert!(names(Some("find"), true).contains(&"find-1m"));
        assert_eq!(names(Some("find-1m"), false), ["find-1m"]);
        assert_eq!(names(Some("bounded"), false), ["bounded-4g"]);
    }

    #[test]
    fn no_two_cases_have_one_name() {
        let mut all = names(None, true);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), CASES.len());
    }
}
