//! Every method of the bus with arguments that a script of bytes chooses: the daemon answers each
//! call or closes the connection, goes on to serve others, and holds nothing afterwards.

mod calls;
mod contract;
mod message;
mod peer;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fuse_promise_core::ids::{ProviderNumber, Token};
use fuse_promise_engine::Gauges;
use fuse_promise_testkit::fuzz::{Campaign, Script};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::rig::Rig;
use crate::bus::events::Scope;
use calls::{Known, METHODS, descriptor};
use message::{Answer, Body, Call};
use peer::Peer;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(30);

/// As much as one peer says.
const CALLS_MAX: usize = 24;

#[test]
fn every_call_is_answered_whatever_its_arguments_are() {
    Campaign::new("bus").run(Host::new, |host, bytes| {
        let mut script = Script::new(bytes);
        let scope = match script.below(2) {
            0 => Scope::Session,
            _ => Scope::Process(std::process::id()),
        };
        let mut play = Play::begin(host, scope);
        for _ in 0..CALLS_MAX {
            if script.is_over() || play.peer.is_none() {
                break;
            }
            play.step(&mut script);
        }
        play.end(&mut script)
    });
}

/// A daemon on a thread of its own.
struct Host {
    rig: Option<Rig>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // Fails when the sender is gone, which means the same.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        let entered = handle.enter();
        // A session whose token was lost with a connection goes by itself.
        let rig = Rig::with(|options| options.linger = Duration::from_millis(1));
        drop(entered);
        Self {
            rig: Some(rig),
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn rig(&self) -> &Rig {
        self.rig.as_ref().expect("it goes with us")
    }

    fn connect(&self, scope: Scope) -> Peer {
        let _entered = self.handle.enter();
        let (stream, _serving) = self.rig().serve(scope);
        Peer::over(stream)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.rig.take());
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What one peer does.
struct Play<'a> {
    host: &'a Host,
    peer: Option<Peer>,
    known: Known,
    /// Our ends of pipes that the daemon writes into.
    pipes: Vec<OwnedFd>,
    outcomes: BTreeSet<String>,
}

impl<'a> Play<'a> {
    fn begin(host: &'a Host, scope: Scope) -> Self {
        let mount_path = host.rig().daemon.runtime_dir.mount_path();
        Self {
            host,
            peer: Some(host.connect(scope)),
            known: Known {
                mount_path: mount_path.to_string_lossy().into_owned(),
                ..Known::default()
            },
            pipes: Vec::new(),
            outcomes: BTreeSet::new(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let (interface, member, types) = METHODS[script.below(METHODS.len())];
        let path = self.known.path(interface, script);
        let mut body = Body::default();
        self.known.arguments(types, script, &mut body);
        let mut descriptors = Vec::new();
        if types.contains('h') {
            descriptors.push(descriptor(script, &mut self.pipes));
        }
        let (mut signature, mut count) = (types.as_bytes(), descriptors.len() as u32);
        let (mut member, mut interface) = (member.as_bytes(), interface.as_bytes());
        match script.below(16) {
            0 => spoil(&mut body.0, script),
            1 => signature = script.text(),
            2 => count = script.below(20) as u32,
            3 => descriptors.push(descriptor(script, &mut self.pipes)),
            4 => member = script.text(),
            5 => interface = script.text(),
            6 => body.0 = script.text().to_vec(),
            7 => body.0.truncate(script.below(64)),
            _ => {}
        }
        let call = Call {
            path: &path,
            interface,
            member,
            signature,
            descriptors: count,
            body: &body.0,
        };
        let answer = self
            .peer
            .as_mut()
            .and_then(|peer| peer.call(&call, &descriptors));
        let member = String::from_utf8_lossy(member).into_owned();
        let Some(answer) = answer else {
            self.outcomes.insert(format!("{member} closed"));
            self.peer = None;
            return;
        };
        self.learn(&member, &answer);
        self.outcomes.insert(format!("{member} {}", answer.error));
    }

    fn learn(&mut self, member: &str, answer: &Answer) {
        if !answer.is_return {
            return;
        }
        match member {
            "RegisterProvider" => self.known.providers.extend(answer.registration()),
            "Commit" => self.known.promises.extend(answer.trailing_number()),
            "Materialize" => self.known.jobs.extend(answer.trailing_number()),
            _ => {}
        }
    }

    fn end(mut self, script: &mut Script<'_>) -> String {
        let engine = &self.host.rig().daemon.engine;
        if let Some(peer) = self.peer.take() {
            peer.end_with(script.text());
        }
        for job in engine.jobs() {
            // It may have ended by now.
            let _ = engine.cancel_job(job);
        }
        for (number, token) in &self.known.providers {
            let token = Token::from_slice(token).expect("tokens have their length");
            // The peer may have done it.
            let _ = engine.unregister(ProviderNumber(*number), &token);
        }
        let mut witness = self.host.connect(Scope::Session);
        let ping = Call {
            path: b"/",
            interface: b"org.freedesktop.DBus.Peer",
            member: b"Ping",
            signature: b"",
            descriptors: 0,
            body: b"",
        };
        let answer = witness.call(&ping, &[]).expect("others are served");
        assert!(answer.is_return, "others are served: {}", answer.error);
        let began = Instant::now();
        while held(&engine.gauges()) > 0 {
            let gauges = engine.gauges();
            assert!(began.elapsed() < HANG, "something is left: {gauges:?}");
            std::thread::yield_now();
        }
        Vec::from_iter(self.outcomes).join(", ")
    }
}

fn held(gauges: &Gauges) -> u64 {
    let reads = gauges.in_flight + gauges.queued + gauges.slots_in_use + gauges.unsent_frames;
    reads + gauges.providers + gauges.promises + gauges.nodes + gauges.image_bytes + gauges.opens
}

fn spoil(body: &mut [u8], script: &mut Script<'_>) {
    for _ in 0..=script.below(3) {
        let (at, with) = (usize::from(script.byte()), script.byte());
        if let Some(byte) = body.get_mut(at) {
            *byte ^= with;
        }
    }
}
