//! Waiting for a descriptor, for so long and no longer.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

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

/// Waits until a packet, or the end, can be received from a socket, and leaves it there. Of the
/// threads that wait here each packet wakes one: the kernel's queue of those who wait in recv is an
/// exclusive one, unlike that of poll.
pub(crate) fn await_packet(socket: impl AsFd) {
    loop {
        match recv(&socket, &mut [0; 1], RecvFlags::PEEK) {
            Err(Errno::INTR) => {}
            // The other side may have made the socket non-blocking for both.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&socket, PollFlags::IN)], None);
                return;
            }
            // What else is wrong is told again to whoever receives.
            _ => return,
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

    #[test]
    fn a_packet_that_was_waited_for_is_still_there() {
        for flags in [SocketFlags::CLOEXEC, SocketFlags::NONBLOCK] {
            let family = AddressFamily::UNIX;
            let (here, there) = socketpair(family, SocketType::SEQPACKET, flags, None).unwrap();
            let waiting = std::thread::spawn({
                let here = here.try_clone().unwrap();
                move || {
                    await_packet(&here);
                    await_packet(&here);
                    here
                }
            });
            rustix::io::write(&there, b"xyz").unwrap();
            let same = waiting.join().unwrap();
            let mut packet = [0; 4];
            assert_eq!(rustix::io::read(&same, &mut packet), Ok(3));
            drop(there);
            await_packet(&same);
            assert_eq!(rustix::io::read(&same, &mut packet), Ok(0));
        }
    }
}
