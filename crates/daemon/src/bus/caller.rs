//! Who is calling. The user is what counts: everybody else is refused. The process is needed once,
//! at registration, because a provider's session ends with it.
//!
//! On the socket the kernel says who connected (SO_PEERCRED, and SO_PEERPIDFD where it has that).
//! On the session bus the bus is asked. A process that is known by its number alone is opened by
//! number, and then had to be running before its number was told to us: a number that was reused
//! in between belongs to a younger process.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::limits::{NEWS_FOR_PEER_MAX, NEWS_FOR_SESSION_MAX};
use fuse_promise_engine::Client;
use fuse_promise_wire::peer::check_same_uid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Pid, PidfdFlags, getuid, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixStream;
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

use crate::descriptor::peer_process;

/// How the caller of a connection's methods is known.
#[derive(Debug, Clone)]
pub enum Caller {
    /// One peer at the other end of a socket; its user was checked before it was let in.
    Peer(Peer),
    /// Whoever the session bus says has sent the message.
    Bus,
}

/// The process that connected to the socket.
#[derive(Debug, Clone)]
pub struct Peer {
    pub pid: u32,
    pub uid: u32,
    /// Since when it is known, as time since boot.
    pub known: Duration,
    pub socket: Arc<UnixStream>,
}

impl Peer {
    /// The peer of a socket that was just accepted.
    ///
    /// # Errors
    /// `Permission` if it is another user's.
    pub fn of(socket: &Arc<UnixStream>) -> Result<Self> {
        let told = check_same_uid(socket)?;
        Ok(Self {
            pid: told.pid,
            uid: told.uid,
            known: since_boot(),
            socket: Arc::clone(socket),
        })
    }

    fn client(&self) -> Result<Client> {
        let process = peer_process(self.socket.as_fd());
        let process = process.map_err(|error| unwatched(self.pid, &error))?;
        client(self.pid, self.uid, process, self.known)
    }
}

/// Refuses every user but our own.
fn check_user(uid: u32) -> Result<()> {
    let own = getuid().as_raw();
    if uid == own {
        return Ok(());
    }
    Err(Failure::permission(format!(
        "this daemon serves user {own} only, the caller is user {uid}"
    )))
}

impl Caller {
    /// Ends the connection of a caller that reads nothing. Answers that wait to be written would
    /// keep it from being closed in order.
    pub fn cut(&self) {
        match self {
            Self::Peer(peer) => {
                let pid = peer.pid;
                tracing::warn!(
                    pid,
                    "a connection to the socket was closed: its peer reads nothing, and \
                     {NEWS_FOR_PEER_MAX} notices wait for it"
                );
                // Fails if the peer was first.
                let _ = shutdown(&peer.socket, Shutdown::Both);
            }
            Self::Bus => tracing::warn!(
                "the session bus reads nothing, and {NEWS_FOR_SESSION_MAX} notices wait for it; \
                 its connection is closed"
            ),
        }
    }

    /// Refuses a caller of another user.
    pub async fn check(&self, connection: &Connection, call: &Header<'_>) -> Result<()> {
        match self {
            Self::Peer(_) => Ok(()),
            Self::Bus => credentials(connection, call).await.map(|_| ()),
        }
    }

    /// The calling process, for a session that shall end with it.
    pub async fn client(&self, connection: &Connection, call: &Header<'_>) -> Result<Client> {
        match self {
            Self::Peer(peer) => peer.client(),
            Self::Bus => {
                let asked = since_boot();
                let (uid, told) = credentials(connection, call).await?;
                let pid = told.process_id().unwrap_or(0);
                client(pid, uid, told.into_process_fd().map(Into::into), asked)
            }
        }
    }
}

/// The sender's user and what else the bus knows of it; another user is refused.
async fn credentials(
    connection: &Connection,
    call: &Header<'_>,
) -> Result<(u32, ConnectionCredentials)> {
    let sender = call.sender();
    let sender = sender.ok_or_else(|| Failure::permission("the message names no sender"))?;
    let unknown = |error: zbus::Error| {
        Failure::unavailable(format!("the bus does not say who {sender} is: {error}"))
    };
    let reply = connection
        .call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "GetConnectionCredentials",
            &sender,
        )
        .await
        .map_err(unknown)?;
    let told: ConnectionCredentials = reply.body().deserialize().map_err(unknown)?;
    match told.unix_user_id() {
        Some(uid) => check_user(uid).map(|()| (uid, told)),
        None => Err(Failure::permission(format!(
            "the bus does not say which user {sender} is"
        ))),
    }
}

fn client(pid: u32, uid: u32, process: Option<OwnedFd>, known_since: Duration) -> Result<Client> {
    // A peer outside our PID namespace has number 0; its channel alone tells its end.
    let process = match process {
        None if pid != 0 => Some(open_process(pid, known_since)?),
        known => known,
    };
    Ok(Client {
        pid,
        uid,
        program: program(pid),
        process,
    })
}

/// A pidfd of the process that had this number at `known_since`.
fn open_process(pid: u32, known_since: Duration) -> Result<OwnedFd> {
    let ended = || Failure::unavailable(format!("the calling process {pid} has ended"));
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = match pidfd_open(number.ok_or_else(ended)?, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Err(ended()),
        Err(error) => return Err(unwatched(pid, &error.into())),
    };
    let started = started(pid).ok_or_else(ended)?;
    // What /proc said is about our process only if that is still there afterwards.
    if started > known_since || has_ended(&process) {
        return Err(ended());
    }
    Ok(process)
}

fn unwatched(pid: u32, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("cannot watch the calling process {pid}: {error}"))
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// When the process was started, as time since boot, to the clock tick below.
fn started(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may hold anything, parentheses too; the start time is the
    // 22nd field, the 20th after the name.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// What people know the process by: the file it runs, or its name if that is not to be seen.
fn program(pid: u32) -> String {
    let file = std::fs::read_link(format!("/proc/{pid}/exe"));
    let file = file.map(|file| file.to_string_lossy().into_owned());
    let name = || std::fs::read_to_string(format!("/proc/{pid}/comm"));
    let shown = file.or_else(|_| name()).unwrap_or_default();
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use fuse_promise_core::status::Status;

    use super::*;

    #[test]
    fn only_our_own_user_passes() {
        let own = getuid().as_raw();
        assert_eq!(check_user(own), Ok(()));
        for other in [own + 1, 65534] {
            let failure = check_user(other).unwrap_err();
            assert_eq!(failure.status, Status::Permission);
            assert!(failure.message.contains(&other.to_string()), "{failure}");
        }
    }

    #[test]
    fn a_process_is_opened_by_number_and_described() {
        let pid = std::process::id();
        let client = client(pid, 7, None, since_boot()).unwrap();
        assert_eq!((client.pid, client.uid), (pid, 7));
        assert!(client.process.is_some_and(|process| !has_ended(&process)));
        let own = std::env::current_exe().unwrap();
        assert_eq!(client.program, own.to_string_lossy());
    }

    #[test]
    fn a_number_that_was_told_before_its_process_began_is_refused() {
        let told = since_boot() - Duration::from_secs(1);
        let mut younger = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let failure = open_process(younger.id(), told).unwrap_err();
        assert_eq!(failure.status, Status::Unavailable);
        assert!(open_process(younger.id(), since_boot()).is_ok());
        drop(younger.stdin.take());
        younger.wait().unwrap();
    }

    #[test]
    fn an_ended_process_is_refused() {
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let failure = open_process(ended.id(), since_boot()).unwrap_err();
        assert!(failure.message.contains("has ended"), "{failure}");
    }

    #[test]
    fn a_peer_of_another_pid_namespace_is_known_by_its_channel_alone() {
        let client = client(0, 7, None, since_boot()).unwrap();
        assert!(client.process.is_none());
        assert_eq!(client.program, "");
    }
}
