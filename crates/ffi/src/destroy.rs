//! The end of a promise before that of its provider.

use std::ffi::c_char;

use crate::argument::text;
use crate::context::fp_context_t;
use crate::guard::guard;
use crate::handle::lent;
use crate::materialize::path_of;
use crate::status::fp_status_t;

/// Takes a promise out of the listing, whoever published it, as rm does with a file: its name is
/// gone when this returns, and nobody finds anything by it any more. Files of it that are open are
/// served on while their provider lives, and so is a copy that has begun; with the last of them
/// everything the daemon holds of the promise is freed. The provider is told by FP_EVENT_DESTROYED
/// and FP_EVENT_RELEASED, see fp_provider_config_t.
///
/// To replace a promise, commit the new one and destroy the old one: programs that are reading the
/// old one go on with its bytes. May be called from inside callbacks.
///
/// promise_path_or_id is the path from fp_promise_commit(), or its last part, "promise-7" for
/// instance.
///
/// FP_ERR_INVALID_ARGUMENT: context or promise_path_or_id is NULL, or it names no promise: neither
/// an id nor an absolute path, or the path of something inside a promise or of the mount itself.
/// FP_ERR_NOT_FOUND: there is no such promise, perhaps because it was destroyed before.
/// FP_ERR_UNAVAILABLE: no daemon runs, it is stopping, a limit is reached, or the context is
/// closed. FP_ERR_TIMEOUT: the daemon did not answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_destroy(
    context: *mut fp_context_t,
    promise_path_or_id: *const c_char,
) -> fp_status_t {
    guard("fp_promise_destroy", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for a text or NULL.
        let promise = path_of(unsafe { text(promise_path_or_id, "promise_path_or_id") }?);
        handle.context.destroy(promise.as_os_str())?;
        Ok(())
    })
}
