//! The session bus, as far as finding and starting the daemon goes: who owns its name, as which
//! user it runs, how it is started, and what systemd says of its unit.

use std::time::Duration;

use fuse_promise_core::Failure;
use fuse_promise_wire::bus::BUS_NAME;
use zbus::names::{OwnedUniqueName, UniqueName};
use zbus::{Connection, OwnedVariant};

use crate::bus_address::BusAddress;
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::fork::Listed;
use crate::socket::{Connected, connect_to};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

const UNIT: &str = "fuse-promised.service";
/// The unit's object: systemd escapes every byte that an object path does not allow.
const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/fuse_2dpromised_2eservice";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_PATH: &str = "/org/freedesktop/systemd1";
const IFACE_UNIT: &str = "org.freedesktop.systemd1.Unit";
const IFACE_SERVICE: &str = "org.freedesktop.systemd1.Service";

/// How often a unit that is being started is looked at. The bus itself would wait two minutes
/// before it says that the unit failed.
const LOOK: Duration = Duration::from_millis(500);

/// A unit is at rest for a moment before systemd takes up a job for it, so it must be seen so more
/// than once.
const LOOKS_AT_REST: u32 = 2;

/// A connection to the session bus.
pub(crate) struct SessionBus {
    listed: Listed,
    connection: Connection,
}

/// How starting the daemon ended.
pub(crate) enum Activation {
    Started,
    /// The bus does not know how to, or failed to, or waits for a start that nobody makes.
    Refused(Failure),
    /// systemd has given the unit up.
    UnitFailed(Failure),
}

/// What systemd says of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnitState {
    active: String,
    result: String,
    /// A job waits for the unit or works on it.
    has_job: bool,
    /// When the state was entered, on systemd's clock.
    since: u64,
}

impl UnitState {
    /// Nothing more will come of it by itself.
    fn is_at_rest(&self) -> bool {
        let states = ["active", "inactive", "failed"];
        states.contains(&self.active.as_str()) && !self.has_job
    }

    fn failure(&self) -> Failure {
        Failure::unavailable(format!(
            "{UNIT} is {} (result {}); see `systemctl --user status {UNIT}`",
            self.active, self.result
        ))
    }
}

impl SessionBus {
    /// The first of the addresses that can be reached.
    pub(crate) async fn connect(addresses: &[BusAddress]) -> Result<Self, Failure> {
        for address in addresses {
            let Ok(Connected { listed, stream }) = connect_to(address).await else {
                continue;
            };
            let builder = zbus::connection::Builder::unix_stream(stream);
            if let Ok(connection) = builder.build().await {
                return Ok(Self { listed, connection });
            }
        }
        Err(Failure::unavailable("there is no session bus to ask"))
    }

    /// The connection that owns the daemon's name, if any. Starts nothing. An owner that runs as
    /// another user is refused.
    pub(crate) async fn owner(&self) -> Result<Option<UniqueName<'static>>, Fault> {
        let Some(owner) = self.owner_of(BUS_NAME).await? else {
            return Ok(None);
        };
        let reply = self
            .ask("GetConnectionUnixUser", &(owner.as_str(),))
            .await?;
        let uid: u32 = reply.body().deserialize()?;
        let ours = rustix::process::geteuid().as_raw();
        if uid != ours {
            return Err(Failure::permission(format!(
                "{BUS_NAME} on the session bus belongs to uid {uid}, not to uid {ours}"
            ))
            .into());
        }
        Ok(Some(owner))
    }

    async fn owner_of(&self, name: &str) -> zbus::Result<Option<UniqueName<'static>>> {
        match self.ask("GetNameOwner", &(name,)).await {
            Ok(reply) => {
                let owner: OwnedUniqueName = reply.body().deserialize()?;
                Ok(Some(owner.into_inner()))
            }
            Err(zbus::Error::FDO(error))
                if matches!(*error, zbus::fdo::Error::NameHasNoOwner(_)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the bus start the daemon, and watches the unit meanwhile.
    pub(crate) async fn start(&self) -> Activation {
        let before = self.unit_state().await;
        let arguments = (BUS_NAME, 0u32);
        let call = self.ask("StartServiceByName", &arguments);
        tokio::select! {
            biased;
            started = call => match started {
                Ok(_) => Activation::Started,
                Err(error) => Activation::Refused(self.refusal(&error).await),
            },
            ended = self.end_of_start(before.map(|state| state.since)) => ended,
        }
    }

    /// Comes back once the unit is at rest without the bus having said so.
    ///
    /// If its state is a new one, it was started and failed. If it is the old one, nobody starts
    /// it: for two minutes after a start that failed the bus waits for that one and asks systemd
    /// for no other. So systemd is asked here; when the daemon comes, the bus answers after all.
    async fn end_of_start(&self, before: Option<u64>) -> Activation {
        let mut looks = 0;
        let mut asked = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(state) = self.unit_state().await else {
                continue;
            };
            looks = if state.is_at_rest() { looks + 1 } else { 0 };
            if looks < LOOKS_AT_REST {
                continue;
            }
            if state.active == "active" {
                return Activation::Refused(state.failure());
            }
            if Some(state.since) != before {
                return Activation::UnitFailed(state.failure());
            }
            if asked || self.start_unit().await.is_err() {
                return Activation::Refused(state.failure());
            }
            (asked, looks) = (true, 0);
        }
    }

    async fn start_unit(&self) -> zbus::Result<()> {
        let systemd = Some(SYSTEMD);
        let manager = Some("org.freedesktop.systemd1.Manager");
        // "replace" is what `systemctl start` says: a job of another kind gives way.
        let arguments = (UNIT, "replace");
        self.connection
            .call_method(systemd, SYSTEMD_PATH, manager, "StartUnit", &arguments)
            .await
            .map(drop)
    }

    /// Why the daemon does not come: the unit's state where there is a systemd that has one.
    pub(crate) async fn unit_trouble(&self) -> Option<Failure> {
        let state = self.unit_state().await?;
        (state.active != "active").then(|| state.failure())
    }

    async fn refusal(&self, error: &zbus::Error) -> Failure {
        if let zbus::Error::FDO(standard) = error
            && let zbus::fdo::Error::ServiceUnknown(_) = **standard
        {
            return Failure::unavailable(format!(
                "the session bus does not know how to start {BUS_NAME}"
            ));
        }
        match self.unit_state().await {
            Some(state) if state.active == "failed" => state.failure(),
            _ => Failure::unavailable(format!(
                "the session bus could not start {BUS_NAME}: {error}"
            )),
        }
    }

    /// `None` where there is no systemd, which is asked by its unique name: by the well-known one
    /// the bus would try to start it.
    async fn unit_state(&self) -> Option<UnitState> {
        let systemd = self.owner_of(SYSTEMD).await.ok()??;
        let get = |interface, property| self.unit_property(&systemd, interface, property);
        let active = get(IFACE_UNIT, "ActiveState").await?;
        let result = get(IFACE_SERVICE, "Result").await?;
        let since = get(IFACE_UNIT, "StateChangeTimestampMonotonic").await?;
        let job = get(IFACE_UNIT, "Job").await?;
        let (job, _): (u32, zbus::OwnedObjectPath) = job.try_into().ok()?;
        Some(UnitState {
            active: active.try_into().ok()?,
            result: result.try_into().ok()?,
            has_job: job != 0,
            since: since.try_into().ok()?,
        })
    }

    async fn unit_property(
        &self,
        systemd: &UniqueName<'_>,
        interface: &'static str,
        property: &'static str,
    ) -> Option<OwnedVariant> {
        let properties = Some("org.freedesktop.DBus.Properties");
        let arguments = (interface, property);
        let reply = self
            .connection
            .call_method(Some(systemd), UNIT_PATH, properties, "Get", &arguments)
            .await
            .ok()?;
        reply.body().deserialize().ok()
    }

    async fn ask<B>(&self, method: &str, arguments: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.connection
            .call_method(Some(BUS), BUS_PATH, Some(BUS), method, arguments)
            .await
    }

    /// The daemon behind an owner of the name.
    pub(crate) fn into_daemon(self, owner: UniqueName<'static>) -> Daemon {
        Daemon::on_bus(self.listed, self.connection, owner)
    }
}
