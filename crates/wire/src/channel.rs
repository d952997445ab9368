//! The raw path between the daemon and a provider's process.
//!
//! A SOCK_SEQPACKET pair of Unix sockets carries frames: packets keep their borders, the order is
//! kept, and the end of either process is seen at once. Some 270 unread frames fit; then a send is
//! refused, which is an answer and not an error: the daemon queues and waits for room.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fuse_promise_core::{Failure, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, socketpair,
    sockopt,
};

use crate::errno::failed;
use crate::frame::{FRAME_LEN, FrameBytes};

/// One byte more than a frame, so that a packet that is too long shows.
pub const RECV_LEN: usize = FRAME_LEN + 1;

/// One end of the path.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    Sent,
    /// The peer has not read enough yet; poll for POLLOUT.
    Full,
    /// The peer is gone, or either side has shut the channel down.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvOutcome {
    Frame(FrameBytes),
    /// A packet of another length, which is lost. No peer of ours sends one.
    NotAFrame(usize),
    Empty,
    /// The peer is gone, or either side has shut the channel down. A packet without bytes cannot
    /// be told from that, and ends a session just so.
    Closed,
}

impl Channel {
    pub fn pair() -> Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| failed("make a channel", errno))?;
        Ok((Self { fd: one }, Self { fd: other }))
    }

    /// Takes over a descriptor that came from the other side; anything but a SOCK_SEQPACKET Unix
    /// socket is refused.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        let domain = sockopt::socket_domain(&fd).map_err(|errno| failed("channel", errno))?;
        let kind = sockopt::socket_type(&fd).map_err(|errno| failed("channel", errno))?;
        if domain != AddressFamily::UNIX || kind != SocketType::SEQPACKET {
            return Err(Failure::invalid(
                "the channel is not a SOCK_SEQPACKET Unix socket",
            ));
        }
        Ok(Self { fd })
    }

    /// Never waits.
    pub fn send(&self, frame: &FrameBytes) -> Result<SendOutcome> {
        loop {
            match send(&self.fd, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                // A packet is taken whole or not at all.
                Ok(_) => return Ok(SendOutcome::Sent),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(SendOutcome::Full),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Ok(SendOutcome::Closed);
                }
                Err(errno) => return Err(failed("send a frame", errno)),
            }
        }
    }

    /// Waits for room; `Full` never comes out of it.
    pub fn send_waiting(&self, frame: &FrameBytes) -> Result<SendOutcome> {
        loop {
            match self.send(frame)? {
                SendOutcome::Full => self.wait(PollFlags::OUT)?,
                done => return Ok(done),
            }
        }
    }

    /// Never waits. The buffer has [`RECV_LEN`] bytes or more.
    pub fn recv(&self, buffer: &mut [u8]) -> Result<RecvOutcome> {
        self.recv_with(buffer, RecvFlags::DONTWAIT)
    }

    /// Waits for a packet or the end; `Empty` never comes out of it.
    pub fn recv_waiting(&self, buffer: &mut [u8]) -> Result<RecvOutcome> {
        loop {
            // The descriptor itself is blocking unless the other side has changed that for both.
            match self.recv_with(buffer, RecvFlags::empty())? {
                RecvOutcome::Empty => self.wait(PollFlags::IN)?,
                done => return Ok(done),
            }
        }
    }

    /// Ends the channel for both sides and all duplicates of either descriptor.
    pub fn shutdown(&self) {
        // It can only fail where there is nothing left to shut down.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }

    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    fn recv_with(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<RecvOutcome> {
        loop {
            // With TRUNC the kernel tells the packet's real length.
            let (packet, len) = match recv(&self.fd, &mut *buffer, flags | RecvFlags::TRUNC) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(RecvOutcome::Empty),
                Err(Errno::CONNRESET | Errno::NOTCONN) => return Ok(RecvOutcome::Closed),
                Err(errno) => return Err(failed("receive a frame", errno)),
            };
            return Ok(
                match (len, FrameBytes::try_from(&buffer[..packet.min(len)])) {
                    (0, _) => RecvOutcome::Closed,
                    (FRAME_LEN, Ok(frame)) => RecvOutcome::Frame(frame),
                    (len, _) => RecvOutcome::NotAFrame(len),
                },
            );
        }
    }

    fn wait(&self, flags: PollFlags) -> Result<()> {
        match poll(&mut [PollFd::new(&self.fd, flags)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(failed("wait for the channel", errno)),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

mod passing;

#[cfg(test)]
mod tests;
