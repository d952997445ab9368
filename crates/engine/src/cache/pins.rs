//! Promises whose bytes are not evicted.
//!
//! Pinned extents are outside the policy, which then has less to share. A quarter
//! of the limit is always left for the rest: before pinned bytes take more, the
//! pinned promises used longest ago are let go whole, because a part of one is
//! of no use. Those pinned for good are never let go; what no longer fits is not
//! kept.

use fuse_promise_core::ids::PromiseNumber;

use super::FileKey;
use super::extents::FileExtents;
use super::policy::Place;
use super::table::{Gone, PromiseExtents, Table};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pin {
    #[default]
    No,
    /// Until the room is needed for other pinned promises.
    Pinned,
    /// As long as the promise is there.
    ForGood,
}

impl Table {
    /// Pinned bytes at most: three quarters of the limit.
    fn pinned_max(&self) -> u64 {
        self.usage.limit / 4 * 3
    }

    /// Makes sure that an extent may come in: as a pinned one or not. `None` if it
    /// may not.
    pub(super) fn room_for(
        &mut self,
        promise: PromiseNumber,
        weight: u64,
        gone: &mut Gone,
    ) -> Option<bool> {
        if self.pin_of(promise) == Pin::No {
            return Some(false);
        }
        self.let_go_for(weight, gone);
        let has_room = self.usage.pinned + weight <= self.pinned_max();
        // It may have been the one that was let go.
        if !has_room || self.pin_of(promise) == Pin::No {
            self.fit_policy(gone);
            return None;
        }
        self.fit_policy_to(self.usage.pinned + weight, gone);
        Some(true)
    }

    /// Pins what is held of a promise and what comes.
    pub(super) fn pin(&mut self, promise: PromiseNumber, pin: Pin, gone: &mut Gone) {
        self.now += 1;
        let held = self.promises.entry(promise).or_default();
        held.used = self.now;
        held.pin = held.pin.max(pin);
        let places = self.places(promise, false);
        let weight: u64 = places.iter().map(|(_, weight)| weight).sum();
        if self.pin_of(promise) == Pin::Pinned && !self.could_fit(promise, weight) {
            // The others need not go first.
            self.give_up(promise, gone);
            return;
        }
        for (place, weight) in places {
            self.let_go_for(weight, gone);
            // What does not fit stays as evictable as before.
            if self.usage.pinned + weight <= self.pinned_max()
                && self.mark(place, weight, true).is_some()
            {
                self.policy.remove(&place);
            }
        }
        self.fit_policy(gone);
    }

    /// Whether a promise could be pinned with so much more if all others that can
    /// be let go were.
    fn could_fit(&self, promise: PromiseNumber, weight: u64) -> bool {
        let stays = |(number, held): (&PromiseNumber, &PromiseExtents)| {
            (*number == promise || held.pin == Pin::ForGood).then_some(held.pinned)
        };
        let staying: u64 = self.promises.iter().filter_map(stays).sum();
        staying + weight <= self.pinned_max()
    }

    fn pin_of(&self, promise: PromiseNumber) -> Pin {
        self.promises.get(&promise).map_or(Pin::No, |held| held.pin)
    }

    /// Lets pinned promises go until the weight fits beside the others.
    fn let_go_for(&mut self, weight: u64, gone: &mut Gone) {
        while self.usage.pinned + weight > self.pinned_max() {
            let can_go = self
                .promises
                .iter()
                .filter(|(_, held)| held.pin == Pin::Pinned && held.pinned > 0);
            let Some((&promise, _)) = can_go.min_by_key(|(_, held)| held.used) else {
                return;
            };
            self.give_up(promise, gone);
        }
    }

    fn give_up(&mut self, promise: PromiseNumber, gone: &mut Gone) {
        let before = gone.extents.len();
        let whole = self.remove_promise(promise, gone);
        let extents = &gone.extents[before..];
        self.usage.evicted_extents += extents.len() as u64;
        self.usage.evicted_bytes += extents.iter().map(|extent| extent.len).sum::<u64>();
        gone.no_longer_whole.extend(whole);
        gone.gave_up.push(promise);
    }

    /// Where the extents of a promise are that are pinned, or those that are not.
    fn places(&self, promise: PromiseNumber, pinned: bool) -> Vec<(Place, u64)> {
        let files = self.promises.get(&promise).map(|held| &held.files);
        let of_file = |(row, extents): (_, &FileExtents)| {
            let file = FileKey { promise, row };
            let extents = extents.iter().filter(|(_, extent)| extent.pinned == pinned);
            Vec::from_iter(extents.map(|(start, extent)| ((file, start), extent.weight())))
        };
        let files = files.into_iter().flatten();
        files
            .flat_map(|(row, extents)| of_file((*row, extents)))
            .collect()
    }

    /// `None` if nothing is there any more.
    fn mark(&mut self, (file, start): Place, weight: u64, pinned: bool) -> Option<()> {
        let held = self.promises.get_mut(&file.promise)?;
        let extents = held.files.get_mut(&file.row)?;
        extents.get_mut(start)?.pinned = pinned;
        for sum in [&mut held.pinned, &mut self.usage.pinned] {
            *sum = if pinned { *sum + weight } else { *sum - weight };
        }
        Some(())
    }

    /// Lets the policy have what pinned extents leave.
    pub(super) fn fit_policy(&mut self, gone: &mut Gone) {
        self.fit_policy_to(self.usage.pinned, gone);
    }

    fn fit_policy_to(&mut self, pinned: u64, gone: &mut Gone) {
        let capacity = self.usage.limit - pinned;
        if capacity != self.policy.capacity() {
            let evicted = self.policy.resize(capacity);
            self.evict(evicted, gone);
        }
    }
}
