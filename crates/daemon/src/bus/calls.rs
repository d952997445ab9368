//! How many calls may be at work: in all, so that a peer that never waits does not fill our
//! memory, and of each caller, so that it does not take the places of the others either.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::limits::{CALLS_MAX, CALLS_PER_CALLER_MAX};
use tokio::sync::{Semaphore, SemaphorePermit};
use zbus::names::UniqueName;

use super::events::WatchNumber;

/// Whose call it is: on the socket whoever is at the other end of the connection, on the session
/// bus the sender that the bus names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asker {
    pub connection: WatchNumber,
    pub sender: Option<UniqueName<'static>>,
}

/// The calls that are at work.
pub struct Calls {
    /// Whoever has all of them knows that every call was answered.
    places: Semaphore,
    of_asker: Mutex<HashMap<Asker, u32>>,
}

/// One call; gives its place back when it ends.
pub struct Call<'a> {
    calls: &'a Calls,
    asker: Asker,
    _place: SemaphorePermit<'a>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            places: Semaphore::new(CALLS_MAX as usize),
            of_asker: Mutex::default(),
        }
    }
}

impl Calls {
    /// # Errors
    /// `Unavailable` while too many are at work.
    pub fn begin(&self, asker: Asker) -> Result<Call<'_>> {
        let place = self.places.try_acquire();
        let place = place.map_err(|_| too_many(CALLS_MAX, "calls"))?;
        let mut of_asker = self.of_asker();
        let count = of_asker.entry(asker.clone()).or_default();
        if *count >= CALLS_PER_CALLER_MAX {
            return Err(too_many(CALLS_PER_CALLER_MAX, "calls of this client"));
        }
        *count += 1;
        Ok(Call {
            calls: self,
            asker,
            _place: place,
        })
    }

    /// Returns when every call that had begun has ended.
    pub async fn all_ended(&self) {
        // Fails only if the semaphore was closed, which nobody does.
        let _ = self.places.acquire_many(CALLS_MAX).await;
    }

    fn of_asker(&self) -> MutexGuard<'_, HashMap<Asker, u32>> {
        self.of_asker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut of_asker = self.calls.of_asker();
        if let Some(count) = of_asker.get_mut(&self.asker) {
            *count -= 1;
            if *count == 0 {
                of_asker.remove(&self.asker);
            }
        }
    }
}

fn too_many(most: u32, what: &str) -> Failure {
    Failure::unavailable(format!(
        "{most} {what} are waiting for their answers already, and there can be no more at a time; \
         try again"
    ))
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::status::Status;

    use super::*;

    fn asker(connection: u64) -> Asker {
        Asker {
            connection: WatchNumber(connection),
            sender: None,
        }
    }

    /// Begins calls of one asker until one is refused.
    fn fill<'a>(calls: &'a Calls, asker: &Asker) -> (Vec<Call<'a>>, Failure) {
        let mut begun = Vec::new();
        loop {
            match calls.begin(asker.clone()) {
                Ok(call) => begun.push(call),
                Err(failure) => return (begun, failure),
            }
        }
    }

    #[test]
    fn one_asker_does_not_take_the_places_of_others() {
        let calls = Calls::default();
        let (begun, failure) = fill(&calls, &asker(1));
        assert_eq!(begun.len(), CALLS_PER_CALLER_MAX as usize);
        assert_eq!(failure.status, Status::Unavailable);
        let own = format!("{CALLS_PER_CALLER_MAX} calls of this client are");
        assert!(failure.message.contains(&own), "{failure}");
        assert!(calls.begin(asker(2)).is_ok());
        // On a bus one connection brings many.
        let sender = UniqueName::try_from(":1.7").unwrap();
        let on_bus = Asker {
            sender: Some(sender),
            ..asker(1)
        };
        assert!(calls.begin(on_bus).is_ok());
        let most = CALLS_MAX / CALLS_PER_CALLER_MAX;
        let others = (0..u64::from(most)).map(|number| fill(&calls, &asker(number + 2)));
        let (_held, failures): (Vec<_>, Vec<_>) = others.unzip();
        let whole = format!("{CALLS_MAX} calls are");
        assert!(failures[failures.len() - 1].message.contains(&whole));
    }

    #[test]
    fn a_call_that_ends_gives_its_place_back_and_leaves_nothing() {
        let calls = Calls::default();
        let (begun, _) = fill(&calls, &asker(1));
        assert!(calls.begin(asker(1)).is_err());
        drop(begun);
        assert!(calls.begin(asker(1)).is_ok());
        assert!(calls.of_asker().is_empty());
        assert_eq!(calls.places.available_permits(), CALLS_MAX as usize);
    }
}
