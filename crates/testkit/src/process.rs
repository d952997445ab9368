//! A started program: its output kept in a file, its end awaited with a
//! limit, killed when it is dropped.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// No step of a test takes longer than this, however slow the machine.
pub const HANG_LIMIT: Duration = Duration::from_secs(60);

/// A child process of the test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: OwnedFd,
    log: PathBuf,
    name: String,
}

impl Process {
    /// Starts `command` with no input and both its outputs appended to `log`.
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let output = open_log(log);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second descriptor"))
            .stderr(output);
        Self::spawn_piped(command, log)
    }

    /// Starts `command` with the input and outputs it was given; `log` only
    /// says where its words go.
    pub fn spawn_piped(mut command: Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let pidfd = pidfd_open(pid_of(child.id()), PidfdFlags::empty()).expect("a pidfd");
        Self {
            child,
            pidfd,
            log: log.to_owned(),
            name,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// The exit status, if the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child to wait for")
    }

    /// Waits for the program's own end; fails when it does not come.
    pub fn wait(&mut self) -> ExitStatus {
        match self.wait_within(HANG_LIMIT) {
            Some(status) => status,
            None => panic!("{} (pid {}) does not end", self.name, self.pid()),
        }
    }

    /// Waits for the program's end for some time.
    pub fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        has_ended(&self.pidfd, limit);
        self.ended()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks to end by SIGTERM and waits; SIGKILL when that is not heard.
    /// Returns the exit code the program chose itself.
    pub fn terminate(&mut self, patience: Duration) -> Option<i32> {
        if self.ended().is_none() {
            self.signal(Signal::TERM);
            // A stopped process hears SIGTERM only once it goes on.
            self.signal(Signal::CONT);
        }
        match self.wait_within(patience) {
            Some(status) => status.code(),
            None => {
                self.kill();
                None
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that need not be a child.
pub fn send(pid: u32, signal: Signal) {
    // Gone already is no failure: every caller looks at what happened next.
    let _ = kill_process(pid_of(pid), signal);
}

/// Waits until one of several programs has ended, and returns which.
#[track_caller]
pub fn first_to_end(programs: &[Process]) -> usize {
    let timeout = Timespec::try_from(HANG_LIMIT).expect("a limit in range");
    loop {
        let mut fds: Vec<PollFd<'_>> = programs
            .iter()
            .map(|program| PollFd::new(&program.pidfd, PollFlags::IN))
            .collect();
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(1..) => {
                let ended = fds.iter().position(|fd| !fd.revents().is_empty());
                return ended.expect("one that has ended");
            }
            _ => panic!("none of the programs ends"),
        }
    }
}

/// Waits until a process has ended that need not be a child. `act` is done
/// once the process is being watched, so that its end cannot be missed.
#[track_caller]
pub fn wait_end(pid: u32, act: impl FnOnce()) {
    let Ok(pidfd) = pidfd_open(pid_of(pid), PidfdFlags::empty()) else {
        act();
        return;
    };
    act();
    assert!(has_ended(&pidfd, HANG_LIMIT), "pid {pid} does not end");
}

/// Kills processes and returns when they have gone. One that waits in a mount goes only when
/// that does, so no longer than `patience` for each.
pub fn end(pids: &[u32], patience: Duration) {
    let open = |pid: &u32| pidfd_open(pid_of(*pid), PidfdFlags::empty()).ok();
    let living: Vec<OwnedFd> = pids.iter().filter_map(open).collect();
    for pid in pids {
        send(*pid, Signal::KILL);
    }
    for pidfd in living {
        has_ended(&pidfd, patience);
    }
}

fn has_ended(pidfd: &OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).expect("a limit in range");
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            polled => return matches!(polled, Ok(1..)),
        }
    }
}

/// Runs a command to its end and returns its exit code (128 + signal when it
/// was killed), standard output and standard error.
pub fn run(command: &mut Command) -> Ran {
    let name = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Ran {
        code: output
            .status
            .code()
            .unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        name,
    }
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    name: String,
}

impl Ran {
    /// The standard output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "{} failed\n-- out:\n{}\n-- err:\n{}",
            self.name, self.out, self.err
        );
        self.out
    }

    /// The standard error of a command that must have failed with this code.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> String {
        assert_eq!(
            self.code, code,
            "{}\n-- out:\n{}\n-- err:\n{}",
            self.name, self.out, self.err
        );
        self.err
    }

    /// The value of `key=value` on a line of its own.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.out
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }
}

/// Pids of every process that was started inside `folder`'s session: their
/// environment names a path in it.
pub fn of_session(folder: &Path) -> Vec<u32> {
    let needle = format!("{}/", folder.display()).into_bytes();
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            environment_of(*pid)
                .windows(needle.len())
                .any(|w| w == needle)
        })
        .collect()
}

/// The environment a process was started with; empty for one that has ended,
/// is the kernel's own or may not be looked at.
fn environment_of(pid: u32) -> Vec<u8> {
    /// An `execve` out of a mount that does not answer can last.
    const PATIENCE: Duration = Duration::from_millis(500);
    let read = || std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let began = Instant::now();
    while read().is_empty() && is_in_execve(pid) && began.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    // Again, for the `execve` that ended between the two looks.
    read()
}

/// Whether a process has a program but, as yet, no place for an environment: in the middle of
/// `execve` the new address space is there before its strings are.
fn is_in_execve(pid: u32) -> bool {
    /// Field 50 of proc_pid_stat(5), counted from behind the name, which is field 2.
    const ENV_START: usize = 50 - 3;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let env_start = stat
        .rsplit_once(") ")
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(ENV_START));
    env_start == Some("0") && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// One line about a process: what it is and what it is doing.
pub fn describe(pid: u32) -> String {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let state = read("status")
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("State:"))
        .collect::<String>();
    let command = read("cmdline").unwrap_or_default().replace('\0', " ");
    let waiting = read("wchan").unwrap_or_default();
    format!("pid {pid} {state} in {waiting}: {command}")
}

pub(crate) fn open_log(path: &Path) -> File {
    let open = || -> io::Result<File> {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
    };
    open().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pid_of(pid: u32) -> Pid {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id")
}
