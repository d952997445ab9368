//! The frames of a provider's channel.
//!
//! A frame is 64 bytes in the machine's own byte order: a kind, its fields, and zeros. Both ends
//! are on one machine, so nothing is packed or converted. Each direction has kinds of its own, and
//! the first frame each way is a hello with the protocol version; its kind and version keep their
//! places in every version, so that a mismatch can be told.

use fuse_promise_core::{Failure, Status};

use crate::geometry::Geometry;

mod fields;
use fields::{FieldReader, FieldWriter};

/// Of the bus interface and the channel together.
pub const PROTOCOL_VERSION: u32 = 1;

pub const FRAME_LEN: usize = 64;

pub type FrameBytes = [u8; FRAME_LEN];

/// From the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToProvider {
    /// The first frame, and again with a new epoch when a new arena came. Of another protocol
    /// version only the version is meaningful.
    Hello {
        protocol: u32,
        epoch: u32,
        geometry: Geometry,
    },
    Read(ReadFrame),
    /// Nobody waits for this request any more. It still owns its slot and still ends with a Done.
    Cancel {
        request: u64,
    },
    Event {
        event: SessionEvent,
        promise: u32,
        /// What it means depends on the event; 0 where nothing is said.
        argument: u64,
    },
    /// There are frames in the ring.
    Bell,
}

/// A read to answer: `length` bytes from `offset` of a node, into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadFrame {
    pub request: u64,
    pub epoch: u32,
    pub promise: u32,
    pub row: u32,
    pub offset: u64,
    pub length: u32,
    pub slot: u32,
    /// Where in the slot the answer begins: not 0 when a short answer is continued.
    pub slot_offset: u32,
    /// The reading process; 0 if it was not resolved.
    pub pid: u32,
    /// The reading thread as FUSE names it; 0 if it lives in another PID namespace.
    pub tid: u32,
}

/// What a session is told beside reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum SessionEvent {
    /// The promise with the commit id in `argument` got its number. Sent before anybody can see
    /// the promise, so no read of it comes earlier.
    Committed = 1,
    Destroyed = 2,
    /// No more reads of this promise will come.
    Released = 3,
    /// The session is over.
    Ended = 4,
}

impl SessionEvent {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Committed,
            Self::Destroyed,
            Self::Released,
            Self::Ended,
        ]
        .into_iter()
        .find(|event| *event as u32 == number)
    }
}

/// From the provider's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToDaemon {
    Hello {
        protocol: u32,
    },
    /// The request is answered: `length` bytes lie in its slot, or it failed. The slot is the
    /// daemon's again. The status is as the provider said it, unchecked.
    Done {
        request: u64,
        epoch: u32,
        status: u32,
        length: u32,
    },
    /// Still at work on the request: its deadline starts again.
    Alive {
        request: u64,
        epoch: u32,
    },
    /// There are frames in the ring.
    Bell,
}

/// Why a packet is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes; frames have {FRAME_LEN}")]
    Size(usize),
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u32),
    #[error("an event of unknown number {0}")]
    UnknownEvent(u32),
    #[error("a frame with reserved bytes that are not zero")]
    Reserved,
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::new(Status::InvalidArgument, error.to_string())
    }
}

/// The first field of each frame. A kind belongs to one direction.
mod kind {
    pub const DAEMON_HELLO: u32 = 1;
    pub const READ: u32 = 2;
    pub const CANCEL: u32 = 3;
    pub const EVENT: u32 = 4;
    pub const DAEMON_BELL: u32 = 5;
    pub const PROVIDER_HELLO: u32 = 17;
    pub const DONE: u32 = 18;
    pub const ALIVE: u32 = 19;
    pub const PROVIDER_BELL: u32 = 20;
}

impl ToProvider {
    #[must_use]
    pub fn encode(&self) -> FrameBytes {
        match *self {
            Self::Hello {
                protocol,
                epoch,
                geometry,
            } => FieldWriter::new(kind::DAEMON_HELLO)
                .u32(protocol)
                .u32(epoch)
                .u32(geometry.small_len)
                .u32(geometry.small_count)
                .u32(geometry.large_len)
                .u32(geometry.large_count)
                .finish(),
            Self::Read(read) => FieldWriter::new(kind::READ)
                .u32(read.epoch)
                .u64(read.request)
                .u64(read.offset)
                .u32(read.promise)
                .u32(read.row)
                .u32(read.length)
                .u32(read.slot)
                .u32(read.slot_offset)
                .u32(read.pid)
                .u32(read.tid)
                .finish(),
            Self::Cancel { request } => FieldWriter::new(kind::CANCEL).u64(request).finish(),
            Self::Event {
                event,
                promise,
                argument,
            } => FieldWriter::new(kind::EVENT)
                .u32(event as u32)
                .u32(promise)
                .u64(argument)
                .finish(),
            Self::Bell => FieldWriter::new(kind::DAEMON_BELL).finish(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, FrameError> {
        let mut fields = FieldReader::new(packet)?;
        let frame = match fields.u32() {
            kind::DAEMON_HELLO => return Self::decode_hello(fields),
            kind::READ => Self::Read(ReadFrame {
                epoch: fields.u32(),
                request: fields.u64(),
                offset: fields.u64(),
                promise: fields.u32(),
                row: fields.u32(),
                length: fields.u32(),
                slot: fields.u32(),
                slot_offset: fields.u32(),
                pid: fields.u32(),
                tid: fields.u32(),
            }),
            kind::CANCEL => Self::Cancel {
                request: fields.u64(),
            },
            kind::EVENT => {
                let number = fields.u32();
                Self::Event {
                    event: SessionEvent::from_number(number)
                        .ok_or(FrameError::UnknownEvent(number))?,
                    promise: fields.u32(),
                    argument: fields.u64(),
                }
            }
            kind::DAEMON_BELL => Self::Bell,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        };
        fields.end()?;
        Ok(frame)
    }

    fn decode_hello(mut fields: FieldReader<'_>) -> Result<Self, FrameError> {
        let protocol = fields.u32();
        let frame = Self::Hello {
            protocol,
            epoch: fields.u32(),
            geometry: Geometry {
                small_len: fields.u32(),
                small_count: fields.u32(),
                large_len: fields.u32(),
                large_count: fields.u32(),
            },
        };
        end_of_hello(&fields, protocol)?;
        Ok(frame)
    }
}

impl ToDaemon {
    #[must_use]
    pub fn encode(&self) -> FrameBytes {
        match *self {
            Self::Hello { protocol } => FieldWriter::new(kind::PROVIDER_HELLO)
                .u32(protocol)
                .finish(),
            Self::Done {
                request,
                epoch,
                status,
                length,
            } => FieldWriter::new(kind::DONE)
                .u32(epoch)
                .u64(request)
                .u32(status)
                .u32(length)
                .finish(),
            Self::Alive { request, epoch } => FieldWriter::new(kind::ALIVE)
                .u32(epoch)
                .u64(request)
                .finish(),
            Self::Bell => FieldWriter::new(kind::PROVIDER_BELL).finish(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, FrameError> {
        let mut fields = FieldReader::new(packet)?;
        let frame = match fields.u32() {
            kind::PROVIDER_HELLO => {
                let protocol = fields.u32();
                end_of_hello(&fields, protocol)?;
                return Ok(Self::Hello { protocol });
            }
            kind::DONE => Self::Done {
                epoch: fields.u32(),
                request: fields.u64(),
                status: fields.u32(),
                length: fields.u32(),
            },
            kind::ALIVE => Self::Alive {
                epoch: fields.u32(),
                request: fields.u64(),
            },
            kind::PROVIDER_BELL => Self::Bell,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        };
        fields.end()?;
        Ok(frame)
    }
}

/// A hello of another version may carry fields that this one does not know.
fn end_of_hello(fields: &FieldReader<'_>, protocol: u32) -> Result<(), FrameError> {
    if protocol == PROTOCOL_VERSION {
        fields.end()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
