//! One read that waits for bytes which are on their way.
//!
//! Nearly always a single request has all of them, and the read is answered
//! straight out of that request's slot. Only a read whose bytes come from several
//! places gets a buffer in which they are put together.

use std::ops::Range;
use std::sync::Arc;

use fuse_promise_core::ids::Row;
use fuse_promise_core::status::Status;

use super::FileKey;
use super::fetch::{Fetch, Fetched};
use super::piece::{Found, Piece};
use crate::promise::Promise;
use crate::read::{ReadReply, ReadRequest};
use crate::session::early_end;
use crate::sync::Mutex;

pub(crate) struct Assembly {
    pub(super) promise: Arc<Promise>,
    pub(super) row: Row,
    pub(super) request: ReadRequest,
    /// Its provider's tick at which it came: its deadline runs from then, whatever it
    /// waits for.
    pub(super) since: u64,
    state: Mutex<State>,
}

struct State {
    /// None once it was answered.
    reply: Option<Box<dyn ReadReply>>,
    buffer: Vec<u8>,
    /// Requests it waits for.
    waiting: usize,
}

/// What is to be done for a read after one of its requests came back.
pub(super) enum Next {
    Nothing,
    /// The request asked for more than this read wants, or what was held cannot be read:
    /// that failure is not this read's, which is to be asked for alone.
    AskAlone(Box<dyn ReadReply>),
    /// The request was not made after all.
    AskAgain(Box<dyn ReadReply>),
}

impl Assembly {
    pub(super) fn new(
        promise: Arc<Promise>,
        row: Row,
        request: ReadRequest,
        since: u64,
        reply: Box<dyn ReadReply>,
    ) -> Arc<Self> {
        Arc::new(Self {
            promise,
            row,
            request,
            since,
            state: Mutex::new(State {
                reply: Some(reply),
                buffer: Vec::new(),
                waiting: 0,
            }),
        })
    }

    pub(super) fn file(&self) -> FileKey {
        self.promise.file_key(self.row)
    }

    pub(super) fn range(&self) -> Range<u64> {
        let start = self.request.offset;
        start..start + u64::from(self.request.length)
    }

    /// It waits for so many requests, and, with one more, for [`put_held`](Self::put_held).
    pub(super) fn expect(&self, requests: usize) {
        self.state.lock().waiting = requests + 1;
    }

    /// Puts the bytes that are held in their places. May wait for a disk, without a lock:
    /// the pump answers the rest meanwhile.
    pub(super) fn put_held(&self, found: &Found) -> Next {
        let read = |piece: &Piece| {
            let mut bytes = vec![0; (piece.range.end - piece.range.start) as usize];
            piece.read_into(&mut bytes).map(|()| bytes)
        };
        let held: std::io::Result<Vec<_>> = found.pieces.iter().map(read).collect();
        let mut state = self.state.lock();
        let Ok(held) = held else {
            let due = state.due(Answer::Failed(Status::Io));
            return due.map_or(Next::Nothing, |due| Next::AskAlone(due.reply));
        };
        for (piece, bytes) in found.pieces.iter().zip(held) {
            let at = (piece.range.start - self.request.offset) as usize;
            state.buffer(&self.request)[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let due = state.one_came(&self.request);
        drop(state);
        tell(due);
        Next::Nothing
    }

    /// One of its requests came back.
    pub(super) fn take(&self, fetch: &Fetch, fetched: Fetched<'_>) -> Next {
        let range = self.range();
        let bytes = match fetched {
            Fetched::Bytes(bytes) => bytes,
            Fetched::Failed(status) => {
                let own = range.start <= fetch.range.start && fetch.range.end <= range.end;
                return self.failed(status, own, fetch.ahead);
            }
            // Not an answer of the provider's, whatever was asked for.
            Fetched::CalledOff => {
                let due = self.state.lock().due(Answer::Failed(Status::Cancelled));
                return due.map_or(Next::Nothing, |due| Next::AskAgain(due.reply));
            }
        };
        let wanted = range.start.max(fetch.range.start)..range.end.min(fetch.range.end);
        let from = (wanted.start - fetch.range.start) as usize;
        let to = (wanted.end - fetch.range.start) as usize;
        let mut state = self.state.lock();
        let due = match bytes.get(from..to) {
            // The content ends within what this read wants.
            None => {
                let end = fetch.range.start + bytes.len() as u64;
                state.due(Answer::Ended(end.max(range.start)))
            }
            Some(part) if wanted == range => state.due(Answer::Part(part)),
            Some(part) => {
                let at = (wanted.start - range.start) as usize;
                state.buffer(&self.request)[at..at + part.len()].copy_from_slice(part);
                state.one_came(&self.request)
            }
        };
        drop(state);
        if let Some(Due {
            answer: Answer::Ended(_),
            ..
        }) = due
        {
            self.note_early_end();
        }
        tell(due);
        Next::Nothing
    }

    /// The reader learns that the content ends, which no file that the kernel keeps pages of
    /// may do.
    fn note_early_end(&self) {
        let ReadRequest { offset, length, .. } = self.request;
        let failure = early_end();
        self.promise
            .note_failure(self.row, offset, length, &failure);
    }

    /// It fails with a request that was asked before it came.
    fn note_joined_failure(&self, status: Status) {
        let session = &self.promise.session;
        session.count_failure(status);
        let failure = match status {
            Status::Timeout => session.too_slow(),
            Status::ProviderGone => session.gone(),
            status => session.refused(status),
        };
        let ReadRequest { offset, length, .. } = self.request;
        self.promise
            .note_failure(self.row, offset, length, &failure);
    }

    fn failed(&self, status: Status, own: bool, ahead: bool) -> Next {
        let due = self.state.lock().due(Answer::Failed(status));
        match due {
            Some(due) if !own => Next::AskAlone(due.reply),
            due => {
                // A request of this read's own was counted when it failed.
                if ahead && due.is_some() {
                    self.note_joined_failure(status);
                }
                tell(due);
                Next::Nothing
            }
        }
    }
}

/// The answer of a read, to be given once no lock is held.
struct Due<'a> {
    reply: Box<dyn ReadReply>,
    answer: Answer<'a>,
}

enum Answer<'a> {
    Part(&'a [u8]),
    Whole(Vec<u8>),
    Ended(u64),
    Failed(Status),
}

fn tell(due: Option<Due<'_>>) {
    let Some(Due { reply, answer }) = due else {
        return;
    };
    match answer {
        Answer::Part(bytes) => reply.data(bytes),
        Answer::Whole(bytes) => reply.data(&bytes),
        Answer::Ended(end) => reply.ended(end),
        Answer::Failed(status) => reply.error(status),
    }
}

impl State {
    fn buffer(&mut self, request: &ReadRequest) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; request.length as usize];
        }
        &mut self.buffer
    }

    /// None if it was answered already.
    fn due<'a>(&mut self, answer: Answer<'a>) -> Option<Due<'a>> {
        let reply = self.reply.take()?;
        Some(Due { reply, answer })
    }

    fn one_came<'a>(&mut self, request: &ReadRequest) -> Option<Due<'a>> {
        self.waiting -= 1;
        if self.waiting > 0 || self.buffer.len() != request.length as usize {
            return None;
        }
        let whole = std::mem::take(&mut self.buffer);
        self.due(Answer::Whole(whole))
    }
}
