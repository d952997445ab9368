//! Trees of ever more nodes: whether a walk through one takes the same time for each name, and what
//! is held for each, by the daemon beside the image or by the kernel. Each measurement has a daemon
//! and a provider of its own, so that memory is that of this one tree. Beside it stands a single
//! process that has the names in ordinary memory.

use std::path::Path;
use std::time::{Duration, Instant};

use super::copying::Tree;
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
pub struct Scaling {
    pub shape: &'static str,
    pub walk: Walk,
    pub holder: Holder,
}

/// Of names that the kernel does not know.
#[derive(Debug, Clone, Copy)]
pub enum Walk {
    Names,
    Attributes,
}

/// Whose memory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The daemon or the single process: its own memory, without what it has mapped.
    Server,
    /// The kernel: inodes and directory entries.
    Kernel,
}

/// A million names are forgotten in a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

impl Walk {
    fn verb(self) -> &'static str {
        match self {
            Self::Names => "list",
            Self::Attributes => "list-stat",
        }
    }
}

impl Scaling {
    /// KiB that a daemon may take for so many nodes: 40 bytes for each, and what it needs for the
    /// first work of all, mostly stacks and buffers of its threads.
    pub const fn most(nodes: u64) -> f64 {
        (1024 + nodes * 40 / 1024) as f64
    }

    pub fn verify(&self, stand: &Stand, side: Side) -> Outcome {
        match side {
            Side::Baseline => Ok(()),
            Side::Promise => {
                let daemon = start(stand)?;
                let (provider, served) = self.provider(stand, &daemon)?;
                let mut command = stand.programs().names();
                command.args(["verify", self.shape]).arg(&served.path);
                fields(command)?;
                provider.end()?;
                daemon.stop()
            }
        }
    }

    /// # Errors
    /// Also if the daemon counts names that the kernel has forgotten.
    pub fn measure(&self, stand: &Stand, side: Side) -> Outcome<Measurement> {
        match side {
            Side::Baseline => self.single_process(stand),
            Side::Promise => self.promise(stand),
        }
    }

    fn single_process(&self, stand: &Stand) -> Outcome<Measurement> {
        let folder = stand.programs().private_folder("baseline-scaling")?;
        let mut command = stand.programs().baseline();
        command.arg(&folder).args([self.shape, "names"]);
        let mut process = Process::start(command)?;
        let served = TreeServed::told(&process.ask("again")?)?;
        let measured = self.walk(stand, process.id(), 0.0, &served.path)?;
        process.end()?;
        std::fs::remove_dir(folder)?;
        Ok(measured)
    }

    fn promise(&self, stand: &Stand) -> Outcome<Measurement> {
        let daemon = start(stand)?;
        let before = residence::own(daemon.id())?;
        let (provider, served) = self.provider(stand, &daemon)?;
        let measured = self.walk(stand, daemon.id(), before, &served.path)?;
        until_forgotten(stand, &daemon)?;
        provider.end()?;
        daemon.stop()?;
        Ok(measured)
    }

    fn provider(&self, stand: &Stand, daemon: &Daemon) -> Outcome<(Process, TreeServed)> {
        let mut command = stand.programs().tree();
        let Tree {
            milliseconds,
            concurrent,
            ..
        } = Tree::at_once(self.shape);
        command.args(["serve", self.shape]);
        command.args([milliseconds.to_string(), concurrent.to_string()]);
        daemon.attach(&mut command);
        let mut process = Process::start(command)?;
        let served = TreeServed::told(&process.ask("again")?)?;
        Ok((process, served))
    }

    /// `before` is what the server had of its own before it had the tree, in KiB.
    fn walk(&self, stand: &Stand, server: u32, before: f64, tree: &Path) -> Outcome<Measurement> {
        let spent =
            || Ok::<_, crate::Failure>(Cost::sample(&[server])? + Cost::of_ended_children()?);
        let (kernel_before, spent_before) = (residence::of_names()?, spent()?);
        let mut command = stand.programs().names();
        command.arg(self.walk.verb()).arg(tree);
        let seen = fields(command)?;
        let cost = spent()? - spent_before;
        let memory = match self.holder {
            Holder::Server => residence::own(server)? - before,
            Holder::Kernel => residence::of_names()? - kernel_before,
        };
        let names = number(&seen, "names")?;
        Ok(Measurement {
            rate: names * 1e9 / number(&seen, "nanoseconds")?,
            cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3 / names,
            switches: cost.switches as f64 / names,
            latency: None,
            memory_kibibytes: Some(memory),
        })
    }
}

fn start(stand: &Stand) -> Outcome<Daemon> {
    Daemon::start(stand.programs(), "session-scaling", &[])
}

/// Has the kernel forget every name, and waits until the daemon has counted that down.
fn until_forgotten(stand: &Stand, daemon: &Daemon) -> Outcome {
    const DROP: &str = "/proc/sys/vm/drop_caches";
    std::fs::write(DROP, "2").map_err(|error| format!("{DROP}: {error}; run this as root"))?;
    let started = Instant::now();
    loop {
        let mut fpctl = stand.programs().fpctl();
        daemon.attach(&mut fpctl);
        match Gauges::ask(fpctl)?.get("lookups")? {
            0 => return Ok(()),
            left if started.elapsed() > PATIENCE => {
                return Err(format!("{left} names are counted that the kernel forgot").into());
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}
