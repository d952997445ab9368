//! Waiting for a descriptor, for so long and no longer.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Whether there is something to read, or an end to be seen, within `patience`. A signal handler of
/// the program that runs meanwhile starts the time anew.
pub(crate) fn readable_within(fd: impl AsFd, patience: Duration) -> Result<bool, Errno> {
    // A time that cannot be said is longer than anybody waits.
    let patience = Timespec::try_from(patience).ok();
    loop {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], patience.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the other end has been closed or shut down.
pub(crate) fn is_hung_up(fd: impl AsFd) -> bool {
    let now = Timespec::default();
    // Hang-ups are told whether they are asked for or not.
    let mut watched = [PollFd::new(&fd, PollFlags::empty())];
    poll(&mut watched, Some(&now)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn data_and_ends_are_told_apart_from_silence() {
        let family = AddressFamily::UNIX;
        let flags = SocketFlags::CLOEXEC;
        let (here, there) = socketpair(family, SocketType::SEQPACKET, flags, None).unwrap();
        let soon = Duration::from_millis(10);
        assert_eq!(readable_within(&here, soon), Ok(false));
        assert!(!is_hung_up(&here));
        rustix::io::write(&there, b"x").unwrap();
        assert_eq!(readable_within(&here, soon), Ok(true));
        assert!(!is_hung_up(&here));
        drop(there);
        assert!(is_hung_up(&here));
    }
}
