//! The first step of a read: find the node, cap the range, decide who answers.

use std::sync::Arc;

use fuse_promise_core::ids::{Inode, Row};
use fuse_promise_core::range;
use fuse_promise_core::status::Status;

use crate::engine::Engine;
use crate::materialize::LocalRead;
use crate::open::{HANDLE_CACHED, HANDLE_STORE};
use crate::promise::Promise;
use crate::session::{LARGE_LEN, SlotAnswer, Waiter, Want};

/// A READ of the kernel.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    pub inode: Inode,
    /// What [`Engine::open`] gave out for this open file.
    pub handle: u64,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes wanted; at most 1 MiB, the largest READ that is negotiated.
    pub length: u32,
    /// The reading thread; 0 if it is in another pid namespace.
    pub tid: u32,
}

/// Where the answer goes. It is answered exactly once: each method takes it.
pub trait ReadReply: Send {
    /// The bytes; fewer than asked only at the end of the file.
    fn data(self: Box<Self>, bytes: &[u8]);

    /// No bytes, and why.
    fn error(self: Box<Self>, status: Status);

    /// The content ends at `end`, before the last byte asked for, and no bytes are at hand.
    fn ended(self: Box<Self>, end: u64) {
        let _ = end;
        self.error(Status::Io);
    }

    /// The bytes where they lie. A reader that keeps the answer keeps its slot;
    /// others are done with it when this returns.
    fn answer(self: Box<Self>, answer: SlotAnswer) {
        self.data(answer.bytes());
    }
}

/// A read that somebody has to answer.
pub(crate) struct PlannedRead {
    pub(crate) request: ReadRequest,
    pub(crate) promise: Arc<Promise>,
    pub(crate) row: Row,
    pub(crate) reply: Box<dyn ReadReply>,
}

impl Engine {
    /// Answers a read, now or later, from whichever thread knows the answer.
    /// Never waits.
    pub fn read(self: &Arc<Self>, request: ReadRequest, reply: Box<dyn ReadReply>) {
        if let Some(planned) = self.plan_read(request, reply) {
            self.read_node(planned.request, planned.promise, planned.row, planned.reply);
        }
    }

    /// Finds the node and caps the range; a read that needs no more is answered here.
    pub(crate) fn plan_read(
        &self,
        request: ReadRequest,
        reply: Box<dyn ReadReply>,
    ) -> Option<PlannedRead> {
        let Ok((promise, row)) = self.find(request.inode) else {
            reply.error(Status::NotFound);
            return None;
        };
        let Some(node) = promise.view().row(row) else {
            reply.error(Status::NotFound);
            return None;
        };
        let wanted = request.length.min(LARGE_LEN);
        let length = range::clamp(request.offset, wanted, node.attr.size);
        if length == 0 {
            reply.data(&[]);
            return None;
        }
        let request = ReadRequest { length, ..request };
        Some(PlannedRead {
            request,
            promise,
            row,
            reply,
        })
    }

    /// Decides who answers a range that was capped already.
    pub(crate) fn read_node(
        self: &Arc<Self>,
        request: ReadRequest,
        promise: Arc<Promise>,
        row: Row,
        reply: Box<dyn ReadReply>,
    ) {
        match promise.local_copy(row) {
            Some(copy) => {
                let engine = Arc::clone(self);
                let read = LocalRead {
                    promise,
                    row,
                    copy,
                    request,
                    reply,
                };
                let read = move |buffer: &mut [u8]| engine.answer_locally(read, buffer);
                self.copy_readers.submit(Box::new(read));
            }
            None => self.read_without_copy(request, promise, row, reply),
        }
    }

    /// As if nothing of the promise had been materialized.
    pub(crate) fn read_without_copy(
        self: &Arc<Self>,
        request: ReadRequest,
        promise: Arc<Promise>,
        row: Row,
        reply: Box<dyn ReadReply>,
    ) {
        if request.handle & HANDLE_STORE != 0 {
            self.read_cached(request, promise, row, reply);
        } else {
            self.read_from_provider(request, &promise, row, reply);
        }
    }

    /// The rest of the walk, for a range that was capped already.
    pub(crate) fn read_from_provider(
        &self,
        request: ReadRequest,
        promise: &Arc<Promise>,
        row: Row,
        reply: Box<dyn ReadReply>,
    ) {
        self.ask_provider(request, promise, row, None, reply);
    }

    /// A reader who has waited elsewhere has its deadline from a tick of the past.
    pub(crate) fn ask_provider(
        &self,
        request: ReadRequest,
        promise: &Arc<Promise>,
        row: Row,
        since: Option<u64>,
        reply: Box<dyn ReadReply>,
    ) {
        if promise.has_lost_provider() {
            return refuse_lost(promise, row, &request, reply);
        }
        let cached = request.handle & HANDLE_CACHED != 0;
        let want = Want {
            promise: promise.number.0,
            row,
            offset: request.offset,
            length: request.length,
            tid: request.tid,
        };
        let session = promise.session.clone();
        let waiter = Waiter {
            reply,
            promise: Arc::clone(promise),
            cached,
        };
        let placed = match since {
            None => session.request(want, waiter),
            Some(since) => session.request_since(want, waiter, since),
        };
        if let Err((waiter, failure)) = placed {
            waiter.fail(&want, &failure);
        }
    }
}

/// Answers a reader of a promise whose provider is gone, with nothing else to serve it.
pub(crate) fn refuse_lost(
    promise: &Promise,
    row: Row,
    request: &ReadRequest,
    reply: Box<dyn ReadReply>,
) {
    let failure = promise.session.gone();
    promise.note_failure(row, request.offset, request.length, &failure);
    reply.error(failure.status);
}
