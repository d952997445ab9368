//! One side of the comparison while it serves: its processes, and the file a reader opens. Each
//! program says that it is ready by printing that file's path (the daemon by its READY
//! notification), and ends when its standard input does (the daemon at SIGTERM).

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cost::Cost;
use super::programs::Programs;
use crate::Outcome;

/// Nothing that works takes this long; a run that hangs ends instead.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Served {
    pub name: &'static str,
    pub path: PathBuf,
    /// In the order in which they are to end.
    processes: Vec<Process>,
    /// Where fusermount3 unmounts should a process not have done it.
    mount_point: PathBuf,
}

enum Process {
    UntilInputEnds(Child, Option<ChildStdin>),
    UntilTerminated(Child),
}

impl Served {
    pub fn baseline(programs: &Programs, file_size: u64) -> Outcome<Self> {
        let mount_point = programs.private_folder("baseline")?;
        let mut command = programs.baseline();
        command.arg(&mount_point).arg(file_size.to_string());
        let (process, path) = start_until_input_ends(command)?;
        Ok(Self {
            name: "baseline",
            path,
            processes: vec![process],
            mount_point,
        })
    }

    pub fn promise(programs: &Programs, file_size: u64) -> Outcome<Self> {
        let runtime_dir = programs.private_folder("session")?;
        let daemon = start_daemon(programs, &runtime_dir)?;
        let mut served = Self {
            name: "promise",
            path: PathBuf::new(),
            processes: vec![daemon],
            mount_point: runtime_dir.join("fuse-promise"),
        };
        let mut command = programs.provider();
        in_session(&mut command, &runtime_dir);
        command.arg(file_size.to_string());
        let (provider, path) = start_until_input_ends(command)?;
        served.processes.insert(0, provider);
        served.path = path;
        Ok(served)
    }

    pub fn cost(&self) -> Outcome<Cost> {
        let ids: Vec<u32> = self.processes.iter().map(Process::id).collect();
        Cost::sample(&ids)
    }

    /// Ends every process and says so if one of them did not end well.
    pub fn stop(mut self) -> Outcome<()> {
        for mut process in std::mem::take(&mut self.processes) {
            process.end()?;
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        for process in &mut self.processes {
            let _ = process.child().kill();
            let _ = process.child().wait();
        }
        let _ = Command::new("fusermount3")
            .args(["-u", "-z"])
            .arg(&self.mount_point)
            .status();
    }
}

impl Process {
    fn child(&mut self) -> &mut Child {
        match self {
            Self::UntilInputEnds(child, _) | Self::UntilTerminated(child) => child,
        }
    }

    fn id(&self) -> u32 {
        match self {
            Self::UntilInputEnds(child, _) | Self::UntilTerminated(child) => child.id(),
        }
    }

    fn end(&mut self) -> Outcome<()> {
        match self {
            Self::UntilInputEnds(_, input) => drop(input.take()),
            Self::UntilTerminated(child) => kill_process(Pid::from_child(child), Signal::TERM)?,
        }
        let child = self.child();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("a measured program ended badly: {status}").into())
                };
            }
            if started.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Err("a measured program did not end when asked to".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn in_session(command: &mut Command, runtime_dir: &Path) {
    command
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
}

fn start_daemon(programs: &Programs, runtime_dir: &Path) -> Outcome<Process> {
    let socket_path = runtime_dir.join("ready");
    let socket = UnixDatagram::bind(&socket_path)?;
    programs.stage().give(&socket_path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut command = programs.daemon();
    in_session(&mut command, runtime_dir);
    let daemon = command
        .arg("--foreground")
        .env("NOTIFY_SOCKET", &socket_path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let mut daemon = Process::UntilTerminated(daemon);
    if let Err(error) = until_ready(&socket) {
        let _ = daemon.child().kill();
        let _ = daemon.child().wait();
        return Err(format!("fuse-promised did not become ready: {error}").into());
    }
    Ok(daemon)
}

fn until_ready(socket: &UnixDatagram) -> Outcome<()> {
    let mut message = [0; 4096];
    loop {
        let length = socket.recv(&mut message)?;
        if message[..length]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
        {
            return Ok(());
        }
    }
}

fn start_until_input_ends(mut command: Command) -> Outcome<(Process, PathBuf)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = child.stdin.take();
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let mut process = Process::UntilInputEnds(child, input);
    if line.is_empty() {
        process.end()?;
        return Err("a measured program ended before it was ready".into());
    }
    Ok((process, PathBuf::from(line.trim_end())))
}
