//! A failure that a caller can act on: a status, and a sentence for the person behind it.
//!
//! The sentence says what was wrong, with which path or id, and what to do where that is known.
//! It travels unchanged from where it was found out to `fp_last_error`, a D-Bus error or fpctl.

use crate::status::Status;

pub type Result<T, E = Failure> = core::result::Result<T, E>;

/// Shown as its message alone; the status is for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Status::Unavailable, message)
    }

    #[must_use]
    pub fn permission(message: impl Into<String>) -> Self {
        Self::new(Status::Permission, message)
    }

    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Status::NotFound, message)
    }

    #[must_use]
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(Status::AlreadyExists, message)
    }

    #[must_use]
    pub fn provider_gone(message: impl Into<String>) -> Self {
        Self::new(Status::ProviderGone, message)
    }

    #[must_use]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(Status::Io, message)
    }

    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Status::Timeout, message)
    }

    #[must_use]
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Status::Cancelled, message)
    }

    #[must_use]
    pub fn version_mismatch(message: impl Into<String>) -> Self {
        Self::new(Status::VersionMismatch, message)
    }

    /// The same failure, told as part of what was being done: `context: message`.
    #[must_use]
    pub fn context(self, context: &str) -> Self {
        Self {
            status: self.status,
            message: format!("{context}: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constructor_gives_its_own_status() {
        let made = [
            Failure::invalid("m"),
            Failure::unavailable("m"),
            Failure::permission("m"),
            Failure::not_found("m"),
            Failure::already_exists("m"),
            Failure::provider_gone("m"),
            Failure::io("m"),
            Failure::timeout("m"),
            Failure::cancelled("m"),
            Failure::version_mismatch("m"),
        ];
        let statuses: Vec<Status> = made.iter().map(|failure| failure.status).collect();
        assert_eq!(statuses, Status::ALL[1..]);
    }

    #[test]
    fn a_failure_is_shown_as_its_message_behind_its_context() {
        let failure = Failure::not_found("no promise promise-7").context("destroy");
        assert_eq!(failure.to_string(), "destroy: no promise promise-7");
        assert_eq!(failure.status, Status::NotFound);
    }
}
