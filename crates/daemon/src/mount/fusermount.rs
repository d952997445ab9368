//! Mounting and unmounting through fusermount3, the setuid program that does it for ordinary
//! users. It opens /dev/fuse, mounts it, and sends the descriptor back over a socket whose number
//! it finds in `_FUSE_COMMFD`; here the socket is its standard input, so it needs no other
//! descriptor to survive the exec.
//!
//! Running it oneself, instead of letting the FUSE library do it, means that no object exists
//! whose end takes the mount away.

use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::obstacle::{Obstacle, device_obstacle};

/// `ro`: nothing is ever written. `nosuid,nodev`: declared set-id bits and nodes have no effect.
/// `default_permissions`: the kernel checks the declared bits and never asks.
const OPTIONS: &str =
    "ro,nosuid,nodev,default_permissions,fsname=fuse-promise,subtype=fuse-promise";

/// It takes milliseconds. The bound is for a machine that is stuck, so that the daemon is not.
const PATIENCE: Duration = Duration::from_secs(5);

/// The program, and the device it opens.
#[derive(Debug, Clone)]
pub struct Fusermount {
    program: PathBuf,
    device: PathBuf,
    patience: Duration,
}

impl Default for Fusermount {
    fn default() -> Self {
        Self::new("fusermount3".into(), "/dev/fuse".into())
    }
}

/// Whether an unmount waits for nobody: the mount goes at once, open files stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmount {
    Now,
    Lazily,
}

impl Fusermount {
    pub fn new(program: PathBuf, device: PathBuf) -> Self {
        Self {
            program,
            device,
            patience: PATIENCE,
        }
    }

    /// Mounts, and returns the descriptor through which the kernel asks.
    pub fn mount(&self, point: &Path) -> Result<OwnedFd, Obstacle> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let mut child = self.start(point, theirs)?;
        let until = Instant::now() + self.patience;
        let device = receive(&ours, until);
        match (device, finish(&mut child, until)) {
            (Ok(Some(device)), Ok(())) => Ok(device),
            (_, Err(words)) => {
                Err(device_obstacle(&self.device).unwrap_or(Obstacle::Refused(words)))
            }
            (Ok(None), Ok(())) => Err(Obstacle::Failed(
                "fusermount3 ended well, but sent no descriptor".into(),
            )),
            (Err(error), Ok(())) => Err(failed(&error)),
        }
    }

    fn start(&self, point: &Path, socket: UnixStream) -> Result<Child, Obstacle> {
        let started = self
            .command()
            .args(["-o", OPTIONS, "--"])
            .arg(point)
            .env("_FUSE_COMMFD", "0")
            .stdin(OwnedFd::from(socket))
            .spawn();
        started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Obstacle::NoProgram(self.program.clone()),
            _ => failed(&error),
        })
    }

    /// Takes a mount away.
    ///
    /// # Errors
    /// What fusermount3 had to say.
    pub fn unmount(&self, point: &Path, how: Unmount) -> Result<(), String> {
        let mut command = self.command();
        command.arg("-u");
        if how == Unmount::Lazily {
            command.arg("-z");
        }
        let started = command.arg("--").arg(point).stdin(Stdio::null()).spawn();
        let program = self.program.display();
        let mut child = started.map_err(|error| format!("{program}: {error}"))?;
        finish(&mut child, Instant::now() + self.patience)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Not its business, and it must not speak to the service manager in our name.
        command.env_remove("NOTIFY_SOCKET");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

fn failed(error: &io::Error) -> Obstacle {
    Obstacle::Failed(format!("running fusermount3: {error}"))
}

/// Reads from the socket until the other end closes it, and returns the descriptor that came.
fn receive(socket: &UnixStream, until: Instant) -> io::Result<Option<OwnedFd>> {
    let mut received = None;
    loop {
        wait_readable(socket, until)?;
        let mut byte = [0; 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut data = [IoSliceMut::new(&mut byte)];
        let message = recvmsg(socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for item in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = item {
                received = descriptors.last().or(received);
            }
        }
        if message.bytes == 0 {
            return Ok(received);
        }
    }
}

fn wait_readable(descriptor: impl AsFd, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
        match poll(&mut watched, Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the end of the program; one that does not end is killed. An error is what it said.
fn finish(child: &mut Child, until: Instant) -> Result<(), String> {
    let words = child.stderr.take().map(|pipe| read_to_end(pipe, until));
    let Some(Ok(words)) = words else {
        // One that has ended in the meantime cannot be killed, which is as good.
        let _ = child.kill();
        let _ = child.wait();
        return Err("fusermount3 hung and was killed".into());
    };
    let words = words.trim();
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if words.is_empty() => Err(format!("fusermount3 failed: {status}")),
        Ok(_) => Err(words.to_owned()),
        Err(error) => Err(format!("fusermount3: {error}")),
    }
}

/// Standard error stays open until the program ends, so its end is also the program's.
fn read_to_end(mut pipe: ChildStderr, until: Instant) -> io::Result<String> {
    let mut words = Vec::new();
    let mut piece = [0; 512];
    loop {
        wait_readable(&pipe, until)?;
        match pipe.read(&mut piece)? {
            0 => return Ok(String::from_utf8_lossy(&words).into_owned()),
            length => words.extend_from_slice(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests;
