//! A frame with a descriptor beside it: how a provider gets the memory of a new arena.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fuse_promise_core::Result;
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::{Channel, RecvOutcome, SendOutcome};
use crate::errno::failed;
use crate::frame::FrameBytes;

impl Channel {
    /// As [`send`](Self::send), with a duplicate of the descriptor.
    pub fn send_with_fd(&self, frame: &FrameBytes, fd: BorrowedFd<'_>) -> Result<SendOutcome> {
        let fds = [fd];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            // There is room for exactly this one.
            beside.push(SendAncillaryMessage::ScmRights(&fds));
            match sendmsg(&self.fd, &[IoSlice::new(frame)], &mut beside, flags) {
                Ok(_) => return Ok(SendOutcome::Sent),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(SendOutcome::Full),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Ok(SendOutcome::Closed);
                }
                Err(errno) => return Err(failed("send a frame with a descriptor", errno)),
            }
        }
    }

    /// Waits for a packet or the end; `Empty` never comes out of it. The descriptor that came
    /// beside the packet, if any, is closed on exec; there is never more than one, and further
    /// ones are closed. The buffer has [`RECV_LEN`](super::RECV_LEN) bytes or more.
    pub fn recv_waiting_with_fd(
        &self,
        buffer: &mut [u8],
    ) -> Result<(RecvOutcome, Option<OwnedFd>)> {
        loop {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let packet = match recvmsg(self.as_fd(), &mut parts, &mut beside, flags) {
                Ok(packet) => packet,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    self.wait(rustix::event::PollFlags::IN)?;
                    continue;
                }
                Err(Errno::CONNRESET | Errno::NOTCONN) => return Ok((RecvOutcome::Closed, None)),
                Err(errno) => return Err(failed("receive a frame", errno)),
            };
            let mut fds = beside.drain().flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
                _ => Vec::new(),
            });
            let fd = fds.next();
            // The rest are closed as they are dropped.
            fds.for_each(drop);
            let cut = packet.flags.contains(ReturnFlags::TRUNC);
            return Ok((outcome(&buffer[..packet.bytes], cut), fd));
        }
    }
}

fn outcome(packet: &[u8], cut: bool) -> RecvOutcome {
    match FrameBytes::try_from(packet) {
        Ok(frame) if !cut => RecvOutcome::Frame(frame),
        _ if packet.is_empty() => RecvOutcome::Closed,
        _ => RecvOutcome::NotAFrame(packet.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;
    use crate::channel::RECV_LEN;
    use crate::frame::FRAME_LEN;

    fn recv(channel: &Channel) -> (RecvOutcome, Option<OwnedFd>) {
        channel
            .recv_waiting_with_fd(&mut [0; RECV_LEN])
            .expect("a working channel")
    }

    #[test]
    fn a_descriptor_arrives_with_its_frame_and_closed_on_exec() {
        let (here, there) = Channel::pair().expect("a socket pair");
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let sent = here.send_with_fd(&[7; FRAME_LEN], writer.as_fd());
        assert_eq!(sent, Ok(SendOutcome::Sent));
        drop(writer);
        assert_eq!(here.send(&[8; FRAME_LEN]), Ok(SendOutcome::Sent));

        let (frame, fd) = recv(&there);
        assert_eq!(frame, RecvOutcome::Frame([7; FRAME_LEN]));
        let fd = fd.expect("a descriptor");
        assert!(fcntl_getfd(&fd).expect("open").contains(FdFlags::CLOEXEC));
        File::from(fd).write_all(b"x").expect("the pipe is open");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "x");

        let (frame, fd) = recv(&there);
        assert_eq!(frame, RecvOutcome::Frame([8; FRAME_LEN]));
        assert!(fd.is_none());
    }

    #[test]
    fn packets_of_another_length_are_no_frames() {
        let (here, there) = Channel::pair().expect("a socket pair");
        for length in [1, FRAME_LEN - 1, FRAME_LEN + 1, 1000] {
            let packet = vec![1; length];
            rustix::net::send(&here, &packet, SendFlags::empty()).expect("sent");
            let received = length.min(RECV_LEN);
            assert_eq!(recv(&there).0, RecvOutcome::NotAFrame(received));
        }
    }

    #[test]
    fn the_end_is_seen_on_both_sides() {
        let (here, there) = Channel::pair().expect("a socket pair");
        drop(here);
        assert_eq!(recv(&there).0, RecvOutcome::Closed);
        let null = File::open("/dev/null").expect("always there");
        let sent = there.send_with_fd(&[0; FRAME_LEN], null.as_fd());
        assert_eq!(sent, Ok(SendOutcome::Closed));
    }
}
