//! A peer that speaks as it likes, on a thread of its own.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::message::{Answer, Call, HEADER_LEN, rest_of};

/// Longer than any answer takes.
const HANG: Duration = Duration::from_secs(30);

pub struct Peer {
    stream: UnixStream,
    serial: u32,
    /// What came with answers: the channels of our sessions live here.
    received: Vec<OwnedFd>,
}

impl Peer {
    /// Shakes hands.
    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        let mut peer = Self {
            stream,
            serial: 0,
            received: Vec::new(),
        };
        let hello = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        peer.stream.write_all(hello).unwrap();
        let mut lines = 0;
        while lines < 3 {
            let mut byte = [0];
            peer.stream.read_exact(&mut byte).unwrap();
            lines += u32::from(byte == *b"\n");
        }
        peer
    }

    /// The answer, or `None` if the connection was closed instead.
    pub fn call(&mut self, call: &Call<'_>, descriptors: &[OwnedFd]) -> Option<Answer> {
        self.serial += 1;
        self.send(&call.bytes(self.serial), descriptors)?;
        loop {
            let answer = self.receive()?;
            if answer.serial == Some(self.serial) {
                return Some(answer);
            }
        }
    }

    /// Says these bytes and nothing more; returns when the daemon has closed the connection too.
    pub fn end_with(mut self, last: &[u8]) {
        let _ = self.stream.write_all(last);
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.receive().is_some() {}
    }

    fn send(&mut self, bytes: &[u8], descriptors: &[OwnedFd]) -> Option<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        }
        let whole = [IoSlice::new(bytes)];
        let sent =
            retry_on_intr(|| sendmsg(&self.stream, &whole, &mut control, SendFlags::NOSIGNAL));
        let sent = sent.ok()?;
        self.stream.write_all(&bytes[sent..]).ok()
    }

    fn receive(&mut self) -> Option<Answer> {
        let mut header = [0; HEADER_LEN];
        self.fill(&mut header)?;
        let mut message = header.to_vec();
        message.resize(HEADER_LEN + rest_of(&header), 0);
        self.fill(&mut message[HEADER_LEN..])?;
        Some(Answer::read(&message))
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Option<()> {
        while !buffer.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut bytes = [IoSliceMut::new(buffer)];
            let received = match recvmsg(&self.stream, &mut bytes, &mut control, RecvFlags::empty())
            {
                Ok(received) => received,
                // With a limit on its time a call that was interrupted is not taken up again by
                // the kernel, not even when the process was only stopped for a while.
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return None,
                Err(error) => panic!("no answer came within {HANG:?}: {error}"),
            };
            for item in control.drain() {
                if let RecvAncillaryMessage::ScmRights(came) = item {
                    self.received.extend(came);
                }
            }
            if received.bytes == 0 {
                return None;
            }
            buffer = &mut buffer[received.bytes..];
        }
        Some(())
    }
}
