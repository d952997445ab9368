//! Many promises of twenty files, in a daemon of their own: how fast the mount's root is listed
//! that has thousands of them, beside as many directories in memory (a tmpfs); and whether they can
//! come and go for ever. For that the last thousands of a long row are beside the last of a short
//! one, and the daemon must end with the memory and the descriptors it began with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::cost::Cost;
use super::daemons::Daemon;
use super::gauges::Gauges;
use super::measurement::{Measurement, Side};
use super::process::Process;
use super::reading::{fields, number};
use super::residence;
use super::stand::Stand;
use crate::Outcome;

#[derive(Debug, Clone, Copy)]
pub enum Multitude {
    /// All at once, and the root is listed.
    Listed,
    /// One after the other.
    Churned,
}

const LISTED: usize = 5000;
/// What bench-tree times of each row.
const TIMED: usize = 5000;
const SHORT_ROW: usize = TIMED;
const LONG_ROW: usize = 50_000;
/// What must be zero once they are gone; the provider is still there.
const BALANCE: [&str; 8] = [
    "promises",
    "nodes",
    "image_bytes",
    "in_flight",
    "queued",
    "slots_in_use",
    "opens",
    "jobs",
];
/// How long descriptors of a moment, such as fpctl's connection, are waited for.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(10);

impl Multitude {
    pub fn unit(self) -> &'static str {
        match self {
            Self::Listed => "names/s",
            Self::Churned => "promises/s",
        }
    }

    pub fn measure(self, stand: &Stand, side: Side) -> Outcome<Measurement> {
        match (self, side) {
            (Self::Listed, Side::Baseline) => list_directories(stand),
            (Self::Listed, Side::Promise) => list_promises(stand),
            (Self::Churned, Side::Baseline) => churn(stand, SHORT_ROW),
            (Self::Churned, Side::Promise) => churn(stand, LONG_ROW),
        }
    }
}

fn list_directories(stand: &Stand) -> Outcome<Measurement> {
    let folder = stand.scratch_folder("multitude")?;
    for number in 0..LISTED {
        fs::create_dir(folder.join(format!("promise-{number}")))?;
    }
    let before = Cost::of_ended_children()?;
    let seen = list(stand, &folder)?;
    let cost = Cost::of_ended_children()? - before;
    fs::remove_dir_all(folder)?;
    Ok(measurement(seen, cost, None))
}

fn list_promises(stand: &Stand) -> Outcome<Measurement> {
    let daemon = start(stand)?;
    let before = residence::share(daemon.id())?;
    let mut provider = provider(stand, &daemon, "promises", LISTED)?;
    provider.line()?;
    let memory = residence::share(daemon.id())? - before;
    let spent =
        || Ok::<_, crate::Failure>(Cost::sample(&[daemon.id()])? + Cost::of_ended_children()?);
    let before = spent()?;
    let seen = list(stand, &daemon.mount())?;
    let cost = spent()? - before;
    provider.end()?;
    daemon.stop()?;
    Ok(measurement(seen, cost, Some(memory)))
}

/// Names and seconds.
fn list(stand: &Stand, folder: &Path) -> Outcome<(f64, f64)> {
    let mut command = stand.programs().names();
    command.arg("entries").arg(folder);
    let seen = fields(command)?;
    let names = number(&seen, "names")?;
    if names % LISTED as f64 != 0.0 {
        return Err(format!("{names} names are not {LISTED} each time").into());
    }
    Ok((names, number(&seen, "nanoseconds")? / 1e9))
}

fn churn(stand: &Stand, count: usize) -> Outcome<Measurement> {
    let daemon = start(stand)?;
    let mut provider = provider(stand, &daemon, "churn", count)?;
    provider.line()?;
    let (memory, open) = (residence::share(daemon.id())?, descriptors(&daemon)?);
    let spent = || Cost::sample(&[daemon.id(), provider.id()]);
    let before = spent()?;
    let nanoseconds: f64 = provider.ask("go on")?.parse()?;
    let cost = Cost::sample(&[daemon.id(), provider.id()])? - before;
    let grown = residence::share(daemon.id())? - memory;
    check_balance(stand, &daemon)?;
    let left = descriptors(&daemon)?;
    if left != open {
        return Err(format!("the daemon had {open} descriptors and has {left}").into());
    }
    provider.end()?;
    daemon.stop()?;
    let all = count as f64;
    Ok(Measurement {
        rate: TIMED as f64 * 1e9 / nanoseconds,
        cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / all,
        switches: cost.switches as f64 / all,
        latency: None,
        memory_kibibytes: Some(grown),
    })
}

fn start(stand: &Stand) -> Outcome<Daemon> {
    Daemon::start(stand.programs(), "session-multitude", &[])
}

fn provider(stand: &Stand, daemon: &Daemon, verb: &str, count: usize) -> Outcome<Process> {
    let mut command = stand.programs().tree();
    command.args([verb, &count.to_string()]);
    daemon.attach(&mut command);
    Process::start(command)
}

fn check_balance(stand: &Stand, daemon: &Daemon) -> Outcome {
    let mut fpctl = stand.programs().fpctl();
    daemon.attach(&mut fpctl);
    let gauges = Gauges::ask(fpctl)?;
    for name in BALANCE {
        let left = gauges.get(name)?;
        if left > 0 {
            return Err(format!("{name} is {left} with every promise destroyed").into());
        }
    }
    Ok(())
}

/// How many the daemon has open that stay.
fn descriptors(daemon: &Daemon) -> Outcome<usize> {
    let mut least = usize::MAX;
    for _ in 0..LOOKS {
        least = least.min(fs::read_dir(format!("/proc/{}/fd", daemon.id()))?.count());
        std::thread::sleep(LOOK);
    }
    Ok(least)
}

fn measurement((names, seconds): (f64, f64), cost: Cost, memory: Option<f64>) -> Measurement {
    Measurement {
        rate: names / seconds,
        cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / names,
        switches: cost.switches as f64 / names,
        latency: None,
        memory_kibibytes: memory,
    }
}
