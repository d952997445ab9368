//! Steps that are named, timed and counted.
//!
//! A step that fails does not keep the next from running: one run tells
//! everything that is wrong. The last line is the sum, alone on its line.

use std::ops::AddAssign;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How many checks held and how many did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
}

impl Tally {
    /// One check.
    pub fn one(passed: bool) -> Self {
        Self {
            passed: u32::from(passed),
            failed: u32::from(!passed),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

/// The steps so far.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<Step>,
}

impl Steps {
    /// Runs one step. One that cannot be carried out counts as failed.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> Outcome<Tally>) {
        println!("\n=== {name}");
        let begin = Instant::now();
        let tally = step().unwrap_or_else(|failure| {
            println!("{name}: {failure}");
            Tally::one(false)
        });
        let took = begin.elapsed();
        println!("--- {name}: {}", outcome(tally, took));
        self.done.push(Step { name, tally, took });
    }

    /// Prints the time of each step and the sum.
    pub fn report(&self) -> ExitCode {
        let mut sum = Tally::default();
        println!("\n=== times");
        for step in &self.done {
            println!("{:<12} {}", step.name, outcome(step.tally, step.took));
            sum += step.tally;
        }
        println!("{} passed, {} failed", sum.passed, sum.failed);
        if sum.failed == 0 && sum.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Shows a command before it runs.
pub fn announce(command: &Command) {
    let mut line = format!("+ {}", short(&command.get_program().to_string_lossy()));
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    println!("{line}");
}

fn outcome(tally: Tally, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let Tally { passed, failed } = tally;
    format!("{seconds:>7.1} s  {passed:>5} held, {failed} did not")
}

fn short(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
