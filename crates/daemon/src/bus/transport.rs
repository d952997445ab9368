//! A socket peer's messages on their way in and out.
//!
//! The bus library takes any message that the specification allows, 128 MiB of it, and makes room
//! as soon as its length is said. Our calls are small and carry one descriptor, so here each
//! message is measured while it is read: one that is longer, or brings descriptors anywhere but
//! with its first bytes, ends the connection before anything is held for it.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use fuse_promise_core::limits::{MESSAGE_DESCRIPTORS_MAX, MESSAGE_LEN_MAX};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recvmsg, sendmsg, shutdown,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::export::async_trait::async_trait;

/// The fixed part of every message's header, which tells the length of the rest.
const HEADER_LEN: usize = 16;

/// A connected socket, behind its handshake.
#[derive(Debug)]
pub struct Transport {
    pub stream: Arc<UnixStream>,
    /// Whether the peer takes descriptors, as the handshake settled it.
    pub takes_descriptors: bool,
}

impl Socket for Transport {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let reader = Reader {
            stream: Arc::clone(&self.stream),
            takes_descriptors: self.takes_descriptors,
            message: Measure::default(),
        };
        Split::new(reader, Writer(self.stream))
    }
}

#[derive(Debug)]
pub struct Reader {
    stream: Arc<UnixStream>,
    takes_descriptors: bool,
    message: Measure,
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
        let begins = self.message.begins();
        let receive = || receive(&self.stream, buffer);
        let (count, descriptors) = self.stream.async_io(Interest::READABLE, receive).await?;
        if !descriptors.is_empty() && !begins {
            return Err(refused("descriptors came in the middle of a message"));
        }
        self.message.read(&buffer[..count])?;
        Ok((count, descriptors))
    }

    fn can_pass_unix_fd(&self) -> bool {
        self.takes_descriptors
    }
}

#[derive(Debug)]
pub struct Writer(Arc<UnixStream>);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize> {
        let send = || send(&self.0, bytes, descriptors);
        self.0.async_io(Interest::WRITABLE, send).await
    }

    async fn close(&mut self) -> Result<()> {
        Ok(shutdown(&self.0, Shutdown::Both)?)
    }
}

/// How much of the current message is still to come. The bus library never reads beyond the end
/// of a message, so what is read here always belongs to one.
#[derive(Debug, Default)]
struct Measure {
    header: Vec<u8>,
    /// Behind the fixed part; known once that is whole.
    left: usize,
}

impl Measure {
    /// Whether the next byte is the first of a message.
    fn begins(&self) -> bool {
        self.header.is_empty()
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.header.len() < HEADER_LEN {
            let count = bytes.len().min(HEADER_LEN - self.header.len());
            let (header, rest) = bytes.split_at(count);
            self.header.extend_from_slice(header);
            bytes = rest;
            if self.header.len() == HEADER_LEN {
                self.left = rest_len(&self.header)?;
            }
        }
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| refused("it goes on behind its end"))?;
        if self.header.len() == HEADER_LEN && self.left == 0 {
            self.header.clear();
        }
        Ok(())
    }
}

/// What follows the fixed part of a header: its fields, padded to 8 bytes, and the body.
fn rest_len(header: &[u8]) -> Result<usize> {
    let number = |place: usize| {
        let bytes = [0, 1, 2, 3].map(|offset| header[place + offset]);
        let number = match header[0] {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        };
        number as usize
    };
    let (body, fields) = (number(4), number(12));
    let whole = fields.checked_next_multiple_of(8);
    let whole = whole.and_then(|fields| fields.checked_add(body));
    match whole {
        Some(whole) if whole <= MESSAGE_LEN_MAX => Ok(whole),
        _ => Err(refused(&format!(
            "it has {fields} bytes of header fields and {body} of body, {MESSAGE_LEN_MAX} are \
             allowed together"
        ))),
    }
}

fn receive(stream: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [IoSliceMut::new(buffer)];
    let received = recvmsg(stream, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = item {
            descriptors.extend(came);
        }
    }
    // The space for them is rounded up, so the kernel alone does not count exactly.
    let truncated = received.flags.contains(ReturnFlags::CTRUNC);
    if truncated || descriptors.len() > MESSAGE_DESCRIPTORS_MAX {
        return Err(refused(&format!(
            "it brings more than {MESSAGE_DESCRIPTORS_MAX} descriptors, or we have no room for them"
        )));
    }
    Ok((received.bytes, descriptors))
}

fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = SendAncillaryMessage::ScmRights(descriptors);
    if !descriptors.is_empty() && !control.push(rights) {
        return Err(refused("it would carry too many descriptors"));
    }
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg(stream, &bytes, &mut control, SendFlags::NOSIGNAL)?)
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("a message is refused: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::tests::run;

    /// A fixed header of a message with so much behind it.
    fn header(endian: u8, fields: u32, body: u32) -> [u8; HEADER_LEN] {
        let number = |number: u32| match endian {
            b'B' => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        };
        let mut header = [endian, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&number(body));
        header[12..].copy_from_slice(&number(fields));
        header
    }

    #[test]
    fn a_message_is_measured_however_it_is_cut() {
        for endian in [b'l', b'B'] {
            for cut in [1, 3, HEADER_LEN, 40, 100] {
                let mut whole = header(endian, 13, 30).to_vec();
                whole.resize(HEADER_LEN + 16 + 30, 0);
                let mut measure = Measure::default();
                for _ in 0..2 {
                    assert!(measure.begins());
                    let (last, before) = whole.split_last().unwrap();
                    for piece in before.chunks(cut) {
                        measure.read(piece).unwrap();
                        assert!(!measure.begins());
                    }
                    measure.read(&[*last]).unwrap();
                }
                assert!(measure.begins());
            }
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_by_its_header() {
        let most = MESSAGE_LEN_MAX as u32;
        for (fields, body, fine) in [
            (0, most, true),
            (8, most - 8, true),
            (1, most - 7, false),
            (0, most + 1, false),
            (u32::MAX, u32::MAX, false),
        ] {
            for endian in [b'l', b'B'] {
                let read = Measure::default().read(&header(endian, fields, body));
                assert_eq!(read.is_ok(), fine, "{fields} {body}");
                let refusal = read.map_err(|error| error.to_string());
                for number in [fields, body, most] {
                    let named = |refusal: &String| refusal.contains(&number.to_string());
                    assert!(refusal.as_ref().err().is_none_or(named), "{refusal:?}");
                }
            }
        }
    }

    #[test]
    fn descriptors_come_with_the_first_bytes_or_not_at_all() {
        run(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut reader = reader(ours);
            let file = std::fs::File::open("/dev/null").unwrap();
            let descriptor = [std::os::fd::AsFd::as_fd(&file)];
            let mut space = [0; HEADER_LEN];
            let whole = header(b'l', 0, 8);
            assert_eq!(send(&theirs, &whole, &descriptor).unwrap(), HEADER_LEN);
            let (count, descriptors) = reader.recvmsg(&mut space).await.unwrap();
            assert_eq!((count, descriptors.len()), (HEADER_LEN, 1));
            send(&theirs, &[0; 8], &descriptor).unwrap();
            let late = reader.recvmsg(&mut space[..8]).await.unwrap_err();
            assert_eq!(late.kind(), ErrorKind::InvalidData);
        });
    }

    #[test]
    fn too_many_descriptors_are_refused() {
        run(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let file = std::fs::File::open("/dev/null").unwrap();
            let many = [std::os::fd::AsFd::as_fd(&file); MESSAGE_DESCRIPTORS_MAX + 1];
            let mut reader = reader(ours);
            // A message without anything behind its header.
            let bytes = header(b'l', 0, 0);
            for count in [MESSAGE_DESCRIPTORS_MAX, MESSAGE_DESCRIPTORS_MAX + 1] {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                assert!(control.push(SendAncillaryMessage::ScmRights(&many[..count])));
                let bytes = [IoSlice::new(&bytes)];
                sendmsg(&theirs, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
            }
            let (_, descriptors) = reader.recvmsg(&mut [0; HEADER_LEN]).await.unwrap();
            assert_eq!(descriptors.len(), MESSAGE_DESCRIPTORS_MAX);
            let refused = reader.recvmsg(&mut [0; HEADER_LEN]).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidData);
            let limit = format!("more than {MESSAGE_DESCRIPTORS_MAX} descriptors");
            assert!(refused.to_string().contains(&limit), "{refused}");
        });
    }

    fn reader(stream: UnixStream) -> Reader {
        let transport = Transport {
            stream: Arc::new(stream),
            takes_descriptors: true,
        };
        transport.split().take().0
    }
}
