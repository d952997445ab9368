//! `fp_provider_t`: a registered provider, and the callback that answers its reads.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use fuse_promise_client::{Provider, ProviderOptions};
use fuse_promise_core::Failure;

use crate::argument::{SizedStruct, sized};
use crate::callbacks::Callbacks;
use crate::context::fp_context_t;
use crate::guard::{guard, guard_void};
use crate::handle::{Handle, HandleOut, lent, taken_back};
use crate::status::fp_status_t;

/// A registered provider: it publishes promises and answers reads of their files. Any thread may
/// use it, several at a time.
pub struct fp_provider_t {
    pub(crate) provider: Provider,
}

impl Handle for fp_provider_t {
    const NAME: &'static str = "provider";
}

/// Which bytes of which file are asked for. The struct and its texts belong to the library and are
/// valid until the callback returns.
#[repr(C)]
pub struct fp_read_request_t {
    /// The promise, for instance "promise-7".
    pub promise_id: *const c_char,
    /// The node id that fp_promise_add_file() was given for this file.
    pub node_id: *const c_char,
    /// The file's path inside the promise.
    pub relative_path: *const c_char,
    /// The first byte asked for, counted from the beginning of the file. Less than the file's
    /// declared size.
    pub offset: u64,
    /// How many bytes are asked for. At least 1; offset + length is at most the declared size.
    pub length: usize,
}

/// Where the bytes go. The struct and its buffer belong to the library and are valid until the
/// callback returns.
#[repr(C)]
pub struct fp_read_response_t {
    /// Write the bytes here. What is in it before is undefined. If the callback forks, it is gone
    /// in the child.
    pub buffer: *mut u8,
    /// Room in the buffer: the request's length.
    pub buffer_len: usize,
    /// Set this to the number of bytes written; 0 when the callback begins.
    pub bytes_written: usize,
}

/// Answers one read.
///
/// It runs on a thread of the library that blocks every signal, one call at a time for each
/// provider unless fp_provider_config_t.max_concurrent_reads allows more, until
/// fp_provider_unregister() has returned. user_data is what fp_provider_register() was given; the
/// library only hands it on, and does so from its own threads.
///
/// Write up to response->buffer_len bytes into response->buffer, set response->bytes_written and
/// return FP_OK. Fewer bytes than asked for is allowed: the library asks again for the rest. No
/// bytes at all means that the file ends here, before its declared size.
///
/// Any other status fails this read and nothing else. The reader sees FP_ERR_PERMISSION as EACCES,
/// FP_ERR_NOT_FOUND as ENOENT, FP_ERR_CANCELLED as ECANCELED, FP_ERR_TIMEOUT as ETIMEDOUT, every
/// other one as EIO; bytes_written over buffer_len is EIO too. A callback that takes longer than
/// the read timeout (30 s) has answered nobody: the reader got ETIMEDOUT.
///
/// The callback may call any fp_ function. fp_promise_commit() works, and so does
/// fp_provider_unregister() of its own provider: then this call is its last. Reading one's own
/// promise through the mount from inside the callback waits for this very callback and ends with
/// ETIMEDOUT. The callback must not throw a C++ exception or longjmp() out.
pub type fp_provider_read_fn = Option<
    unsafe extern "C" fn(
        request: *const fp_read_request_t,
        response: *mut fp_read_response_t,
        user_data: *mut c_void,
    ) -> fp_status_t,
>;

/// The callbacks of a provider. Initialise it with FP_PROVIDER_OPS_INIT(read_fn). The struct is
/// copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_provider_ops_t {
    /// sizeof(fp_provider_ops_t).
    pub struct_size: u32,
    /// Answers reads. Must not be NULL.
    pub read: fp_provider_read_fn,
}

// SAFETY: repr(C), the size comes first, an integer and a function pointer that may be NULL.
unsafe impl SizedStruct for fp_provider_ops_t {
    const NAME: &'static str = "fp_provider_ops_t";
    const INIT: &'static str = "FP_PROVIDER_OPS_INIT";
}

/// Registers a provider with the context's daemon, which is started if need be.
///
/// user_data goes to every callback as it is, and may be NULL; what it points to must stay valid
/// until fp_provider_unregister() or fp_context_close() has returned. On success *out_provider is a
/// handle that you own until fp_provider_unregister(); on failure it stays NULL.
///
/// FP_ERR_INVALID_ARGUMENT: context, ops or out_provider is NULL, struct_size is wrong, or
/// ops->read is NULL. FP_ERR_UNAVAILABLE: there is no daemon and none could be started, or it
/// cannot serve; fp_last_error() tells why. FP_ERR_TIMEOUT: the daemon did not answer.
/// FP_ERR_VERSION_MISMATCH: daemon and library do not understand each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_provider_register(
    context: *mut fp_context_t,
    ops: *const fp_provider_ops_t,
    user_data: *mut c_void,
    out_provider: *mut *mut fp_provider_t,
) -> fp_status_t {
    guard("fp_provider_register", || {
        // SAFETY: the header asks for a handle variable or NULL.
        let out = unsafe { HandleOut::cleared(out_provider) }?;
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for an initialised struct or NULL.
        let ops = unsafe { sized(ops) }?;
        let read = ops
            .read
            .ok_or_else(|| Failure::invalid("fp_provider_ops_t.read is NULL"))?;
        let callbacks = Arc::new(Callbacks {
            read,
            event: None,
            user_data,
        });
        out.give(fp_provider_t {
            provider: handle
                .context
                .register(callbacks, ProviderOptions::default())?,
        });
        Ok(())
    })
}

/// Ends a provider and frees its handle. Its promises go out of the listing at once; reads of files
/// that are still open fail with EIO. NULL does nothing.
///
/// When it returns, no callback of the provider runs or will run again, so user_data may be freed.
/// It waits for callbacks that are running, however long that takes: do not hold a lock that they
/// take. Called from inside a callback it waits for none, and no other one begins after it; those
/// that run beside it, if there may be several, end after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_provider_unregister(provider: *mut fp_provider_t) {
    guard_void("fp_provider_unregister", || {
        // SAFETY: the header asks for a handle that is not used again, or NULL.
        if let Some(handle) = unsafe { taken_back(provider) } {
            handle.provider.unregister();
        }
    });
}
