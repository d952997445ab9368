//! `fp_materialize`: promised nodes become ordinary files.

use std::ffi::{CStr, CString, OsStr, c_char, c_void};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fuse_promise_client::{JobStatus, MaterializeOptions};
use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_core::{Failure, Result, Status};

use crate::argument::{SizedStruct, sized, text};
use crate::context::fp_context_t;
use crate::guard::guard_status;
use crate::handle::lent;
use crate::status::fp_status_t;

/// What to do about something that is already there: one of the FP_CONFLICT_ constants.
pub type fp_conflict_policy_t = u32;

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

/// Told how far a copy has come: at most ten times a second, and at least once, when everything has
/// been copied. It runs on the thread that called fp_materialize(), with the user data given in the
/// options, and may call any fp_ function. Return FP_OK to go on; any other status stops the copy,
/// even a complete one, removes what it has created and is what fp_materialize() returns. The
/// callback must not throw a C++ exception or longjmp() out.
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
/// directory. options may be NULL, which means FP_CONFLICT_FAIL and no progress. The daemon does
/// the copying, so any number of these calls may run on different threads.
///
/// Each file appears under its name whole or not at all. If the progress callback stops the copy,
/// the provider or the daemon ends or the disk is full, what was created is removed again; files
/// that were replaced stay. An entry that fails for a reason of its own leaves the others to go on,
/// and the first such failure is what this returns.
///
/// FP_ERR_INVALID_ARGUMENT: context, promise_path or target_dir is NULL, struct_size is wrong, the
/// policy is unknown, a path is relative, target_dir is a symlink, not a directory or below the
/// mount, or the promise is that of the provider from whose read callback this is called.
/// FP_ERR_NOT_FOUND: promise_path or target_dir does not exist. FP_ERR_ALREADY_EXISTS: something is
/// in the way that the policy leaves alone. FP_ERR_PERMISSION: target_dir cannot be written.
/// FP_ERR_PROVIDER_GONE, FP_ERR_TIMEOUT: the provider ended or did not answer. FP_ERR_IO: the disk
/// is full or failed, or a file's content is shorter than its declared size. FP_ERR_UNAVAILABLE:
/// there is no daemon, it ended, or a limit is reached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize(
    context: *mut fp_context_t,
    promise_path: *const c_char,
    target_dir: *const c_char,
    options: *const fp_materialize_options_t,
) -> fp_status_t {
    guard_status("fp_materialize", || {
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for a text or NULL.
        let source = path_of(unsafe { text(promise_path, "promise_path") }?);
        // SAFETY: the header asks for a text or NULL.
        let target = path_of(unsafe { text(target_dir, "target_dir") }?);
        let mut how = MaterializeOptions::default();
        let mut watcher = Watcher::default();
        if !options.is_null() {
            // SAFETY: not NULL, so a struct that says its own size.
            let options = unsafe { sized(options) }?;
            how.policy = policy(options.conflict_policy, &POLICIES)?;
            watcher.callback = options.progress;
            watcher.user_data = options.progress_user_data;
        }
        // Without a callback there is nobody who could want the copy back.
        how.confirm = watcher.callback.is_some();
        let job = handle.context.materialize(source, target, how)?;
        let ended = job.wait(None, &mut |now| watcher.tell(now));
        match (ended, watcher.refused) {
            (Err(failure), Some(status)) => Ok((status, Some(failure))),
            (Err(failure), None) => {
                job.abandon();
                Err(failure)
            }
            (Ok(end), _) => {
                end.map_or(Ok(()), |end| end.outcome())?;
                Ok((Status::Ok.code(), None))
            }
        }
    })
}

pub(crate) fn path_of(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// The policies of `fp_materialize`, by their numbers.
const POLICIES: [ConflictPolicy; 3] = [
    ConflictPolicy::Fail,
    ConflictPolicy::Overwrite,
    ConflictPolicy::Rename,
];

/// The policy of a number, among those that a call takes.
pub(crate) fn policy(
    number: fp_conflict_policy_t,
    taken: &[ConflictPolicy],
) -> Result<ConflictPolicy> {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    taken.get(index).copied().ok_or_else(|| {
        let words = taken.iter().map(|policy| policy.word());
        let known: Vec<_> = words
            .enumerate()
            .map(|(n, word)| format!("{word} ({n})"))
            .collect();
        Failure::invalid(format!(
            "conflict policy {number} is none of {}",
            known.join(", ")
        ))
    })
}

/// The C callback, and what it said when it did not say FP_OK.
struct Watcher {
    callback: fp_materialize_progress_fn,
    user_data: *mut c_void,
    refused: Option<fp_status_t>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            callback: None,
            user_data: std::ptr::null_mut(),
            refused: None,
        }
    }
}

impl Watcher {
    fn tell(&mut self, now: &JobStatus) -> ControlFlow<Failure> {
        let Some(callback) = self.callback else {
            return ControlFlow::Continue(());
        };
        // A path holds no NUL.
        let target_path = CString::new(now.target_path.clone()).unwrap_or_default();
        let progress = fp_materialize_progress_t {
            struct_size: size_of::<fp_materialize_progress_t>() as u32,
            entries_done: now.entries_done,
            entries_total: now.entries_total,
            bytes_written: now.bytes_written,
            bytes_total: now.bytes_total,
            files_written: now.files_written,
            files_total: now.files_total,
            directories_created: now.directories_created,
            directories_total: now.directories_total,
            target_path: target_path.as_ptr(),
        };
        // SAFETY: the struct and its text outlive the call; the rest is the callback's part.
        let status = unsafe { callback(&raw const progress, self.user_data) };
        if status == Status::Ok.code() {
            return ControlFlow::Continue(());
        }
        self.refused = Some(status);
        ControlFlow::Break(Failure::new(
            Status::from_code(status).unwrap_or(Status::Cancelled),
            format!("the progress callback stopped the copy with status {status}"),
        ))
    }
}
