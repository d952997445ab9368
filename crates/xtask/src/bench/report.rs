//! What the measurements came to: a table for people, JSON for later comparison, and the verdict.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::case::Case;
use super::hardware;
use super::reading::{Pair, Reading};
use super::statistics::Summary;
use crate::Outcome;

pub struct Report {
    machine: String,
    rounds: usize,
    milliseconds: u64,
    file_size: u64,
    cases: Vec<Measured>,
}

struct Measured {
    case: Case,
    pairs: Vec<Pair>,
}

impl Measured {
    /// The median of the rounds' own ratios: each compares two readings taken one after the other.
    fn ratio(&self) -> Summary {
        Summary::of(self.pairs.iter().map(Pair::ratio))
    }

    fn baseline(&self, value: impl Fn(&Reading) -> f64) -> Summary {
        Summary::of(self.pairs.iter().map(|pair| value(&pair.baseline)))
    }

    fn promise(&self, value: impl Fn(&Reading) -> f64) -> Summary {
        Summary::of(self.pairs.iter().map(|pair| value(&pair.promise)))
    }

    /// Large reads are told in MiB/s, small ones in reads a second.
    fn rate(&self) -> (fn(&Reading) -> f64, &'static str) {
        if self.case.order == "sequential" {
            (|reading| reading.mebibytes_per_second, "MiB/s")
        } else {
            (|reading| reading.reads_per_second, "reads/s")
        }
    }
}

impl Report {
    pub fn new(
        measured: Vec<(Case, Vec<Pair>)>,
        rounds: usize,
        milliseconds: u64,
        file_size: u64,
    ) -> Self {
        let cases = measured
            .into_iter()
            .map(|(case, pairs)| Measured { case, pairs })
            .collect();
        Self {
            machine: hardware::describe(),
            rounds,
            milliseconds,
            file_size,
            cases,
        }
    }

    /// A Markdown table, with the ratios of `earlier` beside the new ones if there is one.
    pub fn table(&self, earlier: Option<&Value>) -> String {
        let mut text = format!(
            "{}; {} rounds of {} ms, median (least-most)\n\n",
            self.machine, self.rounds, self.milliseconds
        );
        text.push_str("| read | single process | through a promise | ratio | target |");
        text.push_str(" p50 us | p99 us | cpu us/read | switches/read |");
        text.push_str(if earlier.is_some() {
            " earlier |\n"
        } else {
            "\n"
        });
        text.push_str("|---|---|---|---|---|---|---|---|---|");
        text.push_str(if earlier.is_some() { "---|\n" } else { "\n" });
        for measured in &self.cases {
            let before = earlier.map(|earlier| earlier_ratio(earlier, measured.case.name));
            row(&mut text, measured, before);
        }
        text
    }

    pub fn save(&self, path: &Path) -> Outcome<()> {
        let cases: Vec<Value> = self.cases.iter().map(case_json).collect();
        let whole = json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "milliseconds": self.milliseconds,
            "file_size": self.file_size,
            "cases": cases,
        });
        let text = serde_json::to_string_pretty(&whole)? + "\n";
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// A line for each case that is below its target.
    pub fn below_target(&self) -> Vec<String> {
        self.cases
            .iter()
            .map(|measured| (measured.case, measured.ratio().median))
            .filter(|(case, ratio)| *ratio < case.target)
            .map(|(case, ratio)| {
                format!(
                    "{}: {ratio:.3} of the baseline, target {:.2}",
                    case.name, case.target
                )
            })
            .collect()
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

fn row(text: &mut String, measured: &Measured, before: Option<Option<f64>>) {
    let (rate, unit) = measured.rate();
    let (baseline, promise) = (measured.baseline(rate), measured.promise(rate));
    let ratio = measured.ratio();
    let pair = |value: fn(&Reading) -> f64| {
        format!(
            "{:.1} / {:.1}",
            measured.baseline(value).median,
            measured.promise(value).median
        )
    };
    let _ = write!(
        text,
        "| {} | {} | {} | {:.2} ({:.2}-{:.2}) | {:.2} | {} | {} | {} | {} |",
        measured.case.name,
        spread(baseline, unit),
        spread(promise, unit),
        ratio.median,
        ratio.least,
        ratio.most,
        measured.case.target,
        pair(|reading| reading.p50_microseconds),
        pair(|reading| reading.p99_microseconds),
        pair(|reading| reading.cpu_microseconds),
        pair(|reading| reading.switches),
    );
    let _ = match before {
        None => writeln!(text),
        Some(None) => writeln!(text, " - |"),
        Some(Some(before)) => {
            writeln!(
                text,
                " {before:.2} ({:+.0} %) |",
                (ratio.median / before - 1.0) * 100.0
            )
        }
    };
}

fn spread(summary: Summary, unit: &str) -> String {
    format!(
        "{:.0} ({:.0}-{:.0}) {unit}",
        summary.median, summary.least, summary.most
    )
}

fn case_json(measured: &Measured) -> Value {
    let side = |pick: fn(&Pair) -> &Reading| {
        let of = |value: fn(&Reading) -> f64| {
            summary_json(Summary::of(
                measured.pairs.iter().map(|pair| value(pick(pair))),
            ))
        };
        json!({
            "reads_per_second": of(|reading| reading.reads_per_second),
            "mebibytes_per_second": of(|reading| reading.mebibytes_per_second),
            "p50_microseconds": of(|reading| reading.p50_microseconds),
            "p99_microseconds": of(|reading| reading.p99_microseconds),
            "cpu_microseconds_per_read": of(|reading| reading.cpu_microseconds),
            "switches_per_read": of(|reading| reading.switches),
        })
    };
    json!({
        "name": measured.case.name,
        "target": measured.case.target,
        "ratio": summary_json(measured.ratio()),
        "baseline": side(|pair| &pair.baseline),
        "promise": side(|pair| &pair.promise),
    })
}

fn summary_json(summary: Summary) -> Value {
    json!({ "median": summary.median, "least": summary.least, "most": summary.most })
}
