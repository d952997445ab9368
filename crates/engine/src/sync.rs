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

    /// None while another thread holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(imp::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(imp::TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use shuttle::thread;
#[cfg(all(test, not(feature = "shuttle")))]
pub(crate) use std::thread;

/// Runs a scenario of several threads under every interleaving that shuttle
/// finds, or a number of times on real threads.
#[cfg(test)]
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    #[cfg(feature = "shuttle")]
    shuttle::check_random(scenario, 500);
    #[cfg(not(feature = "shuttle"))]
    (0..50).for_each(|_| scenario());
}
