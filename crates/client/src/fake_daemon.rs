//! A daemon for unit tests: the bus contract over a socket in a runtime directory of its own, with
//! the far end of every channel in the test's hands.

mod job;
mod provider;
mod refusal;
mod session;

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use fuse_promise_core::{Failure, ProviderNumber, Row, Status};
use fuse_promise_wire::arena::Arena;
use fuse_promise_wire::bus::{LIST_END, Options, ROOT_PATH, option, provider_path};
use fuse_promise_wire::{
    Channel, DaemonLock, Geometry, MappedImage, PROTOCOL_VERSION, RuntimeDir, SessionEvent,
    ToProvider,
};
use zbus::{Connection, OwnedObjectPath};

use crate::bus_address::BusAddress;
use crate::connect::Site;
use crate::context::Context;
use crate::route::Directory;
use crate::runner::Runner;
use crate::test_support::GUARD;
use job::Job;
pub(crate) use job::Script;
use provider::Provider;
use refusal::Refusal;
pub(crate) use session::FakeSession;

const GEOMETRY: Geometry = Geometry {
    small_len: 64 << 10,
    small_count: 8,
    large_len: 128 << 10,
    large_count: 1,
};

/// A runtime directory, which outlives the daemons that serve it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(directory.path(), mode).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn runtime_dir(&self) -> RuntimeDir {
        RuntimeDir::open(self.path()).unwrap()
    }

    pub(crate) fn lock(&self) -> DaemonLock {
        DaemonLock::acquire(&self.runtime_dir()).unwrap().unwrap()
    }

    pub(crate) fn site(&self) -> Site {
        Site {
            runtime_dir: self.runtime_dir(),
            directory: Directory::Other,
            bus: Vec::<BusAddress>::new(),
            limit: GUARD,
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context::at(self.site())
    }
}

/// What the daemon does otherwise than well.
#[derive(Clone)]
pub(crate) struct Manners {
    pub(crate) protocol: u32,
    pub(crate) runtime_directory: Option<PathBuf>,
    /// Commits that are carried out while their answer is lost with the connection.
    pub(crate) lost_answers: u32,
    pub(crate) refuse_commits: Option<Status>,
    /// Of a listing: ends without saying so.
    pub(crate) cut_listing: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            runtime_directory: None,
            lost_answers: 0,
            refuse_commits: None,
            cut_listing: false,
        }
    }
}

/// Runs until it is dropped, which looks like a daemon that died.
pub(crate) struct FakeDaemon {
    inside: Arc<Inside>,
    // Before the lock: a dead daemon lets go of everything else first.
    _runner: Runner,
    _lock: Option<DaemonLock>,
}

struct Inside {
    runtime_dir: RuntimeDir,
    manners: Mutex<Manners>,
    connections: AtomicU32,
    connections_ended: AtomicU32,
    books: Mutex<Books>,
    changed: Condvar,
}

#[derive(Default)]
struct Books {
    providers: u64,
    /// By provider number.
    sessions: HashMap<u64, Arc<FakeSession>>,
    unregistered: Vec<u64>,
    /// Promise numbers by commit id.
    commits: HashMap<u64, u32>,
    /// Every commit call's id.
    commit_calls: Vec<u64>,
    images: HashMap<u32, MappedImage>,
    /// What the last commit said of it.
    expires: Option<u64>,
    /// The word of a policy that each commit carried.
    policies: Vec<Option<String>>,
    /// What was taken back, in words.
    invalidated: Vec<String>,
    /// Promises that can be destroyed.
    listed: Vec<String>,
    /// The job of the next Materialize, and of the last one.
    job: Arc<Script>,
}

impl FakeDaemon {
    pub(crate) fn start(place: &Place) -> Self {
        Self::with(place, Manners::default())
    }

    pub(crate) fn with(place: &Place, manners: Manners) -> Self {
        Self::holding(Some(place.lock()), place, manners)
    }

    /// As a socket is that starts its daemon when somebody connects.
    pub(crate) fn unlocked(place: &Place) -> Self {
        Self::holding(None, place, Manners::default())
    }

    /// With a lock that was taken before.
    pub(crate) fn holding(lock: Option<DaemonLock>, place: &Place, manners: Manners) -> Self {
        let runtime_dir = place.runtime_dir();
        let socket = runtime_dir.socket_path();
        let _ = std::fs::remove_file(&socket);
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let inside = Arc::new(Inside {
            runtime_dir,
            manners: Mutex::new(manners),
            connections: AtomicU32::new(0),
            connections_ended: AtomicU32::new(0),
            books: Mutex::default(),
            changed: Condvar::new(),
        });
        let runner = Runner::start().unwrap();
        runner.handle().spawn(accept(listener, Arc::clone(&inside)));
        Self {
            inside,
            _runner: runner,
            _lock: lock,
        }
    }

    pub(crate) fn connections(&self) -> u32 {
        self.inside.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn commit_calls(&self) -> Vec<u64> {
        self.books(|books| books.commit_calls.clone())
    }

    /// When the caller of the last commit stops waiting.
    pub(crate) fn expires(&self) -> u64 {
        self.books(|books| books.expires.unwrap())
    }

    pub(crate) fn policies(&self) -> Vec<Option<String>> {
        self.books(|books| books.policies.clone())
    }

    /// The id of each promise of which something was taken back, and what.
    pub(crate) fn invalidated(&self) -> Vec<String> {
        self.books(|books| books.invalidated.clone())
    }

    /// Promises that somebody has published.
    pub(crate) fn list(&self, numbers: &[u32]) {
        let ids = numbers.iter().map(|number| format!("promise-{number}"));
        self.books(|books| books.listed.extend(ids));
    }

    pub(crate) fn promises(&self) -> usize {
        self.books(|books| books.commits.len())
    }

    pub(crate) fn unregistered(&self) -> Vec<u64> {
        self.books(|books| books.unregistered.clone())
    }

    pub(crate) fn session(&self, number: ProviderNumber) -> Arc<FakeSession> {
        self.books(|books| Arc::clone(&books.sessions[&number.0]))
    }

    /// The row of a path in a promise.
    pub(crate) fn row(&self, promise: u32, path: &str) -> Row {
        self.books(|books| {
            books.images[&promise]
                .view()
                .resolve(path.as_bytes())
                .unwrap()
        })
    }

    /// What becomes of a materialize.
    pub(crate) fn job(&self) -> Arc<Script> {
        self.books(|books| Arc::clone(&books.job))
    }

    /// As a daemon that was started anew on the same socket would.
    pub(crate) fn forget_providers(&self) {
        self.books(|books| books.sessions.clear());
    }

    /// Waits until a provider was unregistered.
    pub(crate) fn wait_unregistered(&self) {
        self.wait_until(|books, _| !books.unregistered.is_empty());
    }

    /// Waits until nobody is connected.
    pub(crate) fn wait_disconnected(&self) {
        self.wait_until(|_, inside| {
            let ended = inside.connections_ended.load(Ordering::Relaxed);
            ended == inside.connections.load(Ordering::Relaxed)
        });
    }

    fn wait_until(&self, reached: impl Fn(&Books, &Inside) -> bool) {
        let inside = &*self.inside;
        let books = inside.books.lock().unwrap();
        let waiting = |books: &mut Books| !reached(books, inside);
        let waited = inside.changed.wait_timeout_while(books, GUARD, waiting);
        assert!(!waited.unwrap().1.timed_out(), "it never happened");
    }

    fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.inside.books.lock().unwrap())
    }
}

async fn accept(listener: std::os::unix::net::UnixListener, inside: Arc<Inside>) {
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        inside.connections.fetch_add(1, Ordering::Relaxed);
        let manager = Manager(Arc::clone(&inside));
        let inside = Arc::clone(&inside);
        tokio::spawn(async move {
            let built = zbus::connection::Builder::unix_stream(stream.into_std().unwrap())
                .p2p()
                .server(zbus::Guid::generate())
                .serve_at(ROOT_PATH, manager)
                .build()
                .await;
            if let Ok(connection) = built {
                connection.closed().await;
            }
            // Under the lock that a waiter looks under.
            let _books = inside.books.lock().unwrap();
            inside.connections_ended.fetch_add(1, Ordering::Relaxed);
            inside.changed.notify_all();
        });
    }
}

type Registered = (OwnedObjectPath, u64, Vec<u8>, zbus::OwnedFd, zbus::OwnedFd);

fn token(provider: u64) -> Vec<u8> {
    vec![u8::try_from(provider).unwrap(); 32]
}

struct Manager(Arc<Inside>);

#[zbus::interface(name = "io.github.fuse_promise.Private1.Manager")]
impl Manager {
    async fn register_provider(
        &self,
        _options: Options,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<Registered, Refusal> {
        let (ours, theirs) = Channel::pair()?;
        let (arena, memory) = Arena::create(GEOMETRY)?;
        let hello = ToProvider::Hello {
            protocol: PROTOCOL_VERSION,
            epoch: 1,
            geometry: GEOMETRY,
        };
        let session = Arc::new(FakeSession {
            channel: ours,
            arena,
        });
        session.send(hello);
        let number = {
            let mut books = self.0.books.lock().unwrap();
            books.providers += 1;
            let number = books.providers;
            books.sessions.insert(number, session);
            number
        };
        let path = provider_path(ProviderNumber(number));
        let provider = Provider(Arc::clone(&self.0), number);
        connection
            .object_server()
            .at(&path, provider)
            .await
            .unwrap();
        let channel = theirs.into_fd().into();
        Ok((path, number, token(number), channel, memory.into()))
    }

    async fn commit(
        &self,
        provider: u64,
        shown: Vec<u8>,
        image: zbus::OwnedFd,
        mut options: Options,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(String, Vec<u8>), Refusal> {
        let image = MappedImage::open(image.into())?;
        let commit: u64 = options
            .remove(option::COMMIT_ID)
            .unwrap()
            .try_into()
            .unwrap();
        let room: u64 = options
            .remove(option::PATH_CAPACITY)
            .unwrap()
            .try_into()
            .unwrap();
        let expires = options.remove(option::EXPIRES).unwrap();
        let policy = options.remove(option::CACHE_POLICY);
        let policy = policy.map(|word| String::try_from(word).unwrap());
        self.0.books.lock().unwrap().policies.push(policy);
        self.0.books.lock().unwrap().expires = Some(expires.try_into().unwrap());
        let (reply, lost) = self.0.commit(provider, &shown, image, commit, room)?;
        if lost {
            connection.clone().close().await.unwrap();
        }
        Ok(reply)
    }

    async fn materialize(
        &self,
        source: Vec<u8>,
        _target: zbus::OwnedFd,
        options: Options,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Refusal> {
        let script = Arc::clone(&self.0.books.lock().unwrap().job);
        script.begun(source, &options)?;
        Ok(Job(script).serve(connection).await)
    }

    async fn destroy_promise(
        &self,
        id: String,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), Refusal> {
        if self.0.destroy(&id)? {
            connection.clone().close().await.unwrap();
        }
        Ok(())
    }

    fn list(&self, pipe: zbus::OwnedFd, _options: Options) {
        let mut pipe = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
        let cut = self.0.manners.lock().unwrap().cut_listing;
        std::thread::spawn(move || {
            writeln!(pipe, "providers=0\npromises=0").unwrap();
            for line in 0..20_000 {
                writeln!(pipe, "node path={line}").unwrap();
            }
            if !cut {
                writeln!(pipe, "{LIST_END}").unwrap();
            }
        });
    }

    #[zbus(property)]
    fn protocol_version(&self) -> u32 {
        self.0.manners.lock().unwrap().protocol
    }

    #[zbus(property)]
    fn runtime_directory(&self) -> String {
        let manners = self.0.manners.lock().unwrap();
        let ours = self.0.runtime_dir.path();
        let told = manners.runtime_directory.as_deref().unwrap_or(ours);
        told.to_str().unwrap().to_owned()
    }
}

impl Inside {
    /// Whether the answer is to be lost.
    fn destroy(&self, id: &str) -> Result<bool, Failure> {
        let mut books = self.books.lock().unwrap();
        let place = books.listed.iter().position(|listed| listed == id);
        let place = place.ok_or_else(|| Failure::not_found("there is no such promise"))?;
        books.listed.remove(place);
        Ok(self.loses_answer())
    }

    fn loses_answer(&self) -> bool {
        let mut manners = self.manners.lock().unwrap();
        let lost = manners.lost_answers > 0;
        manners.lost_answers = manners.lost_answers.saturating_sub(1);
        lost
    }

    fn commit(
        &self,
        provider: u64,
        shown: &[u8],
        image: MappedImage,
        commit: u64,
        room: u64,
    ) -> Result<((String, Vec<u8>), bool), Failure> {
        let mut books = self.books.lock().unwrap();
        books.commit_calls.push(commit);
        let refused = self.manners.lock().unwrap().refuse_commits;
        if let Some(status) = refused {
            return Err(Failure::new(status, "as told"));
        }
        let session = books.sessions.get(&provider).cloned();
        let session = session.ok_or_else(|| Failure::not_found("there is no such provider"))?;
        if shown != token(provider) {
            return Err(Failure::permission("wrong token"));
        }
        let number = match books.commits.get(&commit) {
            Some(number) => *number,
            None => u32::try_from(books.commits.len()).unwrap() + 1,
        };
        let id = format!("promise-{number}");
        let path = self.runtime_dir.mount_path().join(&id);
        let path = path.into_os_string().into_encoded_bytes();
        if path.len() as u64 + 1 > room {
            return Err(Failure::invalid("the path does not fit"));
        }
        if books.commits.insert(commit, number).is_none() {
            books.images.insert(number, image);
            session.send(ToProvider::Event {
                event: SessionEvent::Committed,
                promise: number,
                argument: commit,
            });
        }
        Ok(((id, path), self.loses_answer()))
    }
}
