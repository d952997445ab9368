//! The locks of the engine, in one place so that the tables can be run under
//! shuttle's scheduler (feature `shuttle`) as well as for real.
//!
//! A poisoned lock is taken all the same: the daemon aborts on any panic, so in
//! production nobody ever sees a table that a panic left half changed.

#[cfg(all(test, feature = "shuttle"))]
use shuttle::sync as imp;
#[cfg(not(all(test, feature = "shuttle")))]
use std::sync as imp;

pub(crate) use imp::MutexGuard;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
