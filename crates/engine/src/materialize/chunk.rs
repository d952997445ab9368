//! A piece of a file as a reader of the ordinary read path, and its answer as a
//! message to the job's thread.

use std::sync::mpsc::Sender;

use fuse_promise_core::ids::Row;
use fuse_promise_core::status::Status;

use super::memory::Held;
use crate::read::ReadReply;
use crate::session::SlotAnswer;

/// What reaches the job's thread from others.
pub(crate) enum Message {
    Answer {
        row: Row,
        offset: u64,
        asked: u32,
        answer: std::result::Result<Answered, Status>,
        /// Given back with the message.
        held: Held,
    },
    /// Look at the job's wish to stop.
    Wake,
}

/// Bytes of an answered read.
pub(crate) enum Answered {
    Slot(SlotAnswer),
    Copied(Vec<u8>),
    /// Not all of them, because the content ends at this offset.
    Ended(u64),
}

impl Answered {
    /// The bytes from an offset on, of which so many were asked for; an error is where
    /// the content ends.
    pub(super) fn bytes(&self, offset: u64, asked: u32) -> std::result::Result<&[u8], u64> {
        let bytes = match self {
            Answered::Slot(answer) => answer.bytes(),
            Answered::Copied(bytes) => bytes,
            Answered::Ended(end) => return Err(*end),
        };
        match bytes.len() == asked as usize {
            true => Ok(bytes),
            false => Err(offset + bytes.len() as u64),
        }
    }
}

/// The job as the reader of a chunk.
pub(super) struct Chunk {
    pub(super) row: Row,
    pub(super) offset: u64,
    pub(super) asked: u32,
    pub(super) inbox: Sender<Message>,
    pub(super) held: Held,
}

impl Chunk {
    fn deliver(self, answer: std::result::Result<Answered, Status>) {
        // The job may have ended; the answer is dropped and its slot freed.
        let _ = self.inbox.send(Message::Answer {
            row: self.row,
            offset: self.offset,
            asked: self.asked,
            answer,
            held: self.held,
        });
    }
}

impl ReadReply for Chunk {
    fn data(self: Box<Self>, bytes: &[u8]) {
        self.deliver(Ok(Answered::Copied(bytes.to_vec())));
    }

    fn error(self: Box<Self>, status: Status) {
        self.deliver(Err(status));
    }

    fn ended(self: Box<Self>, end: u64) {
        self.deliver(Ok(Answered::Ended(end)));
    }

    fn answer(self: Box<Self>, answer: SlotAnswer) {
        self.deliver(Ok(Answered::Slot(answer)));
    }
}
