//! Connecting to a Unix socket without ever blocking the thread.
//!
//! A listener whose queue is full, because its process is stopped, lets a blocking connect wait
//! for ever. A non-blocking one is turned away at once, and asks again until the caller's deadline.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::bus_address::BusAddress;
use crate::fork::Listed;

/// Short beside a deadline of seconds, long beside the time a listener needs to accept.
const PAUSE: Duration = Duration::from_millis(20);

/// A connected stream, and before it its entry, so that dropping the whole takes the entry away
/// first. The connection that is made of it must keep that order. zbus closes the stream itself
/// when its handshake fails or is given up; the entry is late by that moment then.
pub(crate) struct Connected {
    pub(crate) listed: Listed,
    pub(crate) stream: UnixStream,
}

/// Connects, however long the listener's queue stays full; fails when nobody listens.
pub(crate) async fn connect_to(address: &BusAddress) -> Result<Connected, Errno> {
    let name = match address {
        BusAddress::Path(path) => SocketAddrUnix::new(path)?,
        BusAddress::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let listed = Listed::descriptor(&socket);
    loop {
        match connect(&socket, &name) {
            Ok(()) => {
                let stream = UnixStream::from(socket);
                return Ok(Connected { listed, stream });
            }
            Err(Errno::AGAIN) => tokio::time::sleep(PAUSE).await,
            Err(Errno::INTR) => {}
            Err(errno) => {
                drop(listed);
                return Err(errno);
            }
        }
    }
}

/// As `connect_to`, for a socket file.
pub(crate) async fn connect_to_path(path: &Path) -> Result<Connected, Errno> {
    connect_to(&BusAddress::Path(path.to_owned())).await
}
