//! Prefetching: what an open file is likely to be asked for next is asked of its
//! provider before. A provider is asked for one such request more than it works on
//! at a time, and only while no reader waits for it.

use std::ops::Range;
use std::sync::Arc;

use fuse_promise_core::ids::{ProviderNumber, Row};
use fuse_promise_core::limits::READ_LEN_MAX;

use super::fetch::{Fetch, Fetched};
use super::readers::{ReaderNumber, Turn};
use super::serve::want;
use super::window::Limits;
use crate::engine::Engine;
use crate::open::reader_of;
use crate::promise::Promise;
use crate::session::Session;

impl Engine {
    /// Learns from a read what comes next.
    pub(super) fn note_read(
        &self,
        handle: u64,
        promise: &Arc<Promise>,
        row: Row,
        read: Range<u64>,
    ) {
        let reader = reader_of(handle);
        if reader == 0 || self.cache.readahead == 0 || promise.has_lost_provider() {
            return;
        }
        let size = promise.view().row(row).map_or(0, |node| node.attr.size);
        let provider = promise.session.number();
        let limits = Limits {
            depth: self.cache.depth(),
        };
        let file = (promise.file_key(row), provider);
        let readers = &self.cache.readers;
        readers.note(reader, file, read, size, &limits);
    }

    /// Asks a provider for what its readers will want, as long as it has room.
    pub(crate) fn prefetch(self: &Arc<Self>, provider: ProviderNumber) {
        let most = u64::from(READ_LEN_MAX);
        while let Some(turn) = self.cache.readers.next(provider, most) {
            if !self.take_turn(provider, turn) {
                return;
            }
        }
    }

    /// An open file was closed.
    pub(crate) fn close_reader(self: &Arc<Self>, reader: ReaderNumber) {
        if reader != 0 {
            let unwanted = self.cache.readers.close(reader);
            self.call_off(&unwanted);
        }
    }

    /// A session has ended: nothing more can be asked of its provider.
    pub(crate) fn forget_readers(&self, provider: ProviderNumber) {
        self.cache.readers.forget_provider(provider);
    }

    /// False if the provider has no room for more: whoever leaves some goes on.
    fn take_turn(self: &Arc<Self>, provider: ProviderNumber, mut turn: Turn) -> bool {
        let Some(promise) = self.catalog.get(turn.file.promise) else {
            return true;
        };
        let cache = &self.cache;
        if promise.session.has_ended() {
            return true;
        }
        // Looked at first, so that hardly any reader joins what is not made after all.
        let length = (turn.range.end - turn.range.start) as u32;
        if !promise.session.has_room_ahead(length) {
            return self.put_back(provider, &promise.session, turn);
        }
        while let Some((fetch, rest)) =
            cache
                .fetches
                .ahead(&cache.store, turn.file, turn.range.clone())
        {
            if !cache.readers.note_asked(turn.reader, &fetch) {
                self.forget_fetch(&fetch);
                return true;
            }
            let waiter = self.waiter(&fetch, &promise, turn.reader);
            let Some(request) = promise.session.request_ahead(want(&fetch, 0), waiter) else {
                cache.readers.note_done(turn.reader, &fetch);
                self.forget_fetch(&fetch);
                return self.put_back(provider, &promise.session, turn);
            };
            cache.counters.prefetched();
            if !fetch.note_sent(&promise.session, request) {
                self.cancel(&fetch, &promise.session, request);
            }
            turn.range = rest;
        }
        true
    }

    /// There is no room for a turn. True if there is again: who left it while the turn
    /// was not in its place found nobody to go on with.
    fn put_back(&self, provider: ProviderNumber, session: &Session, turn: Turn) -> bool {
        let length = (turn.range.end - turn.range.start) as u32;
        self.cache.readers.put_back(provider, turn);
        session.note_ahead_waits();
        session.has_room_ahead(length)
    }

    /// Cancels what nobody waits for.
    fn call_off(self: &Arc<Self>, unwanted: &[Arc<Fetch>]) {
        for fetch in unwanted {
            if let Some((session, request)) = fetch.call_off() {
                self.cancel(fetch, &session, request);
            }
        }
    }

    fn cancel(self: &Arc<Self>, fetch: &Fetch, session: &Session, request: u64) {
        if session.cancel(request) {
            self.cache.counters.cancelled();
            self.forget_fetch(fetch);
        }
    }

    /// A fetch brings nothing: who joined it in the last moment asks again.
    fn forget_fetch(self: &Arc<Self>, fetch: &Fetch) {
        self.take_out(fetch, Fetched::CalledOff);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use fuse_promise_core::ids::PromiseNumber;
    use fuse_promise_wire::RuntimeDir;

    use super::*;
    use crate::cache::FileKey;
    use crate::observe::{EngineEvent, Observer};
    use crate::options::EngineOptions;
    use crate::session::{Client, ProviderConfig};

    struct Nobody;

    impl Observer for Nobody {
        fn event(&self, _: EngineEvent) {}
    }

    #[test]
    fn a_turn_that_is_put_back_when_there_is_room_again_is_taken_at_once() {
        let mut directory = tempfile::Builder::new();
        directory.permissions(std::fs::Permissions::from_mode(0o700));
        let directory = directory.tempdir().unwrap();
        let options = EngineOptions::new(RuntimeDir::open(directory.path()).unwrap());
        let engine = Engine::start(options, Arc::new(Nobody)).unwrap();
        let client = Client {
            pid: 1,
            uid: 1,
            program: "test".into(),
            process: None,
        };
        let registration = engine.register(client, ProviderConfig::default()).unwrap();
        let provider = registration.provider;
        let session = engine.session(provider).unwrap();
        let file = FileKey {
            promise: PromiseNumber(1),
            row: Row(1),
        };
        let readers = &engine.cache.readers;
        let limits = Limits { depth: 8 << 20 };
        for read in [0..4096, 4096..8192] {
            readers.note(1, (file, provider), read, 1 << 30, &limits);
        }
        let most = u64::from(READ_LEN_MAX);
        let turn = readers.next(provider, most).unwrap();
        // Whoever left the room found no turn, so that this thread is the one to go on.
        assert!(engine.put_back(provider, &session, turn));
        let turn = readers.next(provider, most).unwrap();
        engine
            .unregister(provider, &registration.token)
            .expect("a registered provider");
        assert!(!engine.put_back(provider, &session, turn));
        engine.stop();
    }
}
