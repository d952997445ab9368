//! What a session costs that does nothing: a daemon of its own, a program with so many providers
//! that each have published a small file and been read from once, and the daemon's memory before
//! and after. The rate is how fast they came; beside it stands a single session in a daemon of its
//! own, whose memory includes what the daemon needs for the first of all.

use std::time::{Duration, Instant};

use super::cost::Cost;
use super::daemons::Daemon;
use super::gauges::Gauges;
use super::measurement::{Measurement, Side};
use super::process::Process;
use super::residence;
use super::stand::Stand;
use crate::Outcome;

const SESSIONS: u32 = 50;
/// A daemon that has kept its memory for so long keeps it: it gives pages of slots back about
/// three seconds after their last use.
const SETTLED: Duration = Duration::from_secs(5);
/// By then every daemon has.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// What the allocator and the looking itself move, in KiB.
const STILL: f64 = 16.0;

pub fn measure(stand: &Stand, side: Side) -> Outcome<Measurement> {
    let programs = stand.programs();
    let count = match side {
        Side::Baseline => 1,
        Side::Promise => SESSIONS,
    };
    let daemon = Daemon::start(programs, "session-idle", &[])?;
    let (before, spent_before) = (
        residence::share(daemon.id())?,
        Cost::sample(&[daemon.id()])?,
    );
    let mut command = programs.tree();
    command.args(["sessions", &count.to_string()]);
    daemon.attach(&mut command);
    let mut sessions = Process::start(command)?;
    let nanoseconds: f64 = sessions.line()?.parse()?;
    let cost = Cost::sample(&[daemon.id(), sessions.id()])? - spent_before;
    let after = settled(&daemon)?;
    let mut fpctl = programs.fpctl();
    daemon.attach(&mut fpctl);
    let present = Gauges::ask(fpctl)?.get("providers")?;
    if present != u64::from(count) {
        return Err(format!("{present} of {count} sessions are there").into());
    }
    sessions.end()?;
    daemon.stop()?;
    let count = f64::from(count);
    Ok(Measurement {
        rate: count * 1e9 / nanoseconds,
        cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / count,
        switches: cost.switches as f64 / count,
        latency: None,
        memory_kibibytes: Some((after - before) / count),
    })
}

/// The daemon's memory once it does not change any more.
fn settled(daemon: &Daemon) -> Outcome<f64> {
    let started = Instant::now();
    let (mut since, mut last) = (started, residence::share(daemon.id())?);
    while since.elapsed() < SETTLED {
        if started.elapsed() > PATIENCE {
            return Err("the daemon's memory does not come to rest".into());
        }
        std::thread::sleep(LOOK);
        let now = residence::share(daemon.id())?;
        if (now - last).abs() > STILL {
            (since, last) = (Instant::now(), now);
        }
    }
    residence::share(daemon.id())
}
