//! A daemon without mount or bus, and clients of it in the same process.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{Engine, EngineOptions};
use fuse_promise_wire::bus::{
    IFACE_MANAGER, IFACE_PROMISE, IFACE_PROVIDER, Options, ROOT_PATH, option,
};
use fuse_promise_wire::{Channel, PROTOCOL_VERSION};
use futures_core::Stream;
use serde::Serialize;
use tokio::task::JoinHandle;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::wire::DynamicDeserialize;
use zbus::{
    Connection, DBusError, DynamicType, Guid, Message, MessageStream, OwnedObjectPath, OwnedVariant,
};

use crate::bus::Bus;
use crate::bus::caller::{Caller, Peer};
use crate::bus::events::{Scope, event_channel};
use crate::bus::handshake::welcome;
use crate::bus::objects::Objects;
use crate::bus::transport::Transport;
use crate::daemon::Daemon;
use crate::mount::MountState;
use crate::private_directory::PrivateDirectory;

/// More messages than a test sends.
const MANY: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Far above what any test takes; a test that gets there hangs.
const HANG: Duration = Duration::from_secs(60);

/// Runs a test on a runtime like the daemon's.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    runtime.block_on(async {
        tokio::time::timeout(HANG, test)
            .await
            .expect("the test hangs")
    });
    // A call that was cut off may still be at its work.
    runtime.shutdown_background();
}

pub struct Rig {
    pub bus: Bus,
    pub daemon: Arc<Daemon>,
    _directory: PrivateDirectory,
}

impl Rig {
    /// A daemon that believes it is mounted.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with an engine of other options.
    pub fn with(change: impl FnOnce(&mut EngineOptions)) -> Self {
        let directory = PrivateDirectory::new();
        let runtime_dir = directory.runtime_dir();
        let (sender, receiver) = event_channel();
        let mut options = EngineOptions::new(runtime_dir.clone());
        change(&mut options);
        let engine = Engine::start(options, Arc::new(sender));
        let daemon = Arc::new(Daemon::without_mount(engine.unwrap(), runtime_dir));
        daemon.mount.pretend(MountState {
            mounted: true,
            reason: String::new(),
        });
        Self {
            bus: Bus::new(Arc::clone(&daemon), receiver),
            daemon,
            _directory: directory,
        }
    }

    /// From now on there is no mount.
    pub fn lose_mount(&self, reason: &str) {
        self.daemon.mount.pretend(MountState {
            mounted: false,
            reason: reason.to_owned(),
        });
    }

    /// A client that sees the whole tree, as on the session bus.
    pub async fn on_session(&self) -> Client {
        self.client(Scope::Session).await
    }

    /// A client by the socket, of our own process.
    pub async fn on_socket(&self) -> Client {
        self.client(Scope::Process(std::process::id())).await
    }

    pub async fn client(&self, scope: Scope) -> Client {
        let (stream, serving) = self.serve(scope);
        let client = Client::over(stream).await;
        assert!(!serving.is_finished());
        client
    }

    /// The other end of a connection that is served from now on.
    pub fn serve(&self, scope: Scope) -> (UnixStream, JoinHandle<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let stream = Arc::new(tokio::net::UnixStream::from_std(ours).unwrap());
        let service = Arc::clone(&self.bus.service);
        let serving = tokio::spawn(async move {
            let (guid, peer) = (Guid::generate(), Peer::of(&stream).unwrap());
            let takes_descriptors = welcome(&stream, peer.uid, &guid).await.unwrap();
            let transport = Transport {
                stream,
                takes_descriptors,
            };
            let builder = Builder::authenticated_socket(transport, guid).p2p();
            let objects = Objects::connect(service, Caller::Peer(peer), scope, builder).await;
            objects.unwrap().serve().await;
        });
        (theirs, serving)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.daemon.engine.stop();
    }
}

/// What a failed call answered: the D-Bus error name and the sentence.
#[derive(Debug)]
pub struct Refusal {
    pub name: String,
    pub sentence: String,
}

impl Refusal {
    pub fn status(&self) -> Option<Status> {
        Status::from_dbus_name(&self.name)
    }
}

pub struct Client {
    pub connection: Connection,
    signals: MessageStream,
}

/// A registered provider.
pub struct Registered {
    pub object: OwnedObjectPath,
    pub number: u64,
    pub token: Vec<u8>,
    pub channel: Channel,
}

impl Client {
    pub async fn over(stream: UnixStream) -> Self {
        let builder = Builder::unix_stream(stream).p2p();
        let connection = builder.build().await.unwrap();
        let mut signals = MessageStream::from(&connection);
        // Answers wait behind signals that nobody takes.
        signals.set_max_queued(MANY);
        Self {
            connection,
            signals,
        }
    }

    pub async fn call<B, R>(
        &self,
        object: &str,
        interface: &str,
        method: &str,
        arguments: &B,
    ) -> Result<R, Refusal>
    where
        B: Serialize + DynamicType,
        R: for<'m> DynamicDeserialize<'m>,
    {
        let call =
            self.connection
                .call_method(None::<()>, object, Some(interface), method, arguments);
        match call.await {
            Ok(reply) => Ok(reply.body().deserialize().unwrap()),
            Err(zbus::Error::MethodError(name, sentence, _)) => Err(Refusal {
                name: name.to_string(),
                sentence: sentence.unwrap_or_default(),
            }),
            Err(zbus::Error::FDO(error)) => Err(Refusal {
                name: error.name().to_string(),
                sentence: error.description().unwrap_or_default().to_owned(),
            }),
            Err(error) => panic!("{method} failed: {error}"),
        }
    }

    pub async fn manager<B, R>(&self, method: &str, arguments: &B) -> Result<R, Refusal>
    where
        B: Serialize + DynamicType,
        R: for<'m> DynamicDeserialize<'m>,
    {
        self.call(ROOT_PATH, IFACE_MANAGER, method, arguments).await
    }

    pub async fn property<T>(&self, object: &str, interface: &str, name: &str) -> T
    where
        T: TryFrom<OwnedVariant>,
    {
        let value = self.try_property(object, interface, name).await.unwrap();
        T::try_from(value).unwrap_or_else(|_| panic!("{name} has another type"))
    }

    pub async fn try_property(
        &self,
        object: &str,
        interface: &str,
        name: &str,
    ) -> Result<OwnedVariant, Refusal> {
        let properties = "org.freedesktop.DBus.Properties";
        self.call(object, properties, "Get", &(interface, name))
            .await
    }

    pub async fn manager_property<T: TryFrom<OwnedVariant>>(&self, name: &str) -> T {
        self.property(ROOT_PATH, IFACE_MANAGER, name).await
    }

    pub async fn provider_property<T: TryFrom<OwnedVariant>>(&self, name: &str, n: u64) -> T {
        self.property(&format!("{ROOT_PATH}/provider/{n}"), IFACE_PROVIDER, name)
            .await
    }

    pub async fn promise_property<T: TryFrom<OwnedVariant>>(&self, name: &str, n: u32) -> T {
        self.property(&format!("{ROOT_PATH}/promise/{n}"), IFACE_PROMISE, name)
            .await
    }

    pub async fn register(&self) -> Registered {
        self.try_register(options(&[])).await.unwrap()
    }

    /// Registers with these options beside the protocol version.
    pub async fn try_register(&self, mut options: Options) -> Result<Registered, Refusal> {
        let protocol = option::PROTOCOL.to_owned();
        options.entry(protocol).or_insert(PROTOCOL_VERSION.into());
        let (object, number, token, channel, _arena): (
            OwnedObjectPath,
            u64,
            Vec<u8>,
            zbus::OwnedFd,
            zbus::OwnedFd,
        ) = self.manager("RegisterProvider", &(options,)).await?;
        let channel = Channel::from_fd(channel.into()).unwrap();
        Ok(Registered {
            object,
            number,
            token,
            channel,
        })
    }

    pub async fn commit(
        &self,
        provider: &Registered,
        image: OwnedFd,
        options: Options,
    ) -> Result<(String, Vec<u8>), Refusal> {
        let image = zbus::OwnedFd::from(image);
        let arguments = (provider.number, &provider.token, image, options);
        self.manager("Commit", &arguments).await
    }

    /// Commits a small tree and returns its promise's number.
    pub async fn commit_tree(&self, provider: &Registered, files: u32) -> u32 {
        let committed = self.commit(provider, image(files), options(&[])).await;
        let (id, _) = committed.unwrap();
        id.strip_prefix("promise-").unwrap().parse().unwrap()
    }

    /// The next signal: its member, and the object it is about, by its path below the root.
    pub async fn signal(&mut self) -> (String, Message) {
        loop {
            let next = std::future::poll_fn(|task| Pin::new(&mut self.signals).poll_next(task));
            let message = next.await.expect("the connection ended").unwrap();
            if message.message_type() == Type::Signal {
                let member = message.header().member().unwrap().to_string();
                let about = about(&message, &member);
                let about = about.trim_start_matches(ROOT_PATH);
                return (format!("{member} {about}"), message);
            }
        }
    }

    /// The next signals, shown as [`signal`](Self::signal) does.
    pub async fn signals<const COUNT: usize>(&mut self) -> [String; COUNT] {
        let mut shown = [const { String::new() }; COUNT];
        for signal in &mut shown {
            *signal = self.signal().await.0;
        }
        shown
    }
}

fn about(message: &Message, member: &str) -> String {
    let body = message.body();
    match member {
        "InterfacesAdded" => body.deserialize::<Added>().unwrap().0.to_string(),
        "InterfacesRemoved" => body.deserialize::<Removed>().unwrap().0.to_string(),
        _ => message.header().path().unwrap().to_string(),
    }
}

/// What InterfacesAdded carries.
pub type Added = (OwnedObjectPath, HashMap<String, Options>);
/// What InterfacesRemoved carries.
pub type Removed = (OwnedObjectPath, Vec<String>);
/// What PropertiesChanged carries.
pub type Changed = (String, Options, Vec<String>);

pub fn options(pairs: &[(&str, OwnedVariant)]) -> Options {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    pairs.collect()
}

/// Text as the value of an option.
pub fn text(text: &str) -> OwnedVariant {
    zbus::Str::from(text.to_owned()).into()
}

/// A sealed image: the directory `dir` and so many files in it, `dir/0` with node id `id-0`.
pub fn image(files: u32) -> OwnedFd {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let directory = NodeAttr {
        mode: 0o755,
        ..NodeAttr::default()
    };
    tree.add_dir(b"dir", directory, b"id-dir").unwrap();
    for file in 0..files {
        let attr = NodeAttr {
            mode: 0o644,
            size: u64::from(file),
            mtime_nsec: 5,
        };
        let (path, id) = (format!("dir/{file}"), format!("id-{file}"));
        tree.add_file(path.as_bytes(), attr, id.as_bytes()).unwrap();
    }
    fuse_promise_wire::image::seal(&tree).unwrap()
}
