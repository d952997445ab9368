//! A program that serves while others are measured. It says that it is ready by its first line
//! (the daemon by its READY notification), and ends when its standard input does (the daemon at
//! SIGTERM).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::stage::Stage;

/// Nothing that works takes this long; a run that hangs ends instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; killed when dropped.
pub struct Process {
    child: Child,
    talk: Option<Talk>,
}

/// The two ends of a conversation in lines.
struct Talk {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a program that ends with its input.
    pub fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let talk = pipes.map(|(input, output)| Talk {
            input,
            output: BufReader::new(output),
        });
        Ok(Self { child, talk })
    }

    /// Starts the daemon with what tells it its runtime directory, and waits until it serves.
    pub fn start_daemon(mut command: Command, stage: &Stage, runtime_dir: &Path) -> Outcome<Self> {
        let socket_path = runtime_dir.join("ready");
        let socket = UnixDatagram::bind(&socket_path)?;
        stage.give(&socket_path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let child = command
            // A line for every promise and provider would push the table out of sight.
            .args(["--foreground", "--log-level=warn"])
            .env("NOTIFY_SOCKET", &socket_path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let daemon = Self { child, talk: None };
        until_ready(&socket)
            .map_err(|error| format!("fuse-promised did not become ready: {error}"))?;
        Ok(daemon)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next line.
    pub fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if let Some(talk) = &mut self.talk {
            talk.output.read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err("a measured program ended before it was ready".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Sends it a line and returns its answer.
    pub fn ask(&mut self, question: &str) -> Outcome<String> {
        if let Some(talk) = &mut self.talk {
            writeln!(talk.input, "{question}")?;
        }
        self.line()
    }

    /// Ends it and says so if it did not end well.
    pub fn end(mut self) -> Outcome {
        if self.talk.take().is_none() {
            return self.terminate();
        }
        self.until_ended()
    }

    /// Ends it by SIGTERM, whatever it reads.
    pub fn terminate(self) -> Outcome {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.until_ended()
    }

    fn until_ended(mut self) -> Outcome {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(format!("a measured program ended badly: {status}").into());
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err("a measured program did not end when asked to".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither does anything to a program that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
