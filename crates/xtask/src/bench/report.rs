//! What the measurements came to: a table for people, JSON for later comparison, and the verdict.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::case::Case;
use super::hardware;
use super::measurement::{Latency, Measurement, Pair, Side};
use super::statistics::Summary;
use crate::Outcome;

pub struct Report {
    machine: String,
    rounds: usize,
    milliseconds: u64,
    cases: Vec<Measured>,
}

pub struct Measured {
    pub case: Case,
    pairs: Vec<Pair>,
}

impl Measured {
    /// The median of the rounds' own ratios: each compares two measurements taken one after the
    /// other.
    pub fn ratio(&self) -> Summary {
        Summary::of(self.pairs.iter().map(Pair::ratio))
    }

    pub fn of(&self, side: Side, value: impl Fn(&Measurement) -> f64) -> Summary {
        Summary::of(self.pairs.iter().map(|pair| value(pair.side(side))))
    }

    /// The promise's 99th percentile as a multiple of the baseline's.
    pub fn p99_ratio(&self) -> Option<f64> {
        let p99 = |side| self.latency(side, |latency| latency.p99_microseconds);
        Some(p99(Side::Promise)?.median / p99(Side::Baseline)?.median)
    }

    /// KiB; none where memory is not what the case is about.
    pub fn memory(&self, side: Side) -> Option<Summary> {
        let figures = self.pairs.iter().map(|pair| pair.side(side));
        let figures: Option<Vec<f64>> = figures.map(|now| now.memory_kibibytes).collect();
        figures.map(|figures| Summary::of(figures.into_iter()))
    }

    /// None where single operations are not timed.
    fn latency(&self, side: Side, value: impl Fn(&Latency) -> f64) -> Option<Summary> {
        let latencies = self.pairs.iter().map(|pair| pair.side(side).latency);
        let latencies: Option<Vec<Latency>> = latencies.collect();
        latencies.map(|latencies| Summary::of(latencies.iter().map(value)))
    }
}

const HEADINGS: [&str; 11] = [
    "case",
    "baseline",
    "promise",
    "ratio",
    "target",
    "at most",
    "p50 us",
    "p99 us",
    "cpu us each",
    "switches each",
    "memory KiB",
];

impl Report {
    pub fn new(measured: Vec<(Case, Vec<Pair>)>, rounds: usize, milliseconds: u64) -> Self {
        let cases = measured
            .into_iter()
            .map(|(case, pairs)| Measured { case, pairs })
            .collect();
        Self {
            machine: hardware::describe(),
            rounds,
            milliseconds,
            cases,
        }
    }

    /// A Markdown table, with the ratios of `earlier` beside the new ones if there is one.
    pub fn table(&self, earlier: Option<&Value>) -> String {
        let mut text = format!(
            "{}; {} rounds, reads for {} ms each; median (least-most), baseline / promise; \
             each read, or what the rate counts\n\n",
            self.machine, self.rounds, self.milliseconds
        );
        let headings = HEADINGS.into_iter().chain(earlier.map(|_| "earlier"));
        let headings: Vec<&str> = headings.collect();
        let _ = writeln!(text, "| {} |", headings.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(headings.len()));
        for measured in &self.cases {
            let mut cells = cells(measured);
            if let Some(earlier) = earlier {
                cells.push(change(measured, earlier_ratio(earlier, measured.case.name)));
            }
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    pub fn save(&self, path: &Path) -> Outcome<()> {
        let cases: Vec<Value> = self.cases.iter().map(case_json).collect();
        let whole = json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "milliseconds": self.milliseconds,
            "cases": cases,
        });
        let text = serde_json::to_string_pretty(&whole)? + "\n";
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// A line for each target that was missed.
    pub fn below_target(&self) -> Vec<String> {
        let missed = |measured: &Measured| measured.case.target.missed(measured);
        self.cases.iter().flat_map(missed).collect()
    }
}

pub fn load(path: &Path) -> Outcome<Value> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn earlier_ratio(earlier: &Value, name: &str) -> Option<f64> {
    let cases = earlier["cases"].as_array()?;
    let case = cases.iter().find(|case| case["name"] == name)?;
    case["ratio"]["median"].as_f64()
}

fn cells(measured: &Measured) -> Vec<String> {
    let unit = measured.case.unit();
    let ratio = measured.ratio();
    let rate = |side| spread(measured.of(side, |now| now.rate), unit);
    let both = |of: &dyn Fn(Side) -> Option<f64>| match [of(Side::Baseline), of(Side::Promise)] {
        [Some(baseline), Some(promise)] => format!("{baseline:.1} / {promise:.1}"),
        _ => "-".to_owned(),
    };
    let cost =
        |value: fn(&Measurement) -> f64| both(&|side: Side| Some(measured.of(side, value).median));
    let latency = |value: fn(&Latency) -> f64| {
        both(&|side: Side| Some(measured.latency(side, value)?.median))
    };
    vec![
        measured.case.name.to_owned(),
        rate(Side::Baseline),
        rate(Side::Promise),
        format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most),
        measured.case.target.to_string(),
        measured
            .case
            .most()
            .map_or("-".to_owned(), |most| format!("{most:.0} {unit}")),
        latency(|latency| latency.p50_microseconds),
        latency(|latency| latency.p99_microseconds),
        cost(|now| now.cpu_microseconds),
        cost(|now| now.switches),
        both(&|side: Side| Some(measured.memory(side)?.median)),
    ]
}

fn change(measured: &Measured, before: Option<f64>) -> String {
    let Some(before) = before else {
        return "-".to_owned();
    };
    let percent = (measured.ratio().median / before - 1.0) * 100.0;
    format!("{before:.2} ({percent:+.0} %)")
}

fn spread(summary: Summary, unit: &str) -> String {
    format!(
        "{:.0} ({:.0}-{:.0}) {unit}",
        summary.median, summary.least, summary.most
    )
}

fn case_json(measured: &Measured) -> Value {
    let side = |side| {
        let of = |value: fn(&Measurement) -> f64| summary_json(measured.of(side, value));
        let latency = |value: fn(&Latency) -> f64| measured.latency(side, value).map(summary_json);
        json!({
            "rate": of(|now| now.rate),
            "cpu_microseconds_each": of(|now| now.cpu_microseconds),
            "switches_each": of(|now| now.switches),
            "p50_microseconds": latency(|latency| latency.p50_microseconds),
            "p99_microseconds": latency(|latency| latency.p99_microseconds),
            "memory_kibibytes": measured.memory(side).map(summary_json),
        })
    };
    let target = measured.case.target;
    json!({
        "name": measured.case.name,
        "unit": measured.case.unit(),
        "target": target.ratio,
        "target_rate": target.rate,
        "target_p99_ratio": target.p99,
        "target_memory_kibibytes": target.memory,
        "p99_ratio": measured.p99_ratio(),
        "at_most": measured.case.most(),
        "ratio": summary_json(measured.ratio()),
        "baseline": side(Side::Baseline),
        "promise": side(Side::Promise),
    })
}

fn summary_json(summary: Summary) -> Value {
    json!({ "median": summary.median, "least": summary.least, "most": summary.most })
}
