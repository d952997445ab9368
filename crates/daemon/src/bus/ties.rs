//! Jobs end with whoever began them. Each such job has a task that waits until its caller's
//! connection is gone, and then tells the engine, which knows whether the job was detached
//! meanwhile. On the socket the connection itself ends; on the session bus the caller's unique
//! name loses its owner.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuse_promise_core::ids::JobNumber;
use tokio::sync::oneshot;
use zbus::export::futures_core::Stream;
use zbus::message::Type;
use zbus::names::{BusName, UniqueName};
use zbus::{Connection, MatchRule, MessageStream};

use super::service::Service;

/// The jobs that are tied to a caller. Dropping a sender ends the task of its job.
#[derive(Debug, Default, Clone)]
pub struct Ties(Arc<Mutex<HashMap<JobNumber, oneshot::Sender<()>>>>);

impl Ties {
    fn add(&self, job: JobNumber) -> oneshot::Receiver<()> {
        let (held, released) = oneshot::channel();
        self.lock().insert(job, held);
        released
    }

    /// The job has ended; its caller may come and go.
    pub fn release(&self, job: JobNumber) {
        self.lock().remove(&job);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobNumber, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Stops the job when its caller leaves, who has a unique name on a bus and none on a socket.
    pub async fn tie(
        self: &Arc<Self>,
        job: JobNumber,
        connection: &Connection,
        caller: Option<UniqueName<'static>>,
    ) {
        let ties = self.events.ties();
        let released = ties.add(job);
        let engine = &self.daemon.engine;
        if engine.job(job).is_none_or(|job| job.report.is_some()) {
            // Its end may have been told before the tie was there.
            ties.release(job);
            return;
        }
        let departure = Departure::of(connection, caller).await;
        let service = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = departure.comes() => service.daemon.engine.leave_job(job),
                _ = released => {}
            }
            ties.release(job);
        });
    }
}

/// The end of a caller's connection, watched from its making on.
struct Departure {
    connection: Connection,
    of_name: Option<NameWatch>,
}

struct NameWatch {
    name: UniqueName<'static>,
    owner_changed: MessageStream,
}

impl Departure {
    async fn of(connection: &Connection, caller: Option<UniqueName<'static>>) -> Self {
        let of_name = match caller.filter(|_| connection.is_bus()) {
            Some(name) => watch(connection, &name)
                .await
                .map(|owner_changed| NameWatch {
                    name,
                    owner_changed,
                }),
            None => None,
        };
        Self {
            connection: connection.clone(),
            of_name,
        }
    }

    async fn comes(self) {
        let Some(mut watch) = self.of_name else {
            return self.connection.closed().await;
        };
        // It may have left before it was watched.
        if !has_owner(&self.connection, &watch.name).await {
            return;
        }
        tokio::select! {
            () = first_of(&mut watch.owner_changed) => {}
            () = self.connection.closed() => {}
        }
    }
}

async fn first_of(stream: &mut MessageStream) {
    poll_fn(|task| Pin::new(&mut *stream).poll_next(task)).await;
}

/// A stream whose first message says that the name has no owner any more. A unique name never
/// gets another owner.
async fn watch(connection: &Connection, name: &UniqueName<'static>) -> Option<MessageStream> {
    let bus = "org.freedesktop.DBus";
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(bus)
        .interface(bus)
        .member("NameOwnerChanged")
        .add_arg(name.as_str())
        .build();
    let watched = match rule {
        Ok(rule) => MessageStream::for_match_rule(rule, connection, None).await,
        Err(error) => Err(error),
    };
    watched
        .inspect_err(|error| tracing::warn!(%error, caller = %name, "a caller is not watched"))
        .ok()
}

async fn has_owner(connection: &Connection, name: &UniqueName<'static>) -> bool {
    let bus = zbus::fdo::DBusProxy::new(connection).await;
    let Ok(bus) = bus else { return false };
    // A bus that does not answer has gone, and with it the caller.
    bus.name_has_owner(BusName::Unique(name.clone()))
        .await
        .unwrap_or(false)
}
