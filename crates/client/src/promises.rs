//! The promises of one session, as its reads name them.
//!
//! A committed tree waits under the id that the client chose until the daemon says which number it
//! got. That word comes through the channel before any read of the promise.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuse_promise_core::PromiseNumber;

use crate::fork::ParentOnly;
use crate::image::PromiseImage;

/// A promise that may be read.
pub(crate) struct Promise {
    pub(crate) id: CString,
    pub(crate) image: Arc<PromiseImage>,
}

/// Also held by the handler's calls, and a call may outlive the release and fork.
pub(crate) type KnownPromise = Arc<ParentOnly<Promise>>;

#[derive(Default)]
pub(crate) struct Promises {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// By commit id.
    committing: HashMap<u64, Arc<PromiseImage>>,
    /// By number.
    committed: HashMap<u32, KnownPromise>,
}

impl Promises {
    /// Before the daemon is asked to commit.
    pub(crate) fn expect(&self, commit: u64, image: Arc<PromiseImage>) {
        self.lock().committing.insert(commit, image);
    }

    /// The daemon refused the commit.
    pub(crate) fn refused(&self, commit: u64) {
        self.lock().committing.remove(&commit);
    }

    /// The daemon gave the commit its number. An id that nobody waits for is one of a commit that
    /// was made twice; its promise is known already.
    pub(crate) fn committed(&self, commit: u64, number: PromiseNumber) {
        let mut table = self.lock();
        let Some(image) = table.committing.remove(&commit) else {
            return;
        };
        let Ok(id) = CString::new(number.id()) else {
            return;
        };
        let promise = ParentOnly::new(Promise { id, image });
        table.committed.insert(number.0, Arc::new(promise));
    }

    /// No more reads of the promise will come; what was known of it.
    pub(crate) fn released(&self, number: PromiseNumber) -> Option<KnownPromise> {
        self.lock().committed.remove(&number.0)
    }

    pub(crate) fn get(&self, number: u32) -> Option<KnownPromise> {
        self.lock().committed.get(&number).cloned()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Table::default();
    }

    /// Nothing in here panics half way, so a poisoned table is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Arc<PromiseImage> {
        Arc::new(PromiseImage::Heap(Vec::new()))
    }

    #[test]
    fn a_promise_is_known_from_its_number_until_its_release() {
        let promises = Promises::default();
        let tree = image();
        promises.expect(70, Arc::clone(&tree));
        assert!(promises.get(3).is_none());
        promises.committed(70, PromiseNumber(3));
        let promise = promises.get(3).unwrap();
        assert_eq!(promise.id.to_str(), Ok("promise-3"));
        assert!(Arc::ptr_eq(&promise.image, &tree));
        promises.released(PromiseNumber(3));
        assert!(promises.get(3).is_none());
    }

    #[test]
    fn a_refused_or_unknown_commit_leaves_nothing_behind() {
        let promises = Promises::default();
        promises.expect(70, image());
        promises.refused(70);
        promises.committed(70, PromiseNumber(3));
        promises.committed(71, PromiseNumber(4));
        promises.released(PromiseNumber(9));
        assert!(promises.get(3).is_none() && promises.get(4).is_none());
    }

    #[test]
    fn an_ended_session_holds_no_image() {
        let promises = Promises::default();
        let tree = image();
        promises.expect(1, Arc::clone(&tree));
        promises.committed(1, PromiseNumber(1));
        promises.expect(2, Arc::clone(&tree));
        promises.clear();
        assert_eq!(Arc::strong_count(&tree), 1);
    }
}
