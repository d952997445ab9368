//! How a read of a cached promise is served: from the store, or together with
//! others by one request to the provider, whose bytes are then kept.

use std::sync::Arc;

use fuse_promise_core::ids::Row;
use fuse_promise_core::status::Status;

use super::assembly::{Assembly, Next};
use super::fetch::{Fetch, Fetched};
use super::piece::Piece;
use super::readers::ReaderNumber;
use super::store::Wanted;
use crate::engine::Engine;
use crate::open::{HANDLE_CACHED, reader_of};
use crate::promise::Promise;
use crate::read::{ReadReply, ReadRequest, refuse_lost};
use crate::session::{SlotAnswer, Waiter, Want};

impl Engine {
    /// Answers a range that was capped already from the store, or asks for what is
    /// missing of it. Then, and only then, what comes next may be prefetched.
    pub(crate) fn read_cached(
        self: &Arc<Self>,
        request: ReadRequest,
        promise: Arc<Promise>,
        row: Row,
        reply: Box<dyn ReadReply>,
    ) {
        if promise.has_lost_provider() && !promise.holds(row) {
            return refuse_lost(&promise, row, &request, reply);
        }
        let provider = promise.session.number();
        let start = request.offset;
        let range = start..start + u64::from(request.length);
        // Before the answer, after which the file may be closed.
        self.note_read(request.handle, &promise, row, range.clone());
        let file = promise.file_key(row);
        if let Some(pieces) = self.cache.store.look_whole(file, range) {
            self.cache.counters.hit();
            self.answer_held(pieces, request, promise, row, reply);
        } else {
            let since = promise.session.now();
            let reply = self.owe(file, &request, reply);
            self.fetch_missing(&Assembly::new(promise, row, request, since, reply));
        }
        self.prefetch(provider);
    }

    /// Answers from the store alone.
    fn answer_held(
        self: &Arc<Self>,
        pieces: Vec<Piece>,
        request: ReadRequest,
        promise: Arc<Promise>,
        row: Row,
        reply: Box<dyn ReadReply>,
    ) {
        if let [piece] = &pieces[..]
            && let Some(bytes) = piece.in_memory()
        {
            return reply.data(bytes);
        }
        let in_memory = pieces.iter().all(|piece| piece.in_memory().is_some());
        let engine = Arc::clone(self);
        let since = promise.session.now();
        let put_together = move |buffer: &mut [u8]| {
            let buffer = &mut buffer[..request.length as usize];
            let put = pieces.iter().try_for_each(|piece| {
                let at = (piece.range.start - request.offset) as usize;
                let length = (piece.range.end - piece.range.start) as usize;
                piece.read_into(&mut buffer[at..at + length])
            });
            match put {
                Ok(()) => reply.data(buffer),
                // A disk that cannot be read is as good as none.
                Err(_) => {
                    let file = promise.file_key(row);
                    engine.cache.store.remove_file(file);
                    let reply = engine.owe(file, &request, reply);
                    engine.ask_alone(request, &promise, row, since, reply);
                }
            }
        };
        if in_memory {
            self.cache.with_buffer(put_together);
        } else {
            self.disk_readers.submit(Box::new(put_together));
        }
    }

    /// Joins the read to the requests under way, and asks for the rest.
    fn fetch_missing(self: &Arc<Self>, assembly: &Arc<Assembly>) {
        let joined = self.cache.fetches.join(&self.cache.store, assembly);
        self.cache.counters.joined(joined.joined);
        for fetch in &joined.new {
            self.ask(fetch, assembly);
        }
        let found = joined.found;
        if found.pieces.iter().all(|piece| piece.in_memory().is_some()) {
            assembly.put_held(&found);
        } else {
            let (engine, assembly) = (Arc::clone(self), Arc::clone(assembly));
            let put_held = move |_: &mut [u8]| {
                let next = assembly.put_held(&found);
                if !matches!(next, Next::Nothing) {
                    engine.cache.store.remove_file(assembly.file());
                }
                engine.go_on(&assembly, next);
            };
            self.disk_readers.submit(Box::new(put_held));
        }
    }

    fn ask(self: &Arc<Self>, fetch: &Arc<Fetch>, assembly: &Assembly) {
        let want = want(fetch, assembly.request.tid);
        let waiter = self.waiter(fetch, &assembly.promise, 0);
        let session = &assembly.promise.session;
        if let Err((waiter, failure)) = session.request(want, waiter) {
            waiter.fail(&want, &failure);
        }
    }

    pub(super) fn waiter(
        self: &Arc<Self>,
        fetch: &Arc<Fetch>,
        promise: &Arc<Promise>,
        reader: ReaderNumber,
    ) -> Waiter {
        Waiter {
            reply: Box::new(Keeping {
                engine: Arc::clone(self),
                promise: Arc::clone(promise),
                fetch: Arc::clone(fetch),
                reader,
            }),
            promise: Arc::clone(promise),
            cached: false,
        }
    }

    /// A fetch came back: answers whoever waits for it, then keeps the bytes.
    fn fetched(self: &Arc<Self>, keeping: &Keeping, fetched: Fetched<'_>) {
        let fetch = &keeping.fetch;
        self.pass_on(fetch, fetch.take_waiting(), fetched);
        match fetched {
            Fetched::Bytes(bytes) if bytes.len() == fetch.length() as usize => {
                self.keep(keeping, bytes);
            }
            // The content ends: the kernel must not keep pages of what is no file.
            Fetched::Bytes(_) => {
                self.drop_pages(fetch.file);
            }
            Fetched::Failed(_) | Fetched::CalledOff => {}
        }
        // Whoever joined while the bytes were being kept.
        self.take_out(fetch, fetched);
        if keeping.reader != 0 {
            self.cache.readers.note_done(keeping.reader, fetch);
        }
    }

    /// A fetch is over. A read that joined it in the last moment gets what it brought.
    pub(super) fn take_out(self: &Arc<Self>, fetch: &Fetch, fetched: Fetched<'_>) {
        let late = self.cache.fetches.remove(fetch);
        self.pass_on(fetch, late, fetched);
    }

    fn pass_on(self: &Arc<Self>, fetch: &Fetch, waiting: Vec<Arc<Assembly>>, fetched: Fetched<'_>) {
        for assembly in waiting {
            let next = assembly.take(fetch, fetched);
            self.go_on(&assembly, next);
        }
    }

    fn go_on(self: &Arc<Self>, assembly: &Assembly, next: Next) {
        let (promise, row, request) = (&assembly.promise, assembly.row, assembly.request);
        let since = assembly.since;
        match next {
            Next::Nothing => {}
            Next::AskAlone(reply) => self.ask_alone(request, promise, row, since, reply),
            Next::AskAgain(reply) => {
                let again = Assembly::new(Arc::clone(promise), row, request, since, reply);
                self.fetch_missing(&again);
            }
        }
    }

    /// Asks the provider for this read and nobody else, which has waited since a tick.
    fn ask_alone(
        self: &Arc<Self>,
        request: ReadRequest,
        promise: &Arc<Promise>,
        row: Row,
        since: u64,
        reply: Box<dyn ReadReply>,
    ) {
        // A job may get a short answer; the kernel would take it for a new size.
        let handle = match reader_of(request.handle) {
            0 => 0,
            _ => HANDLE_CACHED,
        };
        let request = ReadRequest { handle, ..request };
        self.ask_provider(request, promise, row, Some(since), reply);
    }

    fn keep(&self, keeping: &Keeping, bytes: &[u8]) {
        let (promise, fetch) = (&keeping.promise, &keeping.fetch);
        let size = promise.view().row(fetch.file.row);
        let size = size.map_or(0, |node| node.attr.size);
        let wanted = match keeping.reader {
            0 => Wanted::Now,
            _ => Wanted::Later,
        };
        let start = fetch.range.start;
        let store = &self.cache.store;
        let inserted = fetch.keep(|| store.insert(fetch.file, size, start, bytes, wanted));
        if let Some(inserted) = inserted {
            self.note_kept(promise, inserted);
        }
        // What is held in part is of no use without a provider.
        if promise.has_lost_provider() && !promise.holds(fetch.file.row) {
            store.remove_file(fetch.file);
        }
        // It may have been freed meanwhile, and nobody frees its bytes again.
        if self.catalog.get(promise.number).is_none() {
            store.remove_promise(promise.number);
        }
    }
}

pub(super) fn want(fetch: &Fetch, tid: u32) -> Want {
    Want {
        promise: fetch.file.promise.0,
        row: fetch.file.row,
        offset: fetch.range.start,
        length: fetch.length(),
        tid,
    }
}

/// The cache as the reader of a fetch.
struct Keeping {
    engine: Arc<Engine>,
    promise: Arc<Promise>,
    fetch: Arc<Fetch>,
    /// On whose behalf it was prefetched; 0 if a read waits for it.
    reader: ReaderNumber,
}

impl ReadReply for Keeping {
    fn data(self: Box<Self>, bytes: &[u8]) {
        self.engine.fetched(&self, Fetched::Bytes(bytes));
    }

    fn error(self: Box<Self>, status: Status) {
        self.engine.fetched(&self, Fetched::Failed(status));
    }

    fn answer(self: Box<Self>, answer: SlotAnswer) {
        self.engine.fetched(&self, Fetched::Bytes(answer.bytes()));
    }
}
