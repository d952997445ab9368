//! `fp_materialize`: promised nodes become ordinary files.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fuse_promise_core::{Failure, Result};

use crate::argument::{SizedStruct, sized, text};
use crate::context::fp_context_t;
use crate::guard::guard;
use crate::handle::lent;
use crate::status::fp_status_t;

/// What to do about something that is already there: one of the FP_CONFLICT_ constants.
pub type fp_conflict_policy_t = u32;

/// `FP_CONFLICT_RENAME`, the last of the policies that `fp_materialize` takes.
const LAST_POLICY: fp_conflict_policy_t = 2;

/// How far a copy has come. The struct and its text belong to the library and are valid until the
/// callback returns.
#[repr(C)]
pub struct fp_materialize_progress_t {
    /// sizeof(fp_materialize_progress_t) of the library; at least that of this header.
    pub struct_size: u32,
    /// Files and directories that are done, and how many there are.
    pub entries_done: u64,
    pub entries_total: u64,
    /// Bytes written, and the sum of the declared sizes.
    pub bytes_written: u64,
    pub bytes_total: u64,
    /// The same for files alone.
    pub files_written: u64,
    pub files_total: u64,
    /// The same for directories alone.
    pub directories_created: u64,
    pub directories_total: u64,
    /// The path of the copy.
    pub target_path: *const c_char,
}

/// Told how far a copy has come. It runs on the thread that called fp_materialize(), with the user
/// data given in the options. Return FP_OK to go on; any other status stops the copy, removes what
/// it has created and is what fp_materialize() returns. The callback must not throw a C++ exception
/// or longjmp() out.
pub type fp_materialize_progress_fn = Option<
    unsafe extern "C" fn(
        progress: *const fp_materialize_progress_t,
        user_data: *mut c_void,
    ) -> fp_status_t,
>;

/// How to copy. Initialise it with FP_MATERIALIZE_OPTIONS_INIT: fail on conflicts, no progress.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_materialize_options_t {
    /// sizeof(fp_materialize_options_t).
    pub struct_size: u32,
    /// One of FP_CONFLICT_FAIL, FP_CONFLICT_OVERWRITE and FP_CONFLICT_RENAME.
    pub conflict_policy: fp_conflict_policy_t,
    /// May be NULL.
    pub progress: fp_materialize_progress_fn,
    /// Given to every call of progress as it is.
    pub progress_user_data: *mut c_void,
}

// SAFETY: repr(C), the size comes first, integers, a function pointer that may be NULL and a
// pointer.
unsafe impl SizedStruct for fp_materialize_options_t {
    const NAME: &'static str = "fp_materialize_options_t";
    const INIT: &'static str = "FP_MATERIALIZE_OPTIONS_INIT";
}

/// Copies a promised file or directory out of the mount into an ordinary directory, and returns
/// when it is done.
///
/// promise_path is an absolute path in the mount: of a file, of a directory, or of a promise
/// itself, which makes target_dir/promise-N. target_dir is an absolute path of an existing
/// directory. options may be NULL, which means FP_CONFLICT_FAIL and no progress.
///
/// FP_ERR_INVALID_ARGUMENT: context, promise_path or target_dir is NULL, struct_size is wrong, the
/// policy is unknown, a path is relative, or target_dir is a symlink or not a directory.
/// FP_ERR_NOT_FOUND: target_dir does not exist. FP_ERR_UNAVAILABLE: there is no daemon, or it
/// cannot copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize(
    context: *mut fp_context_t,
    promise_path: *const c_char,
    target_dir: *const c_char,
    options: *const fp_materialize_options_t,
) -> fp_status_t {
    guard("fp_materialize", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for a text or NULL.
        let source = path_of(unsafe { text(promise_path, "promise_path") }?);
        // SAFETY: the header asks for a text or NULL.
        let target = path_of(unsafe { text(target_dir, "target_dir") }?);
        if !options.is_null() {
            // SAFETY: not NULL, so a struct that says its own size.
            check_policy(unsafe { sized(options) }?.conflict_policy)?;
        }
        check_source(source)?;
        check_target(target)?;
        Err(Failure::unavailable(format!(
            "the daemon of {} cannot materialize {} yet; copy it from the mount",
            handle.context.runtime_dir().path().display(),
            source.display()
        )))
    })
}

fn path_of(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

fn check_policy(policy: fp_conflict_policy_t) -> Result<()> {
    if policy > LAST_POLICY {
        return Err(Failure::invalid(format!(
            "conflict policy {policy} is none of fail (0), overwrite (1) and rename (2)"
        )));
    }
    Ok(())
}

fn check_source(source: &Path) -> Result<()> {
    if !source.is_absolute() {
        return Err(Failure::invalid(format!(
            "promise path {} is not absolute",
            source.display()
        )));
    }
    Ok(())
}

/// Refuses what can be refused before a daemon is asked. The last name decides: symlinks above it
/// are the caller's.
fn check_target(target: &Path) -> Result<()> {
    let shown = target.display();
    if !target.is_absolute() {
        return Err(Failure::invalid(format!(
            "target directory {shown} is not absolute"
        )));
    }
    // `components` drops a slash at the end, behind which lstat would follow a symlink.
    let itself: std::path::PathBuf = target.components().collect();
    match itself.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(found) if found.is_symlink() => Err(Failure::invalid(format!(
            "target directory must not be a symlink: {shown}"
        ))),
        Ok(_) => Err(Failure::invalid(format!(
            "target directory {shown} is not a directory"
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::not_found(format!(
            "target directory {shown} does not exist"
        ))),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::permission(
            format!("target directory {shown}: {error}"),
        )),
        Err(error) => Err(Failure::invalid(format!(
            "target directory {shown}: {error}"
        ))),
    }
}
