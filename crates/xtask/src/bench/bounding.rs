//! A file many times as large as the daemon's store, read once from front to back: how fast, and
//! how much memory the daemon takes for it. Beside it stands a daemon with the usual store. Each
//! measurement has a daemon and a provider of its own, so that the most memory a process ever held
//! is that of this one pass.

use super::cost::Cost;
use super::daemons::Daemon;
use super::gauges::Gauges;
use super::measurement::{Measurement, Side};
use super::process::Process;
use super::reading::{fields, number};
use super::residence;
use super::stand::{Stand, TreeServed};
use crate::Outcome;

#[derive(Debug, Clone, Copy)]
pub struct Bounding {
    /// With a single file.
    pub shape: &'static str,
    /// The daemon's --cache-size.
    pub store: &'static str,
}

impl Bounding {
    fn daemon(&self, stand: &Stand, side: Side) -> Outcome<Daemon> {
        let bound = format!("--cache-size={}", self.store);
        let flags = match side {
            Side::Baseline => vec!["--cache=read-through"],
            Side::Promise => vec!["--cache=read-through", &bound],
        };
        Daemon::start(stand.programs(), "session-bounded", &flags)
    }

    fn provider(&self, stand: &Stand, daemon: &Daemon) -> Outcome<(Process, TreeServed)> {
        let mut command = stand.programs().tree();
        command.args(["serve", self.shape, "0", "1"]);
        daemon.attach(&mut command);
        let mut process = Process::start(command)?;
        let served = TreeServed::told(&process.ask("again")?)?;
        Ok((process, served))
    }

    pub fn verify(&self, stand: &Stand, side: Side) -> Outcome {
        let daemon = self.daemon(stand, side)?;
        let (provider, served) = self.provider(stand, &daemon)?;
        let mut command = stand.programs().reader();
        command.arg("verify").arg(served.first_file());
        command.arg(served.bytes.to_string());
        fields(command)?;
        provider.end()?;
        daemon.stop()
    }

    /// # Errors
    /// Also if the provider was asked for a byte twice, or never.
    pub fn measure(&self, stand: &Stand, side: Side) -> Outcome<Measurement> {
        let daemon = self.daemon(stand, side)?;
        let (provider, served) = self.provider(stand, &daemon)?;
        let spent = || Cost::sample(&[daemon.id(), provider.id()]);
        let (before, spent_before) = (residence::resident(daemon.id())?, spent()?);
        let mut reader = stand.programs().reader();
        reader.args(["pass", "forward"]).arg(served.first_file());
        reader.arg(served.bytes.to_string());
        let seen = fields(reader)?;
        let cost = spent()? - spent_before;
        let peak = residence::peak(daemon.id())?;
        let mut fpctl = stand.programs().fpctl();
        daemon.attach(&mut fpctl);
        let asked = Gauges::ask(fpctl)?.get("served_bytes")?;
        if asked != served.bytes {
            return Err(format!("the provider gave {asked} of {} bytes", served.bytes).into());
        }
        provider.end()?;
        daemon.stop()?;
        let mebibytes = number(&seen, "bytes")? / f64::from(1 << 20);
        let reader_cpu = number(&seen, "cpu")?;
        Ok(Measurement {
            rate: mebibytes * 1e9 / number(&seen, "nanoseconds")?,
            cpu_microseconds: (cost.cpu_nanoseconds as f64 + reader_cpu) / 1e3 / mebibytes,
            switches: cost.switches as f64 / mebibytes,
            latency: None,
            memory_kibibytes: Some(peak - before),
        })
    }
}
