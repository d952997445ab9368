//! What a provider makes the daemon hold, charged to it and refunded when the
//! thing that was charged for is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::limits;

/// The balance of one provider.
#[derive(Debug, Default)]
pub(crate) struct Account {
    promises: AtomicU64,
    image_bytes: AtomicU64,
}

/// One promise's share of the balance; dropping it is the refund.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    image_bytes: u64,
}

impl Account {
    /// Charges a promise with an image of `image_bytes`.
    ///
    /// # Errors
    /// `Unavailable`, naming limit and value, when either balance would go over.
    pub(crate) fn charge(self: &Arc<Self>, image_bytes: u64) -> Result<Charge> {
        // Charged first and looked at then: two callers at the limit may both be
        // refused, but never both let in.
        let promises = self.promises.fetch_add(1, Ordering::AcqRel) + 1;
        let bytes = self.image_bytes.fetch_add(image_bytes, Ordering::AcqRel) + image_bytes;
        let charge = Charge {
            account: Arc::clone(self),
            image_bytes,
        };
        if promises > limits::PROMISES_PER_PROVIDER_MAX as u64 {
            return Err(Failure::unavailable(format!(
                "this provider has {} promises, which is the limit; destroy one first",
                promises - 1
            )));
        }
        if bytes > limits::IMAGE_BYTES_PER_PROVIDER_MAX {
            return Err(Failure::unavailable(format!(
                "the images of this provider would take {bytes} bytes, the limit is {}; \
                 destroy a promise first",
                limits::IMAGE_BYTES_PER_PROVIDER_MAX
            )));
        }
        Ok(charge)
    }

    pub(crate) fn promises(&self) -> u32 {
        u32::try_from(self.promises.load(Ordering::Acquire)).unwrap_or(u32::MAX)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.promises.fetch_sub(1, Ordering::AcqRel);
        self.account
            .image_bytes
            .fetch_sub(self.image_bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_promises_is_met_exactly_and_refunded() {
        let account = Arc::new(Account::default());
        let charges: Vec<_> = (0..limits::PROMISES_PER_PROVIDER_MAX)
            .map(|_| account.charge(0).unwrap())
            .collect();
        let refused = account.charge(0).unwrap_err();
        let limit = limits::PROMISES_PER_PROVIDER_MAX.to_string();
        assert!(refused.message.contains(&limit), "{refused}");
        assert_eq!(account.promises(), limits::PROMISES_PER_PROVIDER_MAX as u32);
        drop(charges);
        assert_eq!(account.promises(), 0);
        account.charge(0).unwrap();
    }

    #[test]
    fn the_limit_of_image_bytes_is_met_exactly_and_refunded() {
        let account = Arc::new(Account::default());
        let all = account
            .charge(limits::IMAGE_BYTES_PER_PROVIDER_MAX)
            .unwrap();
        let refused = account.charge(1).unwrap_err();
        let limit = limits::IMAGE_BYTES_PER_PROVIDER_MAX;
        assert!(refused.message.contains(&limit.to_string()), "{refused}");
        assert!(
            refused.message.contains(&(limit + 1).to_string()),
            "{refused}"
        );
        drop(all);
        account.charge(1).unwrap();
        assert_eq!(account.promises(), 0);
    }
}
