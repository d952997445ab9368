//! A session bus for unit tests: just the calls by which a client finds and starts the daemon, and
//! a systemd that has one unit. It speaks to each client over a connection of its own.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fuse_promise_wire::PROTOCOL_VERSION;
use fuse_promise_wire::bus::{BUS_NAME, ROOT_PATH};
use tokio::sync::Notify;
use zbus::fdo;

use crate::bus_address::BusAddress;
use crate::fake_daemon::Place;
use crate::runner::Runner;

const OWNER: &str = ":1.7";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/fuse_2dpromised_2eservice";

/// How the bus answers when it is told to start the daemon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activates {
    Unknown,
    Refuses,
    Succeeds,
    /// Waits for the daemon to come, as the real bus does for two minutes.
    Never,
}

#[derive(Clone)]
pub(crate) struct Facts {
    /// Someone owns the name before anything is started.
    pub(crate) owned: bool,
    pub(crate) owner_uid: u32,
    /// What the owner says it serves.
    pub(crate) serves: PathBuf,
    pub(crate) protocol: u32,
    pub(crate) activates: Activates,
    /// What the start of the unit ends in, where there is a systemd.
    pub(crate) unit: Option<FakeUnit>,
}

#[derive(Clone, Copy)]
pub(crate) struct FakeUnit {
    /// Its ActiveState.
    pub(crate) active: &'static str,
    /// The bus does have systemd start it.
    pub(crate) is_started: bool,
    /// It comes up when systemd is asked directly, instead of being refused.
    pub(crate) can_start: bool,
}

impl Facts {
    /// The daemon of the place runs and owns the name.
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            owned: true,
            owner_uid: rustix::process::geteuid().as_raw(),
            serves: place.path().to_owned(),
            protocol: PROTOCOL_VERSION,
            activates: Activates::Unknown,
            unit: None,
        }
    }
}

pub(crate) struct FakeBus {
    place: Place,
    starts: Arc<AtomicU32>,
    _runner: Runner,
}

impl FakeBus {
    pub(crate) fn start(facts: Facts) -> Self {
        let place = Place::new();
        let listener = UnixListener::bind(place.path().join("bus")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let starts = Arc::new(AtomicU32::new(0));
        let runner = Runner::start().unwrap();
        let accepting = accept(listener, facts, Arc::clone(&starts));
        runner.handle().spawn(accepting);
        Self {
            place,
            starts,
            _runner: runner,
        }
    }

    pub(crate) fn addresses(&self) -> Vec<BusAddress> {
        vec![BusAddress::Path(self.place.path().join("bus"))]
    }

    /// How often the daemon was to be started.
    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }
}

async fn accept(listener: UnixListener, facts: Facts, starts: Arc<AtomicU32>) {
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let came = Arc::new(Notify::new());
        let bus = Bus {
            owned: AtomicBool::new(facts.owned),
            came: Arc::clone(&came),
            facts: facts.clone(),
            starts: Arc::clone(&starts),
        };
        let mut builder = zbus::connection::Builder::unix_stream(stream.into_std().unwrap())
            .p2p()
            .server(zbus::Guid::generate())
            .serve_at("/org/freedesktop/DBus", bus)
            .serve_at(ROOT_PATH, Manager(facts.clone()));
        if let Some(unit) = facts.unit {
            builder = builder
                .serve_at(
                    "/org/freedesktop/systemd1",
                    Systemd(unit, Arc::clone(&came)),
                )
                .serve_at(UNIT_PATH, Unit(unit, Arc::clone(&starts)))
                .serve_at(UNIT_PATH, Service);
        }
        tokio::spawn(async move {
            if let Ok(connection) = builder.build().await {
                connection.closed().await;
            }
        });
    }
}

struct Bus {
    owned: AtomicBool,
    /// The daemon has taken its name.
    came: Arc<Notify>,
    facts: Facts,
    starts: Arc<AtomicU32>,
}

#[zbus::interface(name = "org.freedesktop.DBus")]
impl Bus {
    fn hello(&self) -> &str {
        ":1.1"
    }

    fn get_name_owner(&self, name: String) -> fdo::Result<String> {
        let owned = match name.as_str() {
            BUS_NAME => self.owned.load(Ordering::Relaxed),
            SYSTEMD => self.facts.unit.is_some(),
            other => panic!("nobody asks for {other}"),
        };
        if owned {
            Ok(OWNER.to_owned())
        } else {
            Err(fdo::Error::NameHasNoOwner("nobody".to_owned()))
        }
    }

    fn get_connection_unix_user(&self, name: String) -> u32 {
        assert_eq!(name, OWNER);
        self.facts.owner_uid
    }

    async fn start_service_by_name(&self, name: String, _flags: u32) -> fdo::Result<u32> {
        assert_eq!(name, BUS_NAME);
        self.starts.fetch_add(1, Ordering::Relaxed);
        match self.facts.activates {
            Activates::Unknown => Err(fdo::Error::ServiceUnknown("no such service".to_owned())),
            Activates::Refuses => Err(fdo::Error::SpawnFailed("it will not".to_owned())),
            Activates::Succeeds => {
                self.owned.store(true, Ordering::Relaxed);
                Ok(1)
            }
            Activates::Never => {
                self.came.notified().await;
                self.owned.store(true, Ordering::Relaxed);
                Ok(1)
            }
        }
    }
}

struct Manager(Facts);

#[zbus::interface(name = "io.github.fuse_promise.Private1.Manager")]
impl Manager {
    #[zbus(property)]
    fn protocol_version(&self) -> u32 {
        self.0.protocol
    }

    #[zbus(property)]
    fn runtime_directory(&self) -> String {
        self.0.serves.to_str().unwrap().to_owned()
    }
}

struct Systemd(FakeUnit, Arc<Notify>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Systemd {
    fn start_unit(&self, unit: String, mode: String) -> fdo::Result<zbus::OwnedObjectPath> {
        assert_eq!(
            (unit.as_str(), mode.as_str()),
            ("fuse-promised.service", "replace")
        );
        if !self.0.can_start {
            return Err(fdo::Error::Failed(
                "start request repeated too quickly".to_owned(),
            ));
        }
        self.1.notify_one();
        Ok(zbus::ObjectPath::from_static_str_unchecked("/job/1").into())
    }
}

struct Unit(FakeUnit, Arc<AtomicU32>);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.0.active
    }

    #[zbus(property)]
    fn state_change_timestamp_monotonic(&self) -> u64 {
        if self.0.is_started {
            u64::from(self.1.load(Ordering::Relaxed))
        } else {
            0
        }
    }

    #[zbus(property)]
    fn job(&self) -> (u32, zbus::OwnedObjectPath) {
        (0, zbus::ObjectPath::from_static_str_unchecked("/").into())
    }
}

struct Service;

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn result(&self) -> &str {
        "exit-code"
    }
}
