//! `fp_materialize_job_t`: a materialize that runs while its caller does something else.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;
use std::time::Duration;

use fuse_promise_client::{Job, JobStatus, MaterializeOptions};
use fuse_promise_core::words::{ConflictPolicy, EntryOutcome, JobState};
use fuse_promise_core::{Failure, Result, Status};

use crate::argument::{SizedStruct, flag, sized, text};
use crate::context::fp_context_t;
use crate::guard::{guard, guard_void};
use crate::handle::{Handle, HandleOut, lent, taken_back};
use crate::materialize::{fp_conflict_policy_t, path_of, policy};
use crate::status::fp_status_t;

/// A copy that was begun with fp_materialize_start(). Any thread may use it, several at a time.
pub struct fp_materialize_job_t {
    job: Job,
    /// Asked for once, when the job has ended.
    entries: OnceLock<Vec<Entry>>,
}

impl Handle for fp_materialize_job_t {
    const NAME: &'static str = "job";
}

/// An entry of the result, with texts that C can see.
struct Entry {
    outcome: fp_materialize_outcome_t,
    status: fp_status_t,
    path: CString,
    message: CString,
}

/// How far a job is: one of the FP_JOB_ constants.
pub type fp_materialize_state_t = u32;

/// What became of an entry: one of the FP_ENTRY_ constants.
pub type fp_materialize_outcome_t = u32;

/// How to copy. Initialise it with FP_MATERIALIZE_START_OPTIONS_INIT: fail on conflicts, neither
/// sync nor detach.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_materialize_start_options_t {
    /// sizeof(fp_materialize_start_options_t).
    pub struct_size: u32,
    /// One of the FP_CONFLICT_ constants, FP_CONFLICT_SKIP and FP_CONFLICT_NEWER included.
    pub conflict_policy: fp_conflict_policy_t,
    /// 1 to bring every file and directory to disk before it counts as written, else 0.
    pub sync: u32,
    /// 1 if the job is to go on when this process ends or closes the context, else 0.
    pub detach: u32,
}

// SAFETY: repr(C), the size comes first, integers.
unsafe impl SizedStruct for fp_materialize_start_options_t {
    const NAME: &'static str = "fp_materialize_start_options_t";
    const INIT: &'static str = "FP_MATERIALIZE_START_OPTIONS_INIT";
}

/// How far a job is. Initialise it with FP_MATERIALIZE_STATUS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_materialize_status_t {
    /// sizeof(fp_materialize_status_t).
    pub struct_size: u32,
    /// One of the FP_JOB_ constants.
    pub state: fp_materialize_state_t,
    /// Of a job that has ended: FP_OK, or the first failure.
    pub status: fp_status_t,
    /// Always 0.
    pub reserved: u32,
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
    /// Bytes per second while the job ran.
    pub bytes_per_second: u64,
    /// Of a job that has ended: entries that were created or replaced, left alone by the policy,
    /// failed, and created and removed again.
    pub written: u64,
    pub skipped: u64,
    pub failed: u64,
    pub removed: u64,
}

// SAFETY: repr(C), the size comes first, integers.
unsafe impl SizedStruct for fp_materialize_status_t {
    const NAME: &'static str = "fp_materialize_status_t";
    const INIT: &'static str = "FP_MATERIALIZE_STATUS_INIT";
}

/// One entry of a job's result. Initialise it with FP_MATERIALIZE_ENTRY_INIT. The texts belong to
/// the job and are valid until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_materialize_entry_t {
    /// sizeof(fp_materialize_entry_t).
    pub struct_size: u32,
    /// One of the FP_ENTRY_ constants.
    pub outcome: fp_materialize_outcome_t,
    /// Why it failed, FP_OK unless it did.
    pub status: fp_status_t,
    /// Always 0.
    pub reserved: u32,
    /// Relative to the target directory.
    pub path: *const c_char,
    /// Why it failed as a sentence, empty unless it did.
    pub message: *const c_char,
}

// SAFETY: repr(C), the size comes first, integers and pointers.
unsafe impl SizedStruct for fp_materialize_entry_t {
    const NAME: &'static str = "fp_materialize_entry_t";
    const INIT: &'static str = "FP_MATERIALIZE_ENTRY_INIT";
}

/// Begins to copy a promised file or directory into an ordinary directory and returns at once.
/// Paths, what is copied and how a copy fails are those of fp_materialize(); what can be refused
/// before anything is written is refused by this call. options may be NULL, which means the
/// defaults.
///
/// On success *out_job is a handle that you own until fp_materialize_free(); on failure it stays
/// NULL. The job ends, and removes what it has created, when this process ends or closes the
/// context, unless it was started with detach.
///
/// FP_ERR_INVALID_ARGUMENT: as for fp_materialize(), or out_job is NULL, or sync or detach is
/// neither 0 nor 1. Other failures are those of fp_materialize().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_start(
    context: *mut fp_context_t,
    promise_path: *const c_char,
    target_dir: *const c_char,
    options: *const fp_materialize_start_options_t,
    out_job: *mut *mut fp_materialize_job_t,
) -> fp_status_t {
    guard("fp_materialize_start", || {
        // SAFETY: the header asks for a handle variable or NULL.
        let out = unsafe { HandleOut::cleared(out_job) }?;
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for a text or NULL.
        let source = path_of(unsafe { text(promise_path, "promise_path") }?);
        // SAFETY: the header asks for a text or NULL.
        let target = path_of(unsafe { text(target_dir, "target_dir") }?);
        let mut how = MaterializeOptions::default();
        if !options.is_null() {
            // SAFETY: not NULL, so a struct that says its own size.
            let options = unsafe { sized(options) }?;
            how.policy = policy(options.conflict_policy, ConflictPolicy::ALL)?;
            how.sync = flag(options.sync, "sync")?;
            how.detach = flag(options.detach, "detach")?;
        }
        out.give(fp_materialize_job_t {
            job: handle.context.materialize(source, target, how)?,
            entries: OnceLock::new(),
        });
        Ok(())
    })
}

/// Tells how far a job is. out_status must have been initialised; on failure it is not changed.
///
/// FP_ERR_INVALID_ARGUMENT: job or out_status is NULL, or struct_size is wrong.
/// FP_ERR_UNAVAILABLE: the daemon has ended, and the job with it. FP_ERR_NOT_FOUND: the job ended
/// long ago, and the daemon has forgotten it. FP_ERR_TIMEOUT: the daemon did not answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_poll(
    job: *mut fp_materialize_job_t,
    out_status: *mut fp_materialize_status_t,
) -> fp_status_t {
    guard("fp_materialize_poll", || {
        // SAFETY: the header asks for a handle that was not freed, or NULL.
        let handle = unsafe { lent(job) }?;
        // SAFETY: the header asks for an initialised struct or NULL.
        unsafe { sized(out_status.cast_const()) }?;
        let told = status_of(&handle.job.poll()?);
        // SAFETY: not NULL and of our size, as was just seen; the caller's to write to.
        unsafe { out_status.write_unaligned(told) };
        Ok(())
    })
}

/// Waits until a job has ended and returns how: FP_OK, or the first failure. A negative timeout_ms
/// waits for as long as it takes. When the time is over and the job still runs it is
/// FP_ERR_TIMEOUT; whether that was the job's own status fp_materialize_poll() tells.
///
/// FP_ERR_UNAVAILABLE also means that the daemon ended, and the job with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_wait(
    job: *mut fp_materialize_job_t,
    timeout_ms: i32,
) -> fp_status_t {
    guard("fp_materialize_wait", || {
        // SAFETY: the header asks for a handle that was not freed, or NULL.
        let handle = unsafe { lent(job) }?;
        let patience = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let go_on = &mut |_: &JobStatus| std::ops::ControlFlow::Continue(());
        match handle.job.wait(patience, go_on)? {
            Some(end) => end.outcome(),
            None => Err(Failure::timeout(format!(
                "the job still runs after {timeout_ms} ms"
            ))),
        }
    })
}

/// Tells of an entry that was replaced, skipped or failed: the one numbered index, from 0. Entries
/// that were created are only counted, and so are those behind the first 1000. out_entry must have
/// been initialised; on failure it is not changed.
///
/// FP_ERR_INVALID_ARGUMENT: job or out_entry is NULL, or struct_size is wrong. FP_ERR_NOT_FOUND:
/// there are not so many. FP_ERR_UNAVAILABLE: the job still runs, or its daemon has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_result(
    job: *mut fp_materialize_job_t,
    index: usize,
    out_entry: *mut fp_materialize_entry_t,
) -> fp_status_t {
    guard("fp_materialize_result", || {
        // SAFETY: the header asks for a handle that was not freed, or NULL.
        let handle = unsafe { lent(job) }?;
        // SAFETY: the header asks for an initialised struct or NULL.
        let mut told = unsafe { sized(out_entry.cast_const()) }?;
        let entries = handle.entries()?;
        let entry = entries.get(index).ok_or_else(|| {
            Failure::not_found(format!("the result has {} entries", entries.len()))
        })?;
        told.outcome = entry.outcome;
        told.status = entry.status;
        told.reserved = 0;
        told.path = entry.path.as_ptr();
        told.message = entry.message.as_ptr();
        // SAFETY: not NULL and of our size, as was just seen; the caller's to write to.
        unsafe { out_entry.write_unaligned(told) };
        Ok(())
    })
}

/// Asks a job to stop and returns at once; fp_materialize_wait() returns when it has removed what
/// it had created. A job that has ended is not changed.
///
/// FP_ERR_INVALID_ARGUMENT: job is NULL. Other failures are those of fp_materialize_poll().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_cancel(job: *mut fp_materialize_job_t) -> fp_status_t {
    guard("fp_materialize_cancel", || {
        // SAFETY: the header asks for a handle that was not freed, or NULL.
        unsafe { lent(job) }?.job.cancel()
    })
}

/// Frees a job's handle. The job itself goes on, as said at fp_materialize_start(). NULL does
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_materialize_free(job: *mut fp_materialize_job_t) {
    guard_void("fp_materialize_free", || {
        // SAFETY: the header asks for a handle that is not used again, or NULL.
        drop(unsafe { taken_back(job) });
    });
}

impl fp_materialize_job_t {
    fn entries(&self) -> Result<&[Entry]> {
        if let Some(entries) = self.entries.get() {
            return Ok(entries);
        }
        let mut entries = Vec::new();
        for told in self.job.result()? {
            let outcome: EntryOutcome = told
                .outcome
                .parse()
                .map_err(|failure: Failure| Failure::version_mismatch(failure.message))?;
            entries.push(Entry {
                outcome: number_of(EntryOutcome::ALL, outcome) + 1,
                status: told.status,
                // Neither a path nor a D-Bus string holds a NUL.
                path: CString::new(told.path).unwrap_or_default(),
                message: CString::new(told.message).unwrap_or_default(),
            });
        }
        // Another thread may have been first, with the same.
        Ok(self.entries.get_or_init(|| entries))
    }
}

fn status_of(now: &JobStatus) -> fp_materialize_status_t {
    let end = now.end.as_ref();
    let failure = end.and_then(|end| end.failure.as_ref());
    let count = |of: fn(&fuse_promise_client::JobEnd) -> u64| end.map_or(0, of);
    fp_materialize_status_t {
        struct_size: size_of::<fp_materialize_status_t>() as u32,
        state: state_number(now.state),
        status: failure.map_or(Status::Ok, |failure| failure.status).code(),
        reserved: 0,
        entries_done: now.entries_done,
        entries_total: now.entries_total,
        bytes_written: now.bytes_written,
        bytes_total: now.bytes_total,
        files_written: now.files_written,
        files_total: now.files_total,
        directories_created: now.directories_created,
        directories_total: now.directories_total,
        bytes_per_second: now.rate,
        written: count(|end| end.written),
        skipped: count(|end| end.skipped),
        failed: count(|end| end.failed),
        removed: count(|end| end.removed),
    }
}

/// A job of this interface never waits for a last word.
const STATES: [JobState; 4] = [
    JobState::Running,
    JobState::Finished,
    JobState::Failed,
    JobState::Cancelled,
];

fn state_number(state: JobState) -> fp_materialize_state_t {
    number_of(&STATES, state)
}

/// The place in the order of the constants; the first for what is not among them.
fn number_of<T: PartialEq + Copy>(order: &[T], wanted: T) -> u32 {
    let place = order.iter().position(|known| *known == wanted);
    u32::try_from(place.unwrap_or(0)).unwrap_or(0)
}
