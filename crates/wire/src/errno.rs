//! What a failed system call means to the caller of the library.

use fuse_promise_core::{Failure, Status};
use rustix::io::Errno;

use crate::descriptors;

/// The failure for a system call that failed while doing `what` ("open /run/…/lock").
#[must_use]
pub fn failed(what: &str, errno: Errno) -> Failure {
    let status = match errno {
        // Out of descriptors or memory: the same call may work later.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Status::Unavailable,
        Errno::ACCESS | Errno::PERM => Status::Permission,
        Errno::NOENT => Status::NotFound,
        _ => Status::Io,
    };
    let hint = match errno {
        Errno::MFILE => format!(
            "; this process may have {} files open (RLIMIT_NOFILE), raise that or close some",
            descriptors::limit()
        ),
        _ => String::new(),
    };
    Failure::new(status, format!("{what}: {errno}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_unavailable_and_the_rest_keeps_its_kind() {
        for (errno, status) in [
            (Errno::MFILE, Status::Unavailable),
            (Errno::NFILE, Status::Unavailable),
            (Errno::NOMEM, Status::Unavailable),
            (Errno::ACCESS, Status::Permission),
            (Errno::PERM, Status::Permission),
            (Errno::NOENT, Status::NotFound),
            (Errno::NOSPC, Status::Io),
            (Errno::INVAL, Status::Io),
        ] {
            assert_eq!(failed("open /x", errno).status, status, "{errno:?}");
        }
        let message = failed("open /x", Errno::MFILE).message;
        assert!(message.starts_with("open /x: "), "{message}");
        let limit = descriptors::limit().to_string();
        assert!(message.contains(&limit), "{message}");
    }
}
