//! The socket: sessions without a bus, private runtime directories and tests come in here.
//!
//! A peer passes two doors. The kernel says which user connected, and another user's connection is
//! closed before anything is read from it. Then it has a few seconds for the D-Bus handshake, and
//! only so many may be at that door at a time; others wait in the socket's own queue.

use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::Result;
use fuse_promise_core::limits::HANDSHAKES_MAX;
use fuse_promise_wire::descriptors::{Newcomer, check_room};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zbus::Guid;
use zbus::connection::Builder;

use super::caller::{Caller, Peer};
use super::events::Scope;
use super::handshake::welcome;
use super::objects::Objects;
use super::service::{Service, Stage};
use super::transport::Transport;

/// What an unfinished handshake may cost.
#[derive(Debug, Clone, Copy)]
pub struct Handshakes {
    pub deadline: Duration,
    pub at_once: usize,
}

impl Default for Handshakes {
    /// A handshake is four short lines each way. Five seconds are for a machine that is swapping.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            at_once: HANDSHAKES_MAX,
        }
    }
}

/// How long to wait when there is no descriptor for the next connection. It stays in the queue.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Lets peers in until the service refuses new calls.
pub async fn listen(listener: UnixListener, service: Arc<Service>, limits: Handshakes) {
    let door = Arc::new(Semaphore::new(limits.at_once));
    let guid = Guid::generate();
    loop {
        let place = Arc::clone(&door).acquire_owned();
        let arrived = async {
            let place = place.await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            arrived = arrived => arrived,
            () = service.reaches(Stage::Refusing) => return,
        };
        let Ok(place) = place else {
            return;
        };
        match accepted {
            Ok((stream, _)) => {
                let arrival = Arrival {
                    stream: Arc::new(stream),
                    guid: guid.clone(),
                    place,
                };
                arrival.admit(&service, limits.deadline);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken from the socket");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

/// A connection before its handshake.
struct Arrival {
    stream: Arc<UnixStream>,
    guid: Guid<'static>,
    place: OwnedSemaphorePermit,
}

impl Arrival {
    fn admit(self, service: &Arc<Service>, deadline: Duration) {
        match self.peer() {
            Ok(peer) => {
                tokio::spawn(self.serve(Arc::clone(service), peer, deadline));
            }
            Err(failure) => tracing::warn!(%failure, "a connection to the socket was closed"),
        }
    }

    /// Who has connected, unless nobody can be let in. Those of our own user are told why, by the
    /// handshake's word for a refusal.
    fn peer(&self) -> Result<Peer> {
        let peer = Peer::of(&self.stream)?;
        check_room(Newcomer::Connection, &*self.stream).inspect_err(|full| {
            let line = format!("ERROR {}\r\n", full.message);
            // A peer that has left need not know.
            let _ = self.stream.try_write(line.as_bytes());
        })?;
        Ok(peer)
    }

    async fn serve(self, service: Arc<Service>, peer: Peer, deadline: Duration) {
        let pid = peer.pid;
        let handshake = welcome(&self.stream, peer.uid, &self.guid);
        let welcomed = tokio::time::timeout(deadline, handshake).await;
        drop(self.place);
        let takes_descriptors = match welcomed {
            Ok(Ok(takes_descriptors)) => takes_descriptors,
            Ok(Err(error)) => {
                return tracing::debug!(pid, %error, "a connection to the socket was closed");
            }
            Err(_) => {
                return tracing::info!(
                    pid,
                    "a connection to the socket was closed: no handshake within {deadline:?}"
                );
            }
        };
        let transport = Transport {
            stream: self.stream,
            takes_descriptors,
        };
        let builder = Builder::authenticated_socket(transport, self.guid).p2p();
        let (caller, scope) = (Caller::Peer(peer), Scope::Process(pid));
        match Objects::connect(service, caller, scope, builder).await {
            Ok(objects) => objects.serve().await,
            Err(error) => tracing::warn!(pid, %error, "a connection to the socket failed"),
        }
    }
}
