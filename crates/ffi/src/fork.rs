//! What a forked child inherits: nothing. The child's copies of the library's descriptors and
//! mappings are closed before fork() returns there, so that a child that lives on keeps neither a
//! provider alive nor its memory in use. The client keeps the list; what is unsafe about it is done
//! here.

use std::sync::OnceLock;

use fuse_promise_client::fork;
use fuse_promise_core::{Failure, Result};

pub(crate) use fork::in_child;

/// Registers the handler, once in a process. A process that only loads the library and forks, as a
/// daemon does, may still open a context in the child.
pub(crate) fn leave_children_nothing() -> Result<()> {
    static ERROR: OnceLock<libc::c_int> = OnceLock::new();
    // SAFETY: the handler is a function of this library, which is never unloaded (see build.rs).
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
        // SAFETY: the mapping is the library's, and nothing in the child uses it any more.
        |address, length| unsafe {
            libc::munmap(std::ptr::with_exposed_provenance_mut(address), length);
        },
    );
}
