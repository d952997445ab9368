//! How many files this process may have open, and who is turned away when there are hardly any
//! left.
//!
//! The kernel gives each new descriptor the lowest number that is free. So a number close to the
//! limit shows, without any counting, that nearly all are in use. Whoever brought it is refused
//! while those who are there already still have some for what they do. A connection may go further
//! than what comes through it, so that the refusal is an answer to a call and says why.

use std::os::fd::{AsFd, AsRawFd};

use fuse_promise_core::limits::DESCRIPTORS_KEPT;
use fuse_promise_core::{Failure, Result};
use rustix::process::{Resource, getrlimit};

/// A process that may have very few files open keeps fewer of them: one in so many.
const KEPT_OF_FEW: u64 = 4;

/// What a newcomer wants to stay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomer {
    /// A provider, an image, a job.
    Guest,
    /// The connection through which others come.
    Connection,
}

/// Refuses a newcomer whose descriptor is one of the last; `Unavailable`.
pub fn check_room(newcomer: Newcomer, descriptor: &impl AsFd) -> Result<()> {
    let limit = limit();
    let number = u64::try_from(descriptor.as_fd().as_raw_fd()).unwrap_or_default();
    if number < first_kept(newcomer, limit) {
        return Ok(());
    }
    Err(Failure::unavailable(format!(
        "nearly all of the {limit} files that the daemon may have open are in use \
         (RLIMIT_NOFILE); raise the limit, such as LimitNOFILE= of its unit, or end some providers"
    )))
}

/// How many files this process may have open now.
#[must_use]
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The first number that a newcomer must not have.
fn first_kept(newcomer: Newcomer, limit: u64) -> u64 {
    let kept = DESCRIPTORS_KEPT.min(limit / KEPT_OF_FEW);
    limit
        - match newcomer {
            Newcomer::Guest => kept,
            Newcomer::Connection => kept / 2,
        }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::Status;
    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    #[test]
    fn the_last_descriptors_are_kept() {
        for (limit, guest, connection) in [
            (u64::MAX, u64::MAX - 64, u64::MAX - 32),
            (1024, 960, 992),
            (256, 192, 224),
            (64, 48, 56),
            (4, 3, 4),
            (0, 0, 0),
        ] {
            let of = |newcomer| first_kept(newcomer, limit);
            assert_eq!(of(Newcomer::Guest), guest, "{limit}");
            assert_eq!(of(Newcomer::Connection), connection, "{limit}");
        }
    }

    #[test]
    fn a_newcomer_with_one_of_the_last_is_told_the_limit() {
        let file = std::fs::File::open("/dev/null").unwrap();
        check_room(Newcomer::Guest, &file).unwrap();
        let limit = limit();
        let numbers = [Newcomer::Guest, Newcomer::Connection].map(|who| first_kept(who, limit));
        let [guest, connection] = numbers.map(|number| i32::try_from(number).unwrap());
        let late = fcntl_dupfd_cloexec(&file, guest).unwrap();
        check_room(Newcomer::Connection, &late).unwrap();
        let refused = check_room(Newcomer::Guest, &late).unwrap_err();
        assert_eq!(refused.status, Status::Unavailable);
        assert!(refused.message.contains(&limit.to_string()), "{refused}");
        let last = fcntl_dupfd_cloexec(&file, connection).unwrap();
        check_room(Newcomer::Connection, &last).unwrap_err();
    }
}
