//! A real engine with a provider and readers that the test plays by hand: no
//! mount, no bus, no thread but the engine's own, so that each step happens when
//! the test makes it happen.
#![allow(dead_code)]

pub mod cached;
pub mod forged;
pub mod served;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::ids::{Inode, PromiseNumber, ProviderNumber, Row, Token};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{
    Client, CommitOptions, Engine, EngineEvent, EngineOptions, Kernel, Observer, ProviderConfig,
    ReadReply, ReadRequest,
};
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::{
    Arena, Channel, PROTOCOL_VERSION, ReadFrame, RecvOutcome, RuntimeDir, ToDaemon, ToProvider,
};
use rustix::fd::AsFd;

/// Longer than anything here takes; a test that reaches it has hung.
pub const HANG: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Events(Mutex<Vec<EngineEvent>>);

impl Observer for Events {
    fn event(&self, event: EngineEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// What the kernel was told, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    EntryGone(Inode, String),
    PagesStale(Inode),
}

pub struct FakeKernel(Mutex<Sender<Told>>);

impl Kernel for FakeKernel {
    fn attributes_stale(&self, _: Inode) {}

    fn entry_gone(&self, parent: Inode, name: &[u8]) {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let _ = self.0.lock().unwrap().send(Told::EntryGone(parent, name));
    }

    fn pages_stale(&self, inode: Inode) {
        let _ = self.0.lock().unwrap().send(Told::PagesStale(inode));
    }
}

pub struct Rig {
    pub engine: Arc<Engine>,
    pub told: Receiver<Told>,
    events: Arc<Events>,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut EngineOptions)) -> Rig {
        let dir = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .unwrap();
        let mut options = EngineOptions::new(RuntimeDir::open(dir.path()).unwrap());
        change(&mut options);
        let events = Arc::new(Events::default());
        let engine = Engine::start(options, events.clone()).unwrap();
        let (tell, told) = channel();
        engine.set_kernel(Arc::new(FakeKernel(Mutex::new(tell))));
        Rig {
            engine,
            told,
            events,
            _dir: dir,
        }
    }

    pub fn provider(&self) -> FakeProvider {
        self.provider_with(ProviderConfig::default())
    }

    pub fn provider_with(&self, config: ProviderConfig) -> FakeProvider {
        let client = Client {
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            program: "fake".into(),
            process: None,
        };
        self.provider_of(client, config)
    }

    pub fn provider_of(&self, client: Client, config: ProviderConfig) -> FakeProvider {
        let registration = self.engine.register(client, config).unwrap();
        let channel = Channel::from_fd(registration.channel).unwrap();
        let hello = receive(&channel).expect("the daemon greets first");
        let ToProvider::Hello {
            protocol, geometry, ..
        } = hello
        else {
            panic!("{hello:?} instead of Hello");
        };
        assert_eq!(protocol, PROTOCOL_VERSION);
        let arena = Arena::map(registration.arena, geometry).unwrap();
        let provider = FakeProvider {
            number: registration.provider,
            token: registration.token,
            channel,
            arena,
        };
        provider.send(&ToDaemon::Hello { protocol });
        provider
    }

    /// Commits files of the given names and sizes.
    pub fn commit(&self, provider: &FakeProvider, files: &[(&str, u64)]) -> PromiseNumber {
        let number = self.try_commit(provider, files, CommitOptions::default());
        let number = number.unwrap();
        match provider.frame() {
            ToProvider::Event { promise, .. } => assert_eq!(promise, number.0),
            other => panic!("{other:?} instead of Committed"),
        }
        number
    }

    pub fn try_commit(
        &self,
        provider: &FakeProvider,
        files: &[(&str, u64)],
        options: CommitOptions,
    ) -> fuse_promise_core::failure::Result<PromiseNumber> {
        let image = fuse_promise_wire::image::seal(&tree(files)).unwrap();
        self.engine
            .commit(provider.number, &provider.token, image, options)
    }

    /// Starts a read; the answer comes through the returned reader.
    pub fn read(&self, inode: Inode, offset: u64, length: u32) -> Reader {
        self.read_as(inode, 0, offset, length)
    }

    pub fn read_as(&self, inode: Inode, handle: u64, offset: u64, length: u32) -> Reader {
        read_through(&self.engine, inode, handle, offset, length)
    }

    /// Waits for so many events.
    pub fn next_events(&self, count: usize) -> Vec<EngineEvent> {
        let end = std::time::Instant::now() + HANG;
        let mut events = self.events();
        while events.len() < count {
            assert!(std::time::Instant::now() < end, "only {events:?}");
            std::thread::yield_now();
            events.extend(self.events());
        }
        events
    }

    pub fn events(&self) -> Vec<EngineEvent> {
        std::mem::take(&mut *self.events.0.lock().unwrap())
    }

    /// Waits until a condition on the engine's own gauges holds.
    pub fn settle(&self, what: &str, done: impl Fn(&fuse_promise_engine::Gauges) -> bool) {
        let end = std::time::Instant::now() + HANG;
        loop {
            let gauges = self.engine.gauges();
            if done(&gauges) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{what}: {gauges:?}");
            std::thread::yield_now();
        }
    }

    /// Nothing is held for any reader or provider any more.
    pub fn assert_idle(&self) {
        self.settle("not idle", |gauges| {
            gauges.in_flight + gauges.queued + gauges.slots_in_use + gauges.unsent_frames == 0
        });
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

/// Starts a read, on any thread.
pub fn read_through(
    engine: &Arc<Engine>,
    inode: Inode,
    handle: u64,
    offset: u64,
    length: u32,
) -> Reader {
    let (answer, answers) = channel();
    let request = ReadRequest {
        inode,
        handle,
        offset,
        length,
        tid: 0,
    };
    engine.read(request, Box::new(Reply(answer)));
    Reader(answers)
}

pub fn tree(files: &[(&str, u64)]) -> TreeBuilder {
    let mut builder = TreeBuilder::new(PathRule::Utf8);
    for (path, size) in files {
        let attr = NodeAttr {
            mode: 0o644,
            size: *size,
            mtime_nsec: 7,
        };
        let id = format!("id of {path}");
        builder
            .add_file(path.as_bytes(), attr, id.as_bytes())
            .unwrap();
    }
    builder
}

/// The inode of the nth node of a promise; 0 is its directory.
pub fn node(promise: PromiseNumber, row: u32) -> Inode {
    Inode::new(promise, Row(row))
}

struct Reply(Sender<Result<Vec<u8>, i32>>);

impl ReadReply for Reply {
    fn data(self: Box<Self>, bytes: &[u8]) {
        let _ = self.0.send(Ok(bytes.to_vec()));
    }

    fn error(self: Box<Self>, status: Status) {
        let _ = self.0.send(Err(status.errno()));
    }
}

pub struct Reader(Receiver<Result<Vec<u8>, i32>>);

impl Reader {
    pub fn answer(&self) -> Result<Vec<u8>, i32> {
        self.0.recv_timeout(HANG).expect("the read hangs")
    }

    /// The answer if there is one already.
    pub fn peek(&self) -> Option<Result<Vec<u8>, i32>> {
        self.0.try_recv().ok()
    }
}

pub struct FakeProvider {
    pub number: ProviderNumber,
    pub token: Token,
    pub channel: Channel,
    pub arena: Arena,
}

impl FakeProvider {
    pub fn send(&self, frame: &ToDaemon) {
        self.send_bytes(&frame.encode());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        let flags = rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(self.channel.as_fd(), bytes, flags).unwrap();
    }

    pub fn frame(&self) -> ToProvider {
        receive(&self.channel).expect("the channel is closed")
    }

    /// The next frame; None once the channel is closed.
    pub fn next_frame(&self) -> Option<ToProvider> {
        receive(&self.channel)
    }

    /// The next frame, which must be a Read.
    pub fn asked(&self) -> ReadFrame {
        match self.frame() {
            ToProvider::Read(read) => read,
            other => panic!("{other:?} instead of Read"),
        }
    }

    /// The next Read that is there already. Frames of other kinds are passed over.
    pub fn asked_already(&self) -> Option<ReadFrame> {
        loop {
            match self.channel.recv(&mut [0; RECV_LEN]).unwrap() {
                RecvOutcome::Frame(frame) => {
                    if let ToProvider::Read(read) = ToProvider::decode(&frame).unwrap() {
                        return Some(read);
                    }
                }
                RecvOutcome::Empty | RecvOutcome::Closed => return None,
                RecvOutcome::NotAFrame(length) => panic!("{length} bytes are no frame"),
            }
        }
    }

    /// Does with each Read what `treat` does, until the reader has its answer.
    pub fn serve(&self, reader: &Reader, mut treat: impl FnMut(ReadFrame)) -> Result<Vec<u8>, i32> {
        let end = std::time::Instant::now() + HANG;
        loop {
            while let Some(read) = self.asked_already() {
                treat(read);
            }
            if let Some(answer) = reader.peek() {
                return answer;
            }
            assert!(std::time::Instant::now() < end, "the read hangs");
            std::thread::yield_now();
        }
    }

    /// Answers with what the node's content is at that place.
    pub fn answer(&self, read: &ReadFrame) {
        self.answer_some(read, read.length);
    }

    /// Answers the first `length` bytes of what was asked.
    pub fn answer_some(&self, read: &ReadFrame, length: u32) {
        self.write(read, length);
        self.done(read, Status::Ok.code(), length);
    }

    pub fn write(&self, read: &ReadFrame, length: u32) {
        let mut slot = self.arena.claim(read.slot).expect("a slot of ours");
        let bytes = slot.bytes_mut(read.slot_offset as usize, length as usize);
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = content(read.row, read.offset + index as u64);
        }
    }

    pub fn done(&self, read: &ReadFrame, status: u32, length: u32) {
        self.send(&ToDaemon::Done {
            request: read.request,
            epoch: read.epoch,
            status,
            length,
        });
    }

    /// Whether the daemon has closed the channel; waits for a frame otherwise.
    pub fn is_closed(&self) -> bool {
        receive(&self.channel).is_none()
    }
}

/// The byte of a node's content at an offset.
pub fn content(row: u32, offset: u64) -> u8 {
    (offset.wrapping_mul(31) ^ (offset >> 8) ^ u64::from(row)) as u8
}

pub fn bytes(row: u32, offset: u64, length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|index| content(row, offset + index))
        .collect()
}

/// The next frame; None once the channel is closed.
fn receive(channel: &Channel) -> Option<ToProvider> {
    let end = std::time::Instant::now() + HANG;
    loop {
        let mut wait = [rustix::event::PollFd::new(
            channel,
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::event::Timespec {
            tv_sec: HANG.as_secs() as i64,
            tv_nsec: 0,
        };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut wait, Some(&timeout))).unwrap();
        match channel.recv(&mut [0; RECV_LEN]).unwrap() {
            RecvOutcome::Frame(frame) => return Some(ToProvider::decode(&frame).unwrap()),
            RecvOutcome::Closed => return None,
            RecvOutcome::NotAFrame(length) => panic!("{length} bytes that are no frame"),
            RecvOutcome::Empty => assert!(std::time::Instant::now() < end, "no frame comes"),
        }
    }
}
