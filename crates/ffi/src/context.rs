//! `fp_context_t`: one runtime directory, and the connection to its daemon once a call has needed
//! one.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use fuse_promise_client::{Context, ContextOptions};
use fuse_promise_core::{API_VERSION, Failure, Result};

use crate::argument::{SizedStruct, sized, text};
use crate::guard::{guard, guard_void};
use crate::handle::{Handle, HandleOut, taken_back};
use crate::status::fp_status_t;
use crate::{fork, signals};

/// A way to one daemon: the one that serves a runtime directory. Any thread may use it, several at
/// a time.
pub struct fp_context_t {
    pub(crate) context: Context,
}

impl Handle for fp_context_t {
    const NAME: &'static str = "context";
}

/// How to open a context. Initialise it with FP_CONTEXT_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_context_options_t {
    /// sizeof(fp_context_options_t).
    pub struct_size: u32,
    /// FP_API_VERSION.
    pub api_version: u32,
    /// Absolute path of the runtime directory, or NULL for $XDG_RUNTIME_DIR. The text is copied. A
    /// directory other than $XDG_RUNTIME_DIR is served by a daemon that was started there by hand.
    pub runtime_dir: *const c_char,
}

// SAFETY: repr(C), the size comes first, integers and a pointer.
unsafe impl SizedStruct for fp_context_options_t {
    const NAME: &'static str = "fp_context_options_t";
    const INIT: &'static str = "FP_CONTEXT_OPTIONS_INIT";
}

/// Opens a context. No daemon is needed yet; the first call that needs one connects, and starts it
/// if it must.
///
/// options may be NULL, which means the defaults. On success *out_context is a handle that you own
/// until fp_context_close(); on failure it stays NULL.
///
/// FP_ERR_INVALID_ARGUMENT: out_context is NULL, struct_size is wrong, or the runtime directory is
/// relative, empty or not a directory. FP_ERR_VERSION_MISMATCH: api_version is not FP_API_VERSION.
/// FP_ERR_UNAVAILABLE: the runtime directory is missing, or XDG_RUNTIME_DIR is not set and none was
/// given. FP_ERR_PERMISSION: it belongs to another user, or group or others have access to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_context_open(
    options: *const fp_context_options_t,
    out_context: *mut *mut fp_context_t,
) -> fp_status_t {
    guard("fp_context_open", || {
        // SAFETY: the header asks for a handle variable or NULL.
        let out = unsafe { HandleOut::cleared(out_context) }?;
        // SAFETY: the header asks for an initialised struct or NULL.
        let options = unsafe { client_options(options) }?;
        signals::block_in_library_threads();
        fork::leave_children_nothing()?;
        out.give(fp_context_t {
            context: Context::open(options)?,
        });
        Ok(())
    })
}

/// Closes a context and ends the providers that were registered through it: reads of their promises
/// fail from then on. Handles of those providers and of builders stay yours to free. NULL does
/// nothing.
///
/// When it returns, no read callback of those providers runs or will run. It waits for callbacks
/// that are running, however long that takes: do not hold a lock that one of them takes. Called
/// from inside a callback it does not wait for that one, which ends last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_context_close(context: *mut fp_context_t) {
    guard_void("fp_context_close", || {
        // SAFETY: the header asks for an open handle that is not used again, or NULL.
        if let Some(handle) = unsafe { taken_back(context) } {
            handle.context.close();
        }
    });
}

/// # Safety
/// `options` is NULL or points to an options struct as the header describes it.
unsafe fn client_options(options: *const fp_context_options_t) -> Result<ContextOptions> {
    if options.is_null() {
        return Ok(ContextOptions::default());
    }
    // SAFETY: not NULL, so a struct that says its own size.
    let options = unsafe { sized(options) }?;
    if options.api_version != API_VERSION {
        return Err(Failure::version_mismatch(format!(
            "the program was compiled for API version {}, this library has version {API_VERSION}",
            options.api_version
        )));
    }
    if options.runtime_dir.is_null() {
        return Ok(ContextOptions::default());
    }
    // SAFETY: not NULL, so a NUL-terminated text.
    let path = unsafe { text(options.runtime_dir, "runtime_dir") }?;
    Ok(ContextOptions {
        runtime_dir: Some(PathBuf::from(OsStr::from_bytes(path.to_bytes()))),
    })
}
