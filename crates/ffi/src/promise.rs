//! `fp_promise_builder_t`: a tree in the making, until commit publishes it.

use std::ffi::{CStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use fuse_promise_client::PromiseBuilder;
use fuse_promise_core::{Failure, NodeAttr, Result};

use crate::argument::{SizedStruct, sized, text};
use crate::context::fp_context_t;
use crate::guard::{guard, guard_void};
use crate::handle::{Handle, HandleOut, lent, taken_back};
use crate::provider::fp_provider_t;
use crate::status::fp_status_t;

/// A tree that is being put together. Threads that share one wait for each other.
pub struct fp_promise_builder_t {
    /// Held while the daemon answers a commit, so that no other thread adds to a tree that is on
    /// its way.
    builder: Mutex<PromiseBuilder>,
}

impl Handle for fp_promise_builder_t {
    const NAME: &'static str = "builder";
}

impl fp_promise_builder_t {
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, PromiseBuilder>> {
        self.builder
            .lock()
            .map_err(|_| Failure::io("an internal error has left this builder unusable; free it"))
    }
}

/// What stat() shows of a node. Initialise it with FP_NODE_ATTR_INIT, which sets everything else to
/// 0. The struct is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_node_attr_t {
    /// sizeof(fp_node_attr_t).
    pub struct_size: u32,
    /// Permission, set-id and sticky bits: at most 07777, no file type bits.
    pub mode: u32,
    /// Size in bytes, at most INT64_MAX. 0 for a directory.
    pub size: u64,
    /// Time of last modification in nanoseconds since 1970-01-01 00:00 UTC. Not negative.
    pub mtime_nsec: i64,
}

// SAFETY: repr(C), the size comes first, integers.
unsafe impl SizedStruct for fp_node_attr_t {
    const NAME: &'static str = "fp_node_attr_t";
    const INIT: &'static str = "FP_NODE_ATTR_INIT";
}

/// Begins a promise of the given provider. The provider must have been registered through the same
/// context.
///
/// On success *out_builder is a handle that you own until fp_promise_builder_free(), also after a
/// commit; on failure it stays NULL. The root directory of the promise is there from the start,
/// with mode 0755 and mtime 0.
///
/// FP_ERR_INVALID_ARGUMENT: an argument is NULL, or the provider belongs to another context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_builder_new(
    context: *mut fp_context_t,
    provider: *mut fp_provider_t,
    out_builder: *mut *mut fp_promise_builder_t,
) -> fp_status_t {
    guard("fp_promise_builder_new", || {
        // SAFETY: the header asks for a handle variable or NULL.
        let out = unsafe { HandleOut::cleared(out_builder) }?;
        // SAFETY: the header asks for an open handle or NULL.
        let context = unsafe { lent(context) }?;
        // SAFETY: the header asks for a registered handle or NULL.
        let provider = unsafe { lent(provider) }?;
        let builder = PromiseBuilder::new(&context.context, &provider.provider)?;
        out.give(fp_promise_builder_t {
            builder: Mutex::new(builder),
        });
        Ok(())
    })
}

/// Adds a directory.
///
/// relative_path is UTF-8, relative to the promise; "./q", "a//b" and "t/" mean "q", "a/b" and "t".
/// Its parent must have been added before. provider_node_id is any non-empty text of up to 4096
/// bytes; read callbacks get it back. All arguments are copied.
///
/// FP_ERR_INVALID_ARGUMENT: an argument is NULL, struct_size is wrong, mode, size or mtime_nsec is
/// out of range, the path is empty, ".", absolute, not UTF-8, contains ".." or a name over 255
/// bytes, the node id is empty, or the builder has been committed. FP_ERR_NOT_FOUND: the parent has
/// not been added. FP_ERR_ALREADY_EXISTS: the path has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_add_dir(
    builder: *mut fp_promise_builder_t,
    relative_path: *const c_char,
    attr: *const fp_node_attr_t,
    provider_node_id: *const c_char,
) -> fp_status_t {
    guard("fp_promise_add_dir", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(builder) }?;
        // SAFETY: the header asks for texts and an initialised struct, or NULL.
        let node = unsafe { NewNode::from_c(relative_path, attr, provider_node_id) }?;
        handle.lock()?.add_dir(node.path, node.attr, node.id)
    })
}

/// Adds a file, whose bytes the provider's read callback will be asked for. Arguments and failures
/// are those of fp_promise_add_dir(), except that a file may have a size.
///
/// The size is what readers see and rely on: declare it as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_add_file(
    builder: *mut fp_promise_builder_t,
    relative_path: *const c_char,
    attr: *const fp_node_attr_t,
    provider_node_id: *const c_char,
) -> fp_status_t {
    guard("fp_promise_add_file", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(builder) }?;
        // SAFETY: the header asks for texts and an initialised struct, or NULL.
        let node = unsafe { NewNode::from_c(relative_path, attr, provider_node_id) }?;
        handle.lock()?.add_file(node.path, node.attr, node.id)
    })
}

/// Publishes the tree. When it returns FP_OK the promise is visible to every program of the
/// session, and out_path holds its absolute path, NUL-terminated: the mount's path and "promise-N".
/// A builder with nothing in it publishes an empty directory.
///
/// A failed commit has published nothing and the builder stays usable. After a successful one the
/// builder can only be freed; the promise lives on until its provider is unregistered or its
/// process ends.
///
/// FP_ERR_INVALID_ARGUMENT: builder or out_path is NULL, out_path_len is too small for the path and
/// its NUL, or the builder has been committed. FP_ERR_PROVIDER_GONE: the provider has been
/// unregistered. FP_ERR_UNAVAILABLE: no daemon, no mount, or a limit is reached. FP_ERR_TIMEOUT:
/// the daemon did not answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_commit(
    builder: *mut fp_promise_builder_t,
    out_path: *mut c_char,
    out_path_len: usize,
) -> fp_status_t {
    guard("fp_promise_commit", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(builder) }?;
        if out_path.is_null() {
            return Err(Failure::invalid("out_path is NULL"));
        }
        let path = handle.lock()?.commit(out_path_len)?;
        // SAFETY: not NULL, and the header asks for out_path_len writable bytes.
        unsafe { write_path(&path, out_path, out_path_len) }
    })
}

/// Frees a builder. What it has committed stays published. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_promise_builder_free(builder: *mut fp_promise_builder_t) {
    guard_void("fp_promise_builder_free", || {
        // SAFETY: the header asks for a handle that is not used again, or NULL.
        drop(unsafe { taken_back(builder) });
    });
}

/// What the two add calls take.
struct NewNode<'a> {
    path: &'a [u8],
    attr: NodeAttr,
    id: &'a [u8],
}

impl NewNode<'_> {
    /// # Safety
    /// Each pointer is NULL or what the header asks for; the texts do not change during the call.
    unsafe fn from_c<'a>(
        path: *const c_char,
        attr: *const fp_node_attr_t,
        id: *const c_char,
    ) -> Result<NewNode<'a>> {
        // SAFETY: a text or NULL.
        let path = unsafe { text(path, "relative_path") }?;
        // SAFETY: an initialised struct or NULL.
        let attr = unsafe { sized(attr) }?;
        // SAFETY: a text or NULL.
        let id = unsafe { text(id, "provider_node_id") }?;
        Ok(NewNode {
            path: CStr::to_bytes(path),
            attr: NodeAttr {
                mode: attr.mode,
                size: attr.size,
                mtime_nsec: attr.mtime_nsec,
            },
            id: CStr::to_bytes(id),
        })
    }
}

/// # Safety
/// `out` points to `room` writable bytes.
unsafe fn write_path(path: &Path, out: *mut c_char, room: usize) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= room {
        // The daemon has checked this before it published anything.
        return Err(Failure::io(format!(
            "{} does not fit into {room} bytes",
            path.display()
        )));
    }
    // SAFETY: room for the bytes and the NUL was checked; a path of the library does not overlap
    // with C's buffer.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast(), bytes.len());
        *out.add(bytes.len()) = 0;
    }
    Ok(())
}
