//! Which extent goes when room is needed.
//!
//! The choice is quick_cache's (a CLOCK-Pro): what was used once passes through
//! one half, what was used again lives in the other and is not pushed out by a
//! scan. What was read ahead and has not been used at all is held back from that
//! choice, because it would be asked for a second time; the oldest of it is given
//! over when it takes more than a quarter.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::FileKey;
use crate::sync::Mutex;

/// Where an extent starts.
pub(super) type Place = (FileKey, u64);

/// Half for what was used again, so that readers of new things have the other.
const USED_AGAIN: f64 = 0.5;
/// No place is remembered once it went: bytes that come back to such a place would
/// count as used again whatever the size of that half, until nothing is left of
/// the other.
const REMEMBERED: f64 = 0.0;
/// What is held back is at most one part in so many.
const AHEAD_PART: u64 = 4;

pub(super) struct Policy {
    cache: Cache<Place, Entry, Weight, RandomState, Evicts>,
    evicted: Arc<Mutex<Vec<Place>>>,
    /// What is held back, the oldest first.
    ahead: BTreeMap<u64, Place>,
    ahead_weight: u64,
    /// Counts what was ever held back.
    next: u64,
}

struct Entry {
    weight: u64,
    /// Its key among what is held back.
    ahead: Option<u64>,
}

struct Weight;

impl Weighter<Place, Entry> for Weight {
    fn weight(&self, _place: &Place, entry: &Entry) -> u64 {
        entry.weight
    }
}

/// Notes what is evicted. Not in the request state that quick_cache would hand
/// around: a change of capacity keeps that to itself.
struct Evicts(Arc<Mutex<Vec<Place>>>);

impl Lifecycle<Place, Entry> for Evicts {
    type RequestState = ();

    fn is_pinned(&self, _place: &Place, entry: &Entry) -> bool {
        entry.ahead.is_some()
    }

    fn on_evict(&self, _state: &mut (), place: Place, _entry: Entry) {
        self.0.lock().push(place);
    }
}

impl Policy {
    pub(super) fn new(capacity: u64) -> Self {
        let evicted = Arc::<Mutex<Vec<Place>>>::default();
        let options = OptionsBuilder::new()
            .estimated_items_capacity(0)
            .weight_capacity(capacity)
            .hot_allocation(USED_AGAIN)
            .ghost_allocation(REMEMBERED)
            .build()
            .expect("all that is needed is set");
        let evicts = Evicts(Arc::clone(&evicted));
        Self {
            cache: Cache::with_options(options, Weight, RandomState::new(), evicts),
            evicted,
            ahead: BTreeMap::new(),
            ahead_weight: 0,
            next: 0,
        }
    }

    /// Takes in a place that is not there, and returns what has to go for it.
    #[must_use]
    pub(super) fn insert(&mut self, place: Place, weight: u64, ahead: bool) -> Vec<Place> {
        let entry = Entry {
            weight,
            ahead: ahead.then_some(self.next),
        };
        self.cache.insert(place, entry);
        if ahead {
            self.ahead.insert(self.next, place);
            self.ahead_weight += weight;
            self.next += 1;
            self.give_over(self.cache.capacity());
        }
        self.take_evicted()
    }

    /// The place is used for the first time after it was read ahead.
    pub(super) fn used_first(&mut self, place: &Place) {
        let Some(mut entry) = self.cache.peek_mut(place) else {
            return;
        };
        if let Some(number) = entry.ahead.take() {
            self.ahead.remove(&number);
            self.ahead_weight -= entry.weight;
        }
    }

    /// The place is used once more.
    pub(super) fn used_again(&self, place: &Place) {
        self.cache.get(place);
    }

    pub(super) fn remove(&mut self, place: &Place) {
        self.used_first(place);
        self.cache.remove(place);
    }

    pub(super) fn capacity(&self) -> u64 {
        self.cache.capacity()
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.cache.weight()
    }

    /// Sets the capacity, and returns what has to go for it.
    #[must_use]
    pub(super) fn resize(&mut self, capacity: u64) -> Vec<Place> {
        self.give_over(capacity);
        self.cache.set_capacity(capacity);
        self.take_evicted()
    }

    /// Holds no more back than its part of a capacity.
    fn give_over(&mut self, capacity: u64) {
        while self.ahead_weight > capacity / AHEAD_PART {
            let Some((_, place)) = self.ahead.first_key_value() else {
                return;
            };
            let place = *place;
            self.used_first(&place);
        }
    }

    fn take_evicted(&self) -> Vec<Place> {
        std::mem::take(&mut *self.evicted.lock())
    }
}
