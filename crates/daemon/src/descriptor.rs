//! What the kernel tells about a descriptor that no safe wrapper asks for yet. The only unsafe code
//! of the daemon.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A pidfd of the process that connected the socket. `None` on kernels before 6.5, which cannot
/// tell.
///
/// # Errors
/// The process has ended, or there is no room for another descriptor.
pub fn peer_process(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut pidfd: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers are to live values of the type and length that SO_PEERPIDFD writes,
    // and the socket is borrowed for the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut pidfd).cast(),
            &raw mut length,
        )
    };
    if outcome == 0 {
        // SAFETY: the kernel made this descriptor for us in the call above; nobody else owns it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(pidfd) }));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT) => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_peer_of_a_pair_is_this_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let process = peer_process(ours.as_fd()).unwrap();
        let Some(process) = process else {
            // This kernel cannot tell, which the caller is prepared for.
            return;
        };
        let info = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
        let info = std::fs::read_to_string(info).unwrap();
        let own = format!("Pid:\t{}", std::process::id());
        assert!(info.lines().any(|line| line == own), "{info}");
    }

    #[test]
    fn what_is_no_socket_has_no_peer() {
        let file = std::fs::File::open("/dev/null").unwrap();
        peer_process(file.as_fd()).unwrap_err();
    }
}
