//! What a forked child inherits: nothing that matters to others. The child's copies of the library's
//! descriptors are closed and its arenas unmapped before fork() returns there, so that a child that
//! lives on keeps neither a provider alive nor the memory shared with the daemon in use. The client
//! keeps the list; what is unsafe about it is done here.

use std::sync::OnceLock;

use fuse_promise_client::fork;
use fuse_promise_core::{Failure, Result};

pub(crate) use fork::in_child;

/// Registers the handler, once in a process. A process that only loads the library and forks, as a
/// daemon does, may still open a context in the child.
pub(crate) fn leave_children_nothing() -> Result<()> {
    static ERROR: OnceLock<libc::c_int> = OnceLock::new();
    // SAFETY: the handler is a function that is never unloaded: the shared library is linked so
    // (see build.rs), and of the static one the header asks it of what can be unloaded.
    match ERROR.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_new_child)) }) {
        0 => Ok(()),
        error => Err(Failure::unavailable(format!(
            "cannot prepare for fork: {}",
            std::io::Error::from_raw_os_error(*error)
        ))),
    }
}

/// Runs between fork and everything else in the child: system calls only.
unsafe extern "C" fn in_new_child() {
    fork::enter_child(
        // SAFETY: the descriptor is the library's, and nothing in the child uses it any more.
        |fd| unsafe {
            libc::close(fd);
        },
        // SAFETY: the mapping is an arena of the library's. Of the child's code only a read callback
        // that forked knows an address in it, response->buffer, which the header says is gone
        // there. Node ids point into images, which are not listed.
        |address, length| unsafe {
            libc::munmap(std::ptr::with_exposed_provenance_mut(address), length);
        },
    );
}
