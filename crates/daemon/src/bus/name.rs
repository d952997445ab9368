//! The session bus: connecting to it, showing the whole tree there, and only then owning the name
//! by which clients find us.
//!
//! The name is taken without leave to replace us, so the bus takes it away only with the
//! connection. Losing that ends no session and no promise; the socket goes on.

use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_wire::bus::BUS_NAME;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, RequestNameFlags};

use super::caller::Caller;
use super::events::Scope;
use super::objects::Objects;
use super::service::{Service, Stage};

/// For connecting to the bus and for each call to it: a bus that takes longer hangs.
const BUS_DEADLINE: Duration = Duration::from_secs(10);

/// Connects to the session bus and takes the name. `None` if there is no session bus.
///
/// # Errors
/// `AlreadyExists` if another process has the name, `Unavailable` if the bus does not give it.
pub async fn own(service: &Arc<Service>, session_bus: Builder<'_>) -> Result<Option<Connection>> {
    let builder = session_bus.method_timeout(BUS_DEADLINE);
    let (caller, scope) = (Caller::Bus, Scope::Session);
    let connecting = Objects::connect(Arc::clone(service), caller, scope, builder);
    let objects = match tokio::time::timeout(BUS_DEADLINE, connecting).await {
        Ok(Ok(objects)) => objects,
        Ok(Err(error)) => {
            tracing::info!(%error, "there is no session bus, clients come by the socket alone");
            return Ok(None);
        }
        Err(_) => {
            tracing::warn!("the session bus does not answer, clients come by the socket alone");
            return Ok(None);
        }
    };
    let connection = objects.connection().clone();
    tokio::spawn(objects.serve());
    if let Err(failure) = request(&connection).await {
        // Fails if the bus has closed it already.
        let _ = connection.close().await;
        return Err(failure);
    }
    tokio::spawn(tell_of_loss(Arc::clone(service), connection.clone()));
    Ok(Some(connection))
}

async fn request(connection: &Connection) -> Result<()> {
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    match connection.request_name_with_flags(BUS_NAME, flags).await {
        Ok(_) => Ok(()),
        Err(zbus::Error::NameTaken) => {
            let holder = holder(connection).await;
            Err(Failure::already_exists(format!(
                "{holder} has the bus name {BUS_NAME} already"
            )))
        }
        Err(error) => Err(Failure::unavailable(format!(
            "the session bus does not give us the name {BUS_NAME}: {error}"
        ))),
    }
}

/// Who has the name, for people.
async fn holder(connection: &Connection) -> String {
    let asked = async {
        let bus = DBusProxy::new(connection).await.ok()?;
        let name = BUS_NAME.try_into().ok()?;
        bus.get_connection_unix_process_id(name).await.ok()
    };
    match asked.await {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

async fn tell_of_loss(service: Arc<Service>, connection: Connection) {
    tokio::select! {
        () = connection.closed() => {
            tracing::warn!("the session bus is gone, clients come by the socket alone");
        }
        () = service.reaches(Stage::Closing) => {}
    }
}
