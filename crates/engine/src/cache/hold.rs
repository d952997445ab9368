//! What the cache means for a promise without provider: files that it holds whole
//! are served on, and are not given up for the sake of others.

use fuse_promise_core::ids::PromiseNumber;

use super::FileKey;
use super::store::Inserted;
use crate::engine::Engine;
use crate::observe::EngineEvent;
use crate::promise::Promise;

impl Engine {
    /// The provider is gone: files held whole stay, what is held of others goes.
    pub(crate) fn keep_whole_files(&self, promise: &Promise) {
        if !promise.is_cached() {
            return;
        }
        let store = &self.cache.store;
        for row in store.rows(promise.number) {
            if !promise.holds(row) {
                store.remove_file(promise.file_key(row));
            }
        }
        let lost = store.pin(promise.number);
        // It may have been freed meanwhile, and nobody takes the pin away again.
        if self.catalog.get(promise.number).is_none() {
            store.remove_promise(promise.number);
        }
        self.note_lost(lost.no_longer_whole, lost.gave_up);
    }

    /// What its provider wants kept is not given up as long as the promise lives.
    pub(crate) fn keep_for_good(&self, number: PromiseNumber) {
        let lost = self.cache.store.pin_for_good(number);
        self.note_lost(lost.no_longer_whole, lost.gave_up);
    }

    /// Bytes were kept, for which others may have been given up.
    pub(super) fn note_kept(&self, promise: &Promise, inserted: Inserted) {
        if inserted.whole {
            let changed = EngineEvent::PromiseChanged(promise.number);
            self.observer.event(changed);
        }
        self.note_lost(inserted.no_longer_whole, inserted.gave_up);
    }

    /// Files of which the disk has refused bytes since the last tick.
    pub(crate) fn note_unwritten(&self) {
        self.note_lost(self.cache.store.take_unwritten(), Vec::new());
    }

    fn note_lost(&self, no_longer_whole: Vec<FileKey>, gave_up: Vec<PromiseNumber>) {
        for file in no_longer_whole {
            let Some(promise) = self.catalog.get(file.promise) else {
                continue;
            };
            if promise.has_lost_provider() {
                // What is left of it must not answer by chance.
                self.cache.store.remove_file(file);
                self.drop_pages(file);
            }
            self.copy_lost(&promise);
        }
        for number in gave_up {
            if let Some(promise) = self.catalog.get(number) {
                self.let_go(&promise);
            }
        }
    }

    /// There is no room left for a promise that lived from the cache alone.
    fn let_go(&self, promise: &Promise) {
        tracing::warn!(
            promise = promise.number.id(),
            "the cache is too small to serve it without its provider any longer"
        );
        for row in promise.opened_rows() {
            self.drop_pages(promise.file_key(row));
        }
        self.copy_lost(promise);
    }
}
