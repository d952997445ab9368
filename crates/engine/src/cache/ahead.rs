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

    /// False if the provider has no room for more.
    fn take_turn(self: &Arc<Self>, provider: ProviderNumber, mut turn: Turn) -> bool {
        let Some(promise) = self.catalog.get(turn.file.promise) else {
            return true;
        };
        let cache = &self.cache;
        if promise.session.has_ended() {
            return true;
        }
        // Looked at first, so that hardly any reader joins what is not made after all.
        if !promise.session.has_room_ahead() {
            cache.readers.put_back(provider, turn);
            return false;
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
                cache.readers.put_back(provider, turn);
                return false;
            };
            cache.counters.prefetched();
            if !fetch.note_sent(&promise.session, request) {
                self.cancel(&fetch, &promise.session, request);
            }
            turn.range = rest;
        }
        true
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
