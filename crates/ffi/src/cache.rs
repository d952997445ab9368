//! What is kept of a promise's bytes: the policy of its provider, and taking them back.

use std::ffi::c_char;

use fuse_promise_core::words::CachePolicy;
use fuse_promise_core::{Failure, Result};

use crate::argument::text;
use crate::guard::guard;
use crate::handle::lent;
use crate::promise::fp_promise_builder_t;
use crate::provider::fp_provider_t;
use crate::status::fp_status_t;

/// Where the bytes of repeated reads come from: one of the FP_CACHE_POLICY_ constants. A policy
/// decides how fast reads are and how often the provider is asked, never what a reader sees.
pub type fp_cache_policy_t = u32;

/// The number with which C leaves the choice to the daemon.
const DEFAULT: fp_cache_policy_t = 0;

/// Chooses the cache policy of the promise, which then holds whatever the daemon was started with.
/// To be called before the commit; of several calls the last one counts. Without any it is
/// FP_CACHE_POLICY_DEFAULT.
///
/// FP_ERR_INVALID_ARGUMENT: builder is NULL, policy is none of the FP_CACHE_POLICY_ constants, or
/// the builder has been committed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_builder_set_cache_policy(
    builder: *mut fp_promise_builder_t,
    policy: fp_cache_policy_t,
) -> fp_status_t {
    guard("fp_promise_builder_set_cache_policy", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(builder) }?;
        let policy = policy_of(policy)?;
        handle.lock()?.set_cache_policy(policy)
    })
}

/// Drops what the daemon and the kernel hold of a promise's bytes: of every node that was added
/// with provider_node_id, or of all nodes if that is NULL. The next read of them asks the provider
/// again, and what it answers is kept again as the policy says.
///
/// This frees room; it does not announce other content, which stays what it was. A read that is
/// under way is answered, and its bytes are not kept. Files that were written by a materialize are
/// the user's: they stay, and reads that they serve ask nobody. With FP_CACHE_POLICY_NONE nothing is
/// held and nothing happens. May be called from inside the read callback.
///
/// promise_id is the last part of the path from fp_promise_commit(), "promise-7" for instance; read
/// callbacks get it too.
///
/// FP_ERR_INVALID_ARGUMENT: provider or promise_id is NULL, promise_id is no promise id, or
/// provider_node_id is empty. FP_ERR_NOT_FOUND: the provider has no such promise, the daemon in
/// which it was published has ended, or no node of the promise has that id.
/// FP_ERR_PROVIDER_GONE: the provider has been unregistered. FP_ERR_UNAVAILABLE: the context is
/// closed, the daemon is stopping, or a limit is reached. FP_ERR_TIMEOUT: the daemon did not answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_invalidate(
    provider: *mut fp_provider_t,
    promise_id: *const c_char,
    provider_node_id: *const c_char,
) -> fp_status_t {
    guard("fp_promise_invalidate", || {
        // SAFETY: the header asks for a registered handle or NULL.
        let handle = unsafe { lent(provider) }?;
        // SAFETY: the header asks for a text or NULL.
        let promise_id = unsafe { text(promise_id, "promise_id") }?.to_string_lossy();
        let node_id = if provider_node_id.is_null() {
            None
        } else {
            // SAFETY: not NULL, so a text.
            Some(unsafe { text(provider_node_id, "provider_node_id") }?.to_bytes())
        };
        handle.provider.invalidate(&promise_id, node_id)
    })
}

fn policy_of(number: fp_cache_policy_t) -> Result<Option<CachePolicy>> {
    if number == DEFAULT {
        return Ok(None);
    }
    CachePolicy::from_code(number).map(Some).ok_or_else(|| {
        Failure::invalid(format!(
            "cache policy {number} is none of the FP_CACHE_POLICY_ constants"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_table_and_the_default() {
        assert_eq!(policy_of(DEFAULT), Ok(None));
        for policy in CachePolicy::ALL {
            assert_eq!(policy_of(policy.code()), Ok(Some(*policy)));
        }
        for other in [4, 5, u32::MAX] {
            let failure = policy_of(other).unwrap_err();
            assert!(failure.message.contains(&other.to_string()), "{failure}");
        }
    }
}
