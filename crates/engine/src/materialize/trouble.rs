//! Which failures end a job, and which only their own entry.

use fuse_promise_core::failure::Failure;
use fuse_promise_core::status::Status;

/// What a failure means for the job.
pub(super) enum Trouble {
    /// This entry fails, the others go on.
    Entry(Failure),
    /// No other entry could succeed either, or nobody wants them to.
    Job(Failure),
}

pub(super) type Tried = std::result::Result<(), Trouble>;

/// A full disk, a broken one or a shortage of descriptors fails everything that follows; a name that is
/// taken or a directory that may not be written fails what belongs there.
pub(super) fn of_target(failure: Failure) -> Trouble {
    match failure.status {
        Status::Io | Status::Unavailable => Trouble::Job(failure),
        _ => Trouble::Entry(failure),
    }
}

pub(super) fn of_provider(status: Status) -> Trouble {
    let failure = Failure::new(status, format!("the provider's answer: {}", status.text()));
    match status {
        Status::ProviderGone | Status::Timeout | Status::Unavailable => Trouble::Job(failure),
        _ => Trouble::Entry(failure),
    }
}
