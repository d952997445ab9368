//! A connection to the daemon of our runtime directory, over either transport.
//!
//! On the session bus every call goes to the daemon's unique name: it cannot reach another daemon
//! and cannot start one. What is at the other end was checked when the connection was made.

use std::path::{Path, PathBuf};

use fuse_promise_core::{Failure, Status};
use fuse_promise_wire::PROTOCOL_VERSION;
use fuse_promise_wire::bus::{IFACE_MANAGER, ROOT_PATH};
use serde::Serialize;
use zbus::message::Type;
use zbus::names::UniqueName;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, MatchRule, MessageStream, ObjectPath, OwnedVariant};

use crate::fault::Fault;
use crate::fork::Listed;
use crate::socket::Connected;

const IFACE_PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Who is called, and where.
pub(crate) struct Daemon {
    // Before the connection, which closes the descriptor it lists.
    _listed: Listed,
    connection: Connection,
    /// `None` peer to peer.
    name: Option<UniqueName<'static>>,
}

impl Daemon {
    /// Over a bus connection, to one owner of the name.
    pub(crate) fn on_bus(
        listed: Listed,
        connection: Connection,
        name: UniqueName<'static>,
    ) -> Self {
        Self {
            _listed: listed,
            connection,
            name: Some(name),
        }
    }

    /// Over the daemon's own socket. The other end must run as our user.
    pub(crate) async fn peer_to_peer(connected: Connected) -> Result<Self, Fault> {
        // Asked of the whole, of which the entry goes first when the answer is no.
        fuse_promise_wire::peer::check_same_uid(&connected.stream)?;
        let Connected { listed, stream } = connected;
        let builder = zbus::connection::Builder::unix_stream(stream).p2p();
        let connection = builder.build().await?;
        Ok(Self {
            _listed: listed,
            connection,
            name: None,
        })
    }

    #[cfg(test)]
    pub(crate) fn is_on_bus(&self) -> bool {
        self.name.is_some()
    }

    /// Whether the connection has ended. A daemon that died on the bus is found out by a call.
    pub(crate) fn is_lost(&self) -> bool {
        self.connection.is_closed()
    }

    /// The runtime directory the daemon serves. Versions are compared before anything is asked.
    pub(crate) async fn identify(&self) -> Result<PathBuf, Fault> {
        let spoken: u32 = self.manager_property("ProtocolVersion").await?;
        if spoken != PROTOCOL_VERSION {
            return Err(Failure::version_mismatch(format!(
                "the library speaks protocol version {PROTOCOL_VERSION}, fuse-promised speaks \
                 version {spoken}; install the same release of both"
            ))
            .into());
        }
        let directory: String = self.manager_property("RuntimeDirectory").await?;
        Ok(PathBuf::from(directory))
    }

    /// Calls a method of the root object's Manager interface.
    pub(crate) async fn manager<B, R>(&self, method: &str, arguments: &B) -> Result<R, Fault>
    where
        B: Serialize + DynamicType,
        R: for<'message> DynamicDeserialize<'message>,
    {
        let root = ObjectPath::from_static_str_unchecked(ROOT_PATH);
        self.call(&root, IFACE_MANAGER, method, arguments).await
    }

    pub(crate) async fn call<B, R>(
        &self,
        object: &ObjectPath<'_>,
        interface: &str,
        method: &str,
        arguments: &B,
    ) -> Result<R, Fault>
    where
        B: Serialize + DynamicType,
        R: for<'message> DynamicDeserialize<'message>,
    {
        let name = self.name.as_ref();
        let reply = self
            .connection
            .call_method(name, object, Some(interface), method, arguments)
            .await?;
        Ok(reply.body().deserialize()?)
    }

    async fn manager_property<T>(&self, property: &str) -> Result<T, Fault>
    where
        T: TryFrom<OwnedVariant>,
    {
        let root = ObjectPath::from_static_str_unchecked(ROOT_PATH);
        let arguments = (IFACE_MANAGER, property);
        let value: OwnedVariant = self
            .call(&root, IFACE_PROPERTIES, "Get", &arguments)
            .await?;
        T::try_from(value).map_err(|_| {
            Failure::new(
                Status::VersionMismatch,
                format!("fuse-promised tells its {property} in another type than this library's"),
            )
            .into()
        })
    }

    /// The signals of one of the daemon's objects from now on.
    pub(crate) async fn signals(
        &self,
        object: &ObjectPath<'_>,
        interface: &'static str,
    ) -> Result<MessageStream, Fault> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .path(object)
            .interface(interface);
        let rule = match &self.name {
            Some(name) => rule.sender(name),
            None => rule,
        };
        let rule = rule.build()?;
        Ok(MessageStream::for_match_rule(rule, &self.connection, None).await?)
    }

    /// All properties of the Manager interface.
    pub(crate) async fn manager_properties<R>(&self) -> Result<R, Fault>
    where
        R: for<'message> DynamicDeserialize<'message>,
    {
        let root = ObjectPath::from_static_str_unchecked(ROOT_PATH);
        self.call(&root, IFACE_PROPERTIES, "GetAll", &(IFACE_MANAGER,))
            .await
    }
}

/// The refusal of a daemon that serves another directory than ours.
pub(crate) fn foreign(ours: &Path, theirs: &Path) -> Failure {
    Failure::unavailable(format!(
        "the fuse-promised that answers serves {}, not {}",
        theirs.display(),
        ours.display()
    ))
}
