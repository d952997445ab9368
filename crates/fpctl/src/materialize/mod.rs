//! `fpctl materialize`: copies through the daemon and says how it goes.
//!
//! The copy is a job of the daemon's that ends with this process. The main thread waits for it; a
//! second one waits for Ctrl-C and then cancels it, so that the main thread can tell what was taken
//! away.

mod meter;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fuse_promise_client::{Context, Job, JobEnd, JobStatus, MaterializeOptions};
use fuse_promise_core::words::{ConflictPolicy, EntryOutcome};
use fuse_promise_core::{Failure, Record, Status};

use crate::cli;
use crate::exit::Trouble;
use crate::path::absolute;
use crate::stop::Stop;
use meter::Meter;

pub fn run(context: &Context, arguments: &cli::Materialize) -> Result<(), Trouble> {
    let source = absolute(&arguments.promise_path)?;
    let target = absolute(&arguments.target_dir)?;
    let options = MaterializeOptions {
        policy: policy(arguments),
        sync: arguments.sync,
        detach: arguments.detach,
        confirm: false,
    };
    if arguments.detach {
        let job = context.materialize(&source, &target, options)?;
        let line = Record::default().field("job", job.object_path());
        return Ok(writeln!(io::stdout(), "{line}")?);
    }
    let mut stop = Stop::listen().map_err(|error| Failure::io(format!("signals: {error}")))?;
    let job = context.materialize(&source, &target, options)?;
    let mut meter = Meter::new(arguments.progress);
    let ended = cancelled_by(&mut stop, &job, || {
        job.wait(None, &mut |now| {
            meter.show(now);
            ControlFlow::Continue(())
        })
    });
    let told = job.poll();
    meter.finish(told.as_ref().ok());
    let Some(end) = ended? else {
        return Err(Failure::io("the job did not end").into());
    };
    tell_entries(&job, &end)?;
    conclude(&told?, &end)
}

fn policy(arguments: &cli::Materialize) -> ConflictPolicy {
    let asked = [
        (arguments.overwrite, ConflictPolicy::Overwrite),
        (arguments.rename, ConflictPolicy::Rename),
        (arguments.skip, ConflictPolicy::Skip),
        (arguments.newer, ConflictPolicy::Newer),
    ];
    let asked = asked.into_iter().find(|(given, _)| *given);
    asked.map_or(ConflictPolicy::Fail, |(_, policy)| policy)
}

/// Waits, while Ctrl-C cancels the job.
fn cancelled_by<T>(stop: &mut Stop, job: &Job, wait: impl FnOnce() -> T) -> T {
    let handle = stop.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if stop.wait()
                && let Err(failure) = job.cancel()
            {
                eprintln!("fpctl: the copy cannot be stopped: {failure}");
            }
        });
        let waited = wait();
        handle.close();
        waited
    })
}

/// Names what was not simply copied. Files that were replaced are worth a word only if the copy is
/// not whole.
fn tell_entries(job: &Job, end: &JobEnd) -> Result<(), Failure> {
    let entries = job.result()?;
    let told = entries.len() as u64;
    let replaced = EntryOutcome::Replaced.word();
    for entry in entries {
        let path = Path::new(OsStr::from_bytes(&entry.path)).display();
        if entry.outcome != replaced {
            let why = if entry.message.is_empty() { "" } else { ": " };
            eprintln!("fpctl: {}: {path}{why}{}", entry.outcome, entry.message);
        } else if end.failure.is_some() {
            eprintln!("fpctl: {replaced}, and stays: {path}");
        }
    }
    let untold = (end.skipped + end.failed).saturating_sub(told);
    if untold > 0 {
        eprintln!("fpctl: and {untold} more were skipped or failed");
    }
    Ok(())
}

fn conclude(told: &JobStatus, end: &JobEnd) -> Result<(), Trouble> {
    let stopped = end.failure.as_ref().map(|failure| failure.status) == Some(Status::Cancelled);
    if stopped || end.removed > 0 {
        eprintln!(
            "fpctl: took away {} files and directories that had been copied",
            end.removed
        );
    } else {
        let facts = facts(Record::default(), told);
        let mut output = io::stdout().lock();
        for (key, value) in facts.fields() {
            writeln!(output, "{}", Record::default().bytes(key, value))?;
        }
    }
    Ok(end.outcome()?)
}

/// The nine keys that scripts rely on.
fn facts(record: Record, now: &JobStatus) -> Record {
    record
        .bytes("target_path", &now.target_path)
        .field("entries_done", now.entries_done)
        .field("entries_total", now.entries_total)
        .field("bytes_written", now.bytes_written)
        .field("bytes_total", now.bytes_total)
        .field("files_written", now.files_written)
        .field("files_total", now.files_total)
        .field("directories_created", now.directories_created)
        .field("directories_total", now.directories_total)
}
