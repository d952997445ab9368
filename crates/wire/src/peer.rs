//! Who is at the other end of a Unix socket.
//!
//! The kernel notes it when the connection is made, and no peer can change it. The same user is
//! the trust boundary, so both the daemon and its clients look before they say anything.

use std::os::fd::AsFd;

use fuse_promise_core::{Failure, Result};

use crate::errno::failed;
use crate::mapping::peer_credentials;

/// The peer's credentials at the time it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// 0 if the process lives in a PID namespace that ours cannot see.
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

pub fn peer(socket: impl AsFd) -> Result<Peer> {
    let credentials =
        peer_credentials(socket).map_err(|errno| failed("credentials of the peer", errno))?;
    Ok(Peer {
        pid: credentials.pid.unsigned_abs(),
        uid: credentials.uid,
        gid: credentials.gid,
    })
}

/// The peer, if it runs as our own user; `Permission` if not.
pub fn check_same_uid(socket: impl AsFd) -> Result<Peer> {
    same_uid(peer(socket)?, rustix::process::geteuid().as_raw())
}

fn same_uid(peer: Peer, user: u32) -> Result<Peer> {
    if peer.uid != user {
        return Err(Failure::permission(format!(
            "the process at the other end runs as uid {}, not as uid {user}",
            peer.uid
        )));
    }
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuse_promise_core::Status;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_our_own_pair_is_ourselves() {
        let (here, _there) = UnixStream::pair().expect("a socket pair");
        let peer = check_same_uid(&here).expect("our own user");
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    }

    #[test]
    fn another_user_is_refused() {
        let peer = Peer {
            pid: 4,
            uid: 1001,
            gid: 1000,
        };
        assert_eq!(same_uid(peer, 1001), Ok(peer));
        let refused = same_uid(peer, 1000).unwrap_err();
        assert_eq!(refused.status, Status::Permission);
        assert!(refused.message.contains("uid 1001"));
    }

    #[test]
    fn what_is_no_socket_has_no_peer() {
        let null = std::fs::File::open("/dev/null").expect("always there");
        assert!(peer(&null).is_err());
    }
}
