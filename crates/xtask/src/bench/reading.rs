//! Reads of one file: the reader program over each side's file, and what that cost the side.

use std::collections::HashMap;
use std::process::Command;

use super::measurement::{Latency, Measurement, Side};
use super::stand::{Source, Stand};
use crate::Outcome;

/// One way to read the file.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub order: Order,
    pub block: u64,
    pub readers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Sequential,
    Random,
}

impl Reading {
    /// Large reads are told in MiB, small ones by their number.
    pub fn unit(&self) -> &'static str {
        match self.order {
            Order::Sequential => "MiB/s",
            Order::Random => "reads/s",
        }
    }

    pub fn measure(&self, stand: &Stand, side: Side) -> Outcome<Measurement> {
        self.measure_of(stand, source(side))
    }

    pub fn measure_of(&self, stand: &Stand, source: Source) -> Outcome<Measurement> {
        let order = match self.order {
            Order::Sequential => "sequential",
            Order::Random => "random",
        };
        let mut command = stand.programs().reader();
        command
            .arg(order)
            .arg(stand.file(source)?)
            .arg(self.block.to_string())
            .arg(self.readers.to_string())
            .arg(stand.milliseconds().to_string());
        let before = stand.cost(source)?;
        let seen = fields(command)?;
        let cost = stand.cost(source)? - before;
        let number = |key| number(&seen, key);
        let (reads, seconds) = (number("reads")?, number("nanoseconds")? / 1e9);
        // The side also worked through the reader's warm-up, which the reader does not count.
        let side_reads = number("all_reads")?;
        let amount = match self.order {
            Order::Sequential => number("bytes")? / f64::from(1 << 20),
            Order::Random => reads,
        };
        Ok(Measurement {
            rate: amount / seconds,
            cpu_microseconds: (number("cpu")? / reads + cost.cpu_nanoseconds as f64 / side_reads)
                / 1e3,
            switches: cost.switches as f64 / side_reads,
            latency: Some(Latency {
                p50_microseconds: number("p50")? / 1e3,
                p99_microseconds: number("p99")? / 1e3,
            }),
            memory_kibibytes: None,
        })
    }

    pub fn verify(stand: &Stand, side: Side) -> Outcome {
        verify_file(stand, source(side))
    }
}

/// Reads the whole file once and compares it with what should be there.
pub fn verify_file(stand: &Stand, source: Source) -> Outcome {
    let mut command = stand.programs().reader();
    command.arg("verify").arg(stand.file(source)?);
    command.arg(u64::MAX.to_string());
    fields(command).map(drop)
}

fn source(side: Side) -> Source {
    match side {
        Side::Baseline => Source::SingleProcess,
        Side::Promise => Source::Memory,
    }
}

/// What a reader prints: one line of `key=value`.
pub fn fields(mut command: Command) -> Outcome<HashMap<String, f64>> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}", said.trim_end()).into());
    }
    let line = String::from_utf8(output.stdout)?;
    line.split_whitespace()
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| Ok((key.to_owned(), value.parse()?)))
        .collect()
}

/// One of the fields.
pub fn number(fields: &HashMap<String, f64>, key: &str) -> Outcome<f64> {
    let value = fields.get(key).copied();
    value.ok_or_else(|| format!("no {key} was printed").into())
}
