//! From nothing to the first byte of a file.
//!
//! The promise's side is a program that connects, registers, publishes a file and opens it, in a
//! session that has a bus but no daemon: the bus starts it at the program's first call, and it is
//! stopped afterwards. The baseline is a single process that mounts and reads a file of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cost::Cost;
use super::daemons::in_session;
use super::measurement::{Latency, Measurement, Side};
use super::process::Process;
use super::programs::Programs;
use super::stand::Stand;
use crate::Outcome;

/// Its name on a bus.
const DAEMON: &str = "io.github.fuse_promise.Private1";
/// To end it takes a small part of this.
const PATIENCE: Duration = Duration::from_secs(30);

/// A private bus that knows how to start the daemon.
pub struct Bus {
    process: Process,
    runtime_dir: PathBuf,
}

impl Bus {
    pub fn start(programs: &Programs) -> Outcome<Self> {
        let runtime_dir = programs.private_folder("session-bus")?;
        // The bus looks there only if both folders are its user's own.
        programs.private_folder("session-bus/dbus-1")?;
        let services = programs.private_folder("session-bus/dbus-1/services")?;
        programs.install_bus_service(&services)?;
        let mut command = programs.installed("dbus-daemon");
        in_session(&mut command, &runtime_dir);
        command
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address={}", address(&runtime_dir)))
            .stderr(Stdio::null());
        let mut process = Process::start(command)?;
        process.line()?;
        Ok(Self {
            process,
            runtime_dir,
        })
    }

    fn attach(&self, command: &mut Command) {
        command
            .env("XDG_RUNTIME_DIR", &self.runtime_dir)
            .env("DBUS_SESSION_BUS_ADDRESS", address(&self.runtime_dir));
    }

    /// Ends the daemon that the bus has started, whose process the bus knows.
    fn stop_daemon(&self, mut busctl: Command) -> Outcome {
        let bus = "org.freedesktop.DBus";
        busctl.args(["--user", "call", bus, "/org/freedesktop/DBus", bus]);
        busctl.args(["GetConnectionUnixProcessID", "s", DAEMON]);
        self.attach(&mut busctl);
        let answer = printed(busctl)?;
        let pid = answer.strip_prefix("u ").and_then(|pid| pid.parse().ok());
        let pid = pid
            .and_then(Pid::from_raw)
            .ok_or("the daemon is not on the bus")?;
        kill_process(pid, Signal::TERM)?;
        let started = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() {
            if started.elapsed() > PATIENCE {
                return Err("fuse-promised did not end when asked to".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub fn stop(self) -> Outcome {
        self.process.terminate()
    }
}

fn address(runtime_dir: &Path) -> String {
    format!("unix:path={}", runtime_dir.join("bus").display())
}

/// The file is read by the measured programs themselves, and they fail if they cannot.
pub fn measure(stand: &mut Stand, side: Side) -> Outcome<Measurement> {
    let before = Cost::of_ended_children()?;
    let nanoseconds = match side {
        Side::Promise => {
            let mut first = stand.programs().tree();
            let ask = stand.programs().installed("busctl");
            first.arg("first");
            let bus = stand.bus()?;
            bus.attach(&mut first);
            let nanoseconds = printed(first)?.parse()?;
            bus.stop_daemon(ask)?;
            nanoseconds
        }
        Side::Baseline => {
            let folder = stand.scratch_folder("first")?;
            let mut first = stand.programs().baseline();
            first.arg(&folder).args(["4096", "first"]);
            let nanoseconds: f64 = printed(first)?.parse()?;
            fs::remove_dir(folder)?;
            nanoseconds
        }
    };
    let cost = Cost::of_ended_children()? - before;
    let microseconds = nanoseconds / 1e3;
    Ok(Measurement {
        rate: 1e9 / nanoseconds,
        cpu_microseconds: cost.cpu_nanoseconds as f64 / 1e3,
        switches: 0.0,
        latency: Some(Latency {
            p50_microseconds: microseconds,
            p99_microseconds: microseconds,
        }),
        memory_kibibytes: None,
    })
}

/// What a program printed that ended well.
pub fn printed(mut command: Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
