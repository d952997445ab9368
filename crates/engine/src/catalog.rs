//! Which promises exist. A listed promise is in the mount's root directory; one
//! that was destroyed or whose provider unregistered is listed no longer, but is
//! kept until its last open file is closed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use fuse_promise_core::ids::{PromiseNumber, ProviderNumber};

use crate::promise::Promise;
use crate::tree::Totals;

/// All promises by number. The lock is held for a map operation and nothing else.
#[derive(Default)]
pub(crate) struct Catalog {
    promises: RwLock<Shelf>,
}

struct Shelf {
    listed: BTreeMap<PromiseNumber, Arc<Promise>>,
    unlisted: BTreeMap<PromiseNumber, Arc<Promise>>,
    /// Sums over `listed`, kept so that statfs costs nothing.
    bytes: u128,
    nodes: u64,
    changed: SystemTime,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            listed: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            bytes: 0,
            nodes: 0,
            changed: SystemTime::now(),
        }
    }
}

impl Catalog {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Shelf> {
        self.promises.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Shelf> {
        self.promises
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, promise: Arc<Promise>) {
        let view = promise.view();
        let (bytes, nodes) = (u128::from(view.total_size()), u64::from(view.node_count()));
        let mut shelf = self.write();
        shelf.bytes += bytes;
        shelf.nodes += nodes;
        shelf.changed = SystemTime::now();
        shelf.listed.insert(promise.number, promise);
    }

    /// Takes the promise out of the listing, keeping it for those who have it
    /// open. None if it was not listed.
    pub(crate) fn unlist(&self, number: PromiseNumber) -> Option<Arc<Promise>> {
        let mut shelf = self.write();
        let promise = shelf.listed.remove(&number)?;
        let view = promise.view();
        shelf.bytes -= u128::from(view.total_size());
        shelf.nodes -= u64::from(view.node_count());
        shelf.changed = SystemTime::now();
        shelf.unlisted.insert(number, Arc::clone(&promise));
        Some(promise)
    }

    /// Frees an unlisted promise that nobody has open. True for the one caller
    /// that freed it.
    pub(crate) fn free_if_unused(&self, number: PromiseNumber) -> bool {
        let mut shelf = self.write();
        let unused = shelf
            .unlisted
            .get(&number)
            .is_some_and(|promise| promise.opens() == 0);
        unused && shelf.unlisted.remove(&number).is_some()
    }

    /// A promise of this number, listed or not.
    pub(crate) fn get(&self, number: PromiseNumber) -> Option<Arc<Promise>> {
        let shelf = self.read();
        let found = shelf.listed.get(&number);
        found.or_else(|| shelf.unlisted.get(&number)).cloned()
    }

    /// As [`get`](Self::get), counting an open before anybody can free it.
    pub(crate) fn get_and_count_open(&self, number: PromiseNumber) -> Option<Arc<Promise>> {
        let shelf = self.read();
        let found = shelf.listed.get(&number);
        let promise = found.or_else(|| shelf.unlisted.get(&number))?;
        promise.count_open();
        Some(Arc::clone(promise))
    }

    pub(crate) fn listed(&self, number: PromiseNumber) -> Option<Arc<Promise>> {
        self.read().listed.get(&number).cloned()
    }

    /// The first listed promise with a number of at least `from`.
    pub(crate) fn listed_from(&self, from: u32) -> Option<Arc<Promise>> {
        let shelf = self.read();
        let mut following = shelf.listed.range(PromiseNumber(from)..);
        following.next().map(|(_, promise)| Arc::clone(promise))
    }

    pub(crate) fn listed_numbers(&self) -> Vec<PromiseNumber> {
        self.read().listed.keys().copied().collect()
    }

    /// Every promise of a provider, listed or not.
    pub(crate) fn of_provider(&self, provider: ProviderNumber) -> Vec<Arc<Promise>> {
        let shelf = self.read();
        let all = shelf.listed.values().chain(shelf.unlisted.values());
        let own = all.filter(|promise| promise.session.number() == provider);
        own.cloned().collect()
    }

    pub(crate) fn lists_any_of(&self, provider: ProviderNumber) -> bool {
        let shelf = self.read();
        let mut listed = shelf.listed.values();
        listed.any(|promise| promise.session.number() == provider)
    }

    pub(crate) fn totals(&self) -> Totals {
        let shelf = self.read();
        Totals {
            bytes: u64::try_from(shelf.bytes).unwrap_or(u64::MAX),
            nodes: shelf.nodes,
            promises: shelf.listed.len() as u64,
        }
    }

    /// When the listing last changed.
    pub(crate) fn changed(&self) -> SystemTime {
        self.read().changed
    }

    /// Image bytes, opens and lookups over all promises.
    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let shelf = self.read();
        let all = shelf.listed.values().chain(shelf.unlisted.values());
        all.fold((0, 0, 0), |(images, opens, lookups), promise| {
            (
                images + promise.image_len(),
                opens + promise.opens(),
                lookups + promise.lookups(),
            )
        })
    }
}
