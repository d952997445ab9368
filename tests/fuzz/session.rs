//! A provider that sends whatever it likes while the engine asks it for reads. Each reader is
//! answered, the session goes on or is ended, and nothing is held for it afterwards.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_core::status::Status;
use fuse_promise_engine::{
    Client, CommitOptions, Engine, EngineEvent, EngineOptions, Gauges, Observer, ProviderConfig,
    ReadReply, ReadRequest, Registration,
};
use fuse_promise_testkit::fuzz::{Campaign, Script};
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::image::seal;
use fuse_promise_wire::{
    Channel, Geometry, PROTOCOL_VERSION, Put, ReadFrame, RecvOutcome, RuntimeDir, ToDaemon,
    ToProvider,
};
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::shared_memory::SharedMemory;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(30);

#[test]
fn whatever_a_provider_sends_readers_are_answered_and_nothing_is_left() {
    Campaign::new("session").run(Host::new, |host, bytes| {
        let mut script = Script::new(bytes);
        let mut play = Play::begin(host, &mut script);
        // Longer scripts repeat themselves.
        for _ in 0..64 {
            if script.is_over() {
                break;
            }
            play.step(&mut script);
        }
        play.end()
    });
}

/// An engine without mount or bus.
struct Host {
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

struct NobodyWatches;

impl Observer for NobodyWatches {
    fn event(&self, _: EngineEvent) {}
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .unwrap();
        let options = EngineOptions::new(RuntimeDir::open(folder.path()).unwrap());
        Self {
            engine: Engine::start(options, Arc::new(NobodyWatches)).unwrap(),
            _folder: folder,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

/// The reader's side of a read: how many bytes it got or why not.
type Answer = Result<usize, Status>;

struct Reply(Sender<Answer>);

impl ReadReply for Reply {
    fn data(self: Box<Self>, bytes: &[u8]) {
        let _ = self.0.send(Ok(bytes.len()));
    }

    fn error(self: Box<Self>, status: Status) {
        let _ = self.0.send(Err(status));
    }
}

/// One session, from its registration to its end.
struct Play<'a> {
    engine: &'a Arc<Engine>,
    registration: Registration,
    channel: Channel,
    promises: Vec<PromiseNumber>,
    opened: Vec<Inode>,
    readers: Vec<(u32, Receiver<Answer>)>,
    memory: SharedMemory,
    /// Reads that came, in order, answered or not.
    asked: Vec<ReadFrame>,
}

impl<'a> Play<'a> {
    fn begin(host: &'a Host, script: &mut Script<'_>) -> Self {
        let client = Client {
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            program: "fuzz".into(),
            process: None,
        };
        let config = ProviderConfig {
            max_concurrent_reads: 1 + script.below(4) as u32,
            ..ProviderConfig::default()
        };
        let registration = host.engine.register(client, config).unwrap();
        let channel = Channel::from_fd(registration.channel.try_clone().unwrap()).unwrap();
        let memory = registration.arena.try_clone().unwrap();
        let memory = SharedMemory::map(memory, geometry_of(&channel));
        let mut play = Self {
            engine: &host.engine,
            registration,
            channel,
            memory,
            promises: Vec::new(),
            opened: Vec::new(),
            readers: Vec::new(),
            asked: Vec::new(),
        };
        play.commit();
        play
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0 | 1 => self.read(script),
            2 | 3 => self.answer(script),
            4 => self.answer_wrongly(script),
            5 => self.alive(script),
            6 => self.hello(script),
            7 => self.send(script.text()),
            8 => self.commit(),
            9 => {
                let promise = self.promise(script);
                let _ = self.engine.destroy(promise);
            }
            10 => {
                let inode = self.inode(script);
                if self.engine.open(inode, false).is_ok() {
                    self.opened.push(inode);
                }
            }
            11 => {
                let _ = shutdown(self.channel.as_fd(), Shutdown::Write);
            }
            12 => self.memory.say(script),
            13 => self.answer_through_ring(script),
            14 => self.memory.scribble(script),
            _ => self.send_frame(&ToDaemon::Bell),
        }
    }

    fn answer_through_ring(&mut self, script: &mut Script<'_>) {
        let Some(read) = self.asked(script) else {
            return;
        };
        let done = ToDaemon::Done {
            request: read.request,
            epoch: read.epoch,
            status: Status::Ok.code(),
            length: read.length / (1 + script.below(2) as u32),
        };
        match self.memory.put(&done.encode()) {
            Put::Done => {}
            Put::RingBell => self.send_frame(&ToDaemon::Bell),
            Put::Not => self.send_frame(&done),
        }
    }

    fn read(&mut self, script: &mut Script<'_>) {
        let inode = self.inode(script);
        let offset = match script.below(3) {
            0 => 0,
            1 => u64::from(script.byte()) << 12,
            _ => script.u64(),
        };
        let length = match script.below(3) {
            0 => 4096,
            1 => 1 << 20,
            _ => script.u32(),
        };
        let request = ReadRequest {
            inode,
            handle: 0,
            offset,
            length,
            tid: 0,
        };
        let (answer, answers) = channel();
        self.engine.read(request, Box::new(Reply(answer)));
        self.readers.push((length, answers));
    }

    /// As a provider should, or with another status or length.
    fn answer(&mut self, script: &mut Script<'_>) {
        let Some(read) = self.asked(script) else {
            return;
        };
        let status = match script.below(3) {
            0 | 1 => Status::Ok.code(),
            _ => script.byte().into(),
        };
        let length = match script.below(4) {
            0 | 1 => read.length,
            2 => read.length / 2,
            _ => script.byte().into(),
        };
        self.send_frame(&ToDaemon::Done {
            request: read.request,
            epoch: read.epoch,
            status,
            length,
        });
    }

    fn answer_wrongly(&mut self, script: &mut Script<'_>) {
        let read = self.asked(script);
        let (request, epoch) = read.map_or((0, 0), |read| (read.request, read.epoch));
        self.send_frame(&ToDaemon::Done {
            request: request.wrapping_add(script.byte().into()),
            epoch: epoch.wrapping_add(script.below(2) as u32),
            status: script.u32(),
            length: script.u32(),
        });
    }

    fn alive(&mut self, script: &mut Script<'_>) {
        let read = self.asked(script);
        let (request, epoch) = read.map_or((0, 0), |read| (read.request, read.epoch));
        self.send_frame(&ToDaemon::Alive {
            request: request.wrapping_add(script.below(2) as u64),
            epoch: epoch.wrapping_add(script.below(2) as u32),
        });
    }

    fn hello(&mut self, script: &mut Script<'_>) {
        let protocol = match script.below(4) {
            3 => script.u32(),
            _ => PROTOCOL_VERSION,
        };
        self.send_frame(&ToDaemon::Hello { protocol });
    }

    fn commit(&mut self) {
        let mut tree = TreeBuilder::new(PathRule::Utf8);
        for (name, size) in [("a", 100), ("b", 1 << 40), ("c", 0)] {
            let attr = NodeAttr {
                mode: 0o644,
                size,
                mtime_nsec: 0,
            };
            let id = name.as_bytes();
            tree.add_file(name.as_bytes(), attr, id).unwrap();
        }
        let (number, token) = (self.registration.provider, &self.registration.token);
        let image = seal(&tree).unwrap();
        let options = CommitOptions::default();
        // A session that was ended takes none.
        if let Ok(promise) = self.engine.commit(number, token, image, options) {
            self.promises.push(promise);
        }
    }

    fn promise(&self, script: &mut Script<'_>) -> PromiseNumber {
        let at = script.below(self.promises.len().max(1));
        self.promises.get(at).copied().unwrap_or(PromiseNumber(1))
    }

    /// Of a file, mostly; of the directory or of nothing at times.
    fn inode(&self, script: &mut Script<'_>) -> Inode {
        let promise = self.promise(script);
        Inode::new(promise, Row(script.below(6) as u32))
    }

    /// A read that came, the latest first.
    fn asked(&mut self, script: &mut Script<'_>) -> Option<ReadFrame> {
        while let Ok(RecvOutcome::Frame(frame)) = self.channel.recv(&mut [0; RECV_LEN]) {
            if let ToProvider::Read(read) = ToProvider::decode(&frame).unwrap() {
                self.asked.push(read);
            }
        }
        self.asked.extend(self.memory.reads());
        let back = script.below(self.asked.len().max(1));
        self.asked.iter().rev().nth(back).copied()
    }

    fn send_frame(&self, frame: &ToDaemon) {
        self.send(&frame.encode());
    }

    /// Whether it arrives does not matter.
    fn send(&self, packet: &[u8]) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = send(self.channel.as_fd(), packet, flags);
    }

    fn end(self) -> String {
        let Registration {
            provider, token, ..
        } = &self.registration;
        self.channel.shutdown();
        let mut outcomes = BTreeSet::new();
        for (length, reader) in self.readers {
            let answer = reader.recv_timeout(HANG).expect("a read was not answered");
            if let Ok(got) = answer {
                assert!(got <= length as usize, "{got} bytes for {length}");
            }
            outcomes.insert(format!("{:?}", answer.map(|got| got == 0)));
        }
        for inode in self.opened {
            self.engine.release(inode, 0);
        }
        let unregistered = self.engine.unregister(*provider, token);
        outcomes.insert(format!(
            "{:?}",
            unregistered.map_err(|failure| failure.status)
        ));
        let began = Instant::now();
        while held(&self.engine.gauges()) > 0 {
            let gauges = self.engine.gauges();
            assert!(
                began.elapsed() < HANG,
                "something is left: {outcomes:?} {gauges:?}"
            );
            std::thread::yield_now();
        }
        Vec::from_iter(outcomes).join(", ")
    }
}

/// The daemon says it before anything else.
fn geometry_of(channel: &Channel) -> Geometry {
    let outcome = channel.recv(&mut [0; RECV_LEN]).unwrap();
    let RecvOutcome::Frame(frame) = outcome else {
        panic!("{outcome:?} instead of Hello");
    };
    match ToProvider::decode(&frame).unwrap() {
        ToProvider::Hello { geometry, .. } => geometry,
        other => panic!("{other:?} instead of Hello"),
    }
}

fn held(gauges: &Gauges) -> u64 {
    let reads = gauges.in_flight + gauges.queued + gauges.slots_in_use + gauges.unsent_frames;
    let kept = gauges.providers + gauges.promises + gauges.nodes + gauges.image_bytes;
    reads + kept + gauges.opens + gauges.lookups
}
