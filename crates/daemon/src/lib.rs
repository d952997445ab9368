//! fuse-promised, the daemon of a user session: it owns the mount, the socket and the bus name,
//! and joins them to the engine, which knows what is promised and by whom.
//!
//! [`lifecycle`] is the place to begin: the start, in order, and the end. [`fuse`] passes the
//! kernel's requests to the engine, [`bus`] those of clients.
#![deny(unsafe_code)]

pub mod activation;
pub mod bus;
pub mod control_socket;
pub mod daemon;
pub mod descriptor;
pub mod fuse;
pub mod lifecycle;
pub mod logging;
pub mod mount;
pub mod notify;
pub mod options;
#[cfg(test)]
mod private_directory;
pub mod process;
