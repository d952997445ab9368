//! One measurement: the reader program over one side's file, and what it cost that side.

use std::collections::HashMap;
use std::process::Command;

use super::case::Case;
use super::programs::Programs;
use super::served::Served;
use crate::Outcome;

/// What one run of the reader saw.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub reads_per_second: f64,
    pub mebibytes_per_second: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
    /// Processor time of reader and side together, for each read.
    pub cpu_microseconds: f64,
    /// Context switches of the side's processes, for each read.
    pub switches: f64,
}

/// The two readings of one round.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub baseline: Reading,
    pub promise: Reading,
}

impl Pair {
    pub fn ratio(&self) -> f64 {
        self.promise.reads_per_second / self.baseline.reads_per_second
    }
}

impl Reading {
    pub fn take(
        programs: &Programs,
        side: &Served,
        case: &Case,
        milliseconds: u64,
    ) -> Outcome<Self> {
        let mut command = programs.reader();
        command
            .arg(case.order)
            .arg(&side.path)
            .arg(case.block.to_string())
            .arg(case.readers.to_string())
            .arg(milliseconds.to_string());
        let before = side.cost()?;
        let seen = fields(command, side.name)?;
        let cost = side.cost()? - before;
        let number = |key: &str| {
            seen.get(key)
                .copied()
                .ok_or_else(|| format!("bench-reader printed no {key}"))
        };
        let (reads, seconds) = (number("reads")?, number("nanoseconds")? / 1e9);
        // The side also worked through the reader's warm-up, which the reader does not count.
        let side_reads = number("all_reads")?;
        Ok(Self {
            reads_per_second: reads / seconds,
            mebibytes_per_second: number("bytes")? / seconds / f64::from(1 << 20),
            p50_microseconds: number("p50")? / 1e3,
            p99_microseconds: number("p99")? / 1e3,
            cpu_microseconds: (number("cpu")? / reads + cost.cpu_nanoseconds as f64 / side_reads)
                / 1e3,
            switches: cost.switches as f64 / side_reads,
        })
    }
}

/// Reads the whole file once and compares it with what should be there, so that nothing fast and
/// wrong is measured.
pub fn verify(programs: &Programs, side: &Served) -> Outcome<()> {
    let mut command = programs.reader();
    command.arg("verify").arg(&side.path);
    fields(command, side.name).map(drop)
}

fn fields(mut command: Command, side: &str) -> Outcome<HashMap<String, f64>> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the reader of the {side}: {}", said.trim_end()).into());
    }
    let line = String::from_utf8(output.stdout)?;
    line.split_whitespace()
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| Ok((key.to_owned(), value.parse()?)))
        .collect()
}
