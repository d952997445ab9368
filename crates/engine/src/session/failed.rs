//! Reads that come to nothing: the sentence that says why, and the reader who is told.

use fuse_promise_core::failure::Failure;
use fuse_promise_core::status::Status;

use super::Session;
use super::in_flight::{Waiter, Want};
use super::lifecycle::Ending;
use super::outcome::Refusal;

impl Waiter {
    /// Notes the failure and answers the reader with it.
    pub(crate) fn fail(self, want: &Want, failure: &Failure) {
        let Self { reply, promise, .. } = self;
        promise.note_failure(want.row, want.offset, want.length, failure);
        reply.error(failure.status);
    }
}

impl Session {
    /// A read could not be placed.
    pub(super) fn refusal(&self, refusal: Refusal) -> Failure {
        let number = self.number.0;
        match refusal {
            Refusal::Ended => self.gone(),
            Refusal::QueueFull => Failure::unavailable(format!(
                "{} reads wait for provider {number} already, which is the limit",
                fuse_promise_core::limits::QUEUED_READS_MAX
            )),
        }
    }

    /// It has ended before the read came.
    pub(crate) fn gone(&self) -> Failure {
        Failure::provider_gone(format!("provider {} is gone", self.number.0))
    }

    /// It has ended while the read waited.
    pub(super) fn ended(&self, ending: &Ending) -> Failure {
        let number = self.number.0;
        Failure::provider_gone(match ending {
            Ending::ChannelClosed => {
                format!("provider {number} closed its channel before it answered")
            }
            Ending::ProcessEnded => {
                format!("the process of provider {number} ended before it answered")
            }
            Ending::Faulty(reason) => {
                format!("the session of provider {number} was closed: it {reason}")
            }
            Ending::Unregistered => format!("provider {number} unregistered before it answered"),
            Ending::Stopping => "the daemon was stopped before an answer came".into(),
        })
    }

    /// The deadline has passed.
    pub(crate) fn too_slow(&self) -> Failure {
        Failure::timeout(format!(
            "provider {} did not answer a read in time",
            self.number.0
        ))
    }

    /// The provider answered with a status instead of bytes.
    pub(crate) fn refused(&self, status: Status) -> Failure {
        let (number, text) = (self.number.0, status.text());
        Failure::new(
            status,
            format!("provider {number} refused the read: {text}"),
        )
    }
}

/// The content is shorter than was declared, and the reader can be given no short answer.
pub(crate) fn early_end() -> Failure {
    Failure::io("the provider's content ends before the declared size")
}
