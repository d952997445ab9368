//! The control plane: everything about providers and promises that is not a read goes through
//! here, as D-Bus methods, properties and signals. Nothing is decided here; each call is read,
//! checked for its form and its sender, and handed to the engine.
//!
//! There are two ways in. The session bus shows the whole tree: Manager at the root, an object
//! for each provider, promise and job below it. A peer that connects to the socket sees Manager,
//! the providers of its own process and the jobs it began. `dbus/*.xml` is the contract.

mod arguments;
mod caller;
mod calls;
mod error;
mod events;
mod handshake;
mod inspect;
mod job;
mod listener;
mod listing;
mod manager;
mod name;
mod objects;
mod promise;
mod provider;
mod queue;
mod router;
mod service;
#[cfg(test)]
mod tests;
mod ties;
mod transport;

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use zbus::Connection;
use zbus::connection::Builder;

pub use events::{EventReceiver, EventSender, event_channel};
use listener::Handshakes;
use service::{Service, Stage};

use crate::daemon::Daemon;

/// How long the end waits for calls that have begun. Each is answered at once; what takes time is
/// a peer that does not read its answer.
const ANSWERING: Duration = Duration::from_secs(1);

/// The socket as one that tasks can wait on. Must be called inside a tokio runtime.
///
/// # Errors
/// `Unavailable` if it cannot be waited on.
pub fn awaitable(listener: UnixListener) -> Result<tokio::net::UnixListener> {
    let unusable = |error| Failure::unavailable(format!("the socket cannot be waited on: {error}"));
    listener.set_nonblocking(true).map_err(unusable)?;
    tokio::net::UnixListener::from_std(listener).map_err(unusable)
}

/// The daemon's presence on the bus and on its socket. All of it lives in tasks of the tokio
/// runtime it was made in.
pub struct Bus {
    service: Arc<Service>,
}

impl Bus {
    /// Begins to work off the engine's events. Must be called inside a tokio runtime.
    pub fn new(daemon: Arc<Daemon>, events: EventReceiver) -> Self {
        let engine = Arc::clone(&daemon.engine);
        let service = Arc::new(Service::new(daemon, events.events()));
        let ending = Arc::clone(&service);
        tokio::spawn(async move {
            tokio::select! {
                () = events.pass_on(engine) => {}
                () = ending.reaches(Stage::Closing) => {}
            }
        });
        Self { service }
    }

    /// Lets peers in by the socket from now on.
    pub fn serve_socket(&self, listener: tokio::net::UnixListener) {
        let service = Arc::clone(&self.service);
        tokio::spawn(listener::listen(listener, service, Handshakes::default()));
    }

    /// Shows the tree on the session bus and takes the name there; whoever waits for the name then
    /// finds everything. `None` if there is no session bus.
    ///
    /// # Errors
    /// `AlreadyExists` if another process has the name, `Unavailable` if the bus does not give it.
    pub async fn own_name(&self) -> Result<Option<Connection>> {
        name::own(&self.service, Builder::session()).await
    }

    /// Ends it all: calls that wait are answered with `Unavailable`, new ones are refused, and
    /// then the connections close.
    pub async fn stop(&self) {
        self.service.advance(Stage::Refusing);
        if tokio::time::timeout(ANSWERING, self.service.all_answered())
            .await
            .is_err()
        {
            tracing::warn!("a call was not answered before the bus connections closed");
        }
        self.service.advance(Stage::Closing);
    }
}
