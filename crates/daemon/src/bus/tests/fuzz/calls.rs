//! Every method there is, and arguments for it: mostly of the right type, often with values that
//! belong to something, so that calls get past the first check.

use std::fs::File;
use std::io::pipe;
use std::os::fd::OwnedFd;

use fuse_promise_testkit::fuzz::Script;
use fuse_promise_wire::bus::{
    IFACE_JOB, IFACE_MANAGER, IFACE_PROMISE, IFACE_PROVIDER, ROOT_PATH, option,
};
use fuse_promise_wire::image::seal_copy;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};

use super::message::Body;
use crate::bus::tests::rig::image;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Interface, member, types of the arguments.
pub const METHODS: [(&str, &str, &str); 21] = [
    (IFACE_MANAGER, "RegisterProvider", "a{sv}"),
    (IFACE_MANAGER, "Commit", "tayha{sv}"),
    (IFACE_MANAGER, "Materialize", "ayha{sv}"),
    (IFACE_MANAGER, "List", "ha{sv}"),
    (IFACE_PROVIDER, "Unregister", "ay"),
    (IFACE_PROVIDER, "GetImage", "s"),
    (IFACE_PROMISE, "Destroy", ""),
    (IFACE_PROMISE, "Nodes", "tu"),
    (IFACE_JOB, "Cancel", ""),
    (IFACE_JOB, "Confirm", ""),
    (IFACE_JOB, "Detach", ""),
    (IFACE_JOB, "Result", "uu"),
    (PROPERTIES, "Get", "ss"),
    (PROPERTIES, "Set", "ssv"),
    (PROPERTIES, "GetAll", "s"),
    (
        "org.freedesktop.DBus.ObjectManager",
        "GetManagedObjects",
        "",
    ),
    ("org.freedesktop.DBus.Introspectable", "Introspect", ""),
    ("org.freedesktop.DBus.Peer", "Ping", ""),
    (IFACE_PROVIDER, "Invalidate", "aysa{sv}"),
    (IFACE_MANAGER, "DestroyPromise", "s"),
    (IFACE_MANAGER, "Inspect", "ay"),
];

/// Every option of every method, with its type.
pub const OPTIONS: [(&str, &str); 14] = [
    (option::PROTOCOL, "u"),
    (option::MAX_CONCURRENT_READS, "u"),
    (option::READ_TIMEOUT_MS, "u"),
    (option::LABEL, "s"),
    (option::COMMIT_ID, "t"),
    (option::CACHE_POLICY, "s"),
    (option::PATH_CAPACITY, "t"),
    (option::EXPIRES, "t"),
    (option::POLICY, "s"),
    (option::SYNC, "b"),
    (option::DETACH, "b"),
    (option::CONFIRM, "b"),
    (option::NODES, "b"),
    (option::NODE_ID, "ay"),
];

const WORDS: [&str; 13] = [
    IFACE_MANAGER,
    IFACE_PROVIDER,
    IFACE_PROMISE,
    IFACE_JOB,
    "State",
    "Gauges",
    "Number",
    "Mount",
    "no-cache",
    "read-through",
    "overwrite",
    "rename",
    "keep",
];

/// What the peer has been told so far.
#[derive(Debug, Default)]
pub struct Known {
    /// Number and token of each session.
    pub providers: Vec<(u64, Vec<u8>)>,
    pub promises: Vec<u64>,
    pub jobs: Vec<u64>,
    /// Where promises are.
    pub mount_path: String,
}

impl Known {
    /// The object of an interface: an existing one, a number that may not exist, or anything.
    pub fn path(&self, interface: &str, script: &mut Script<'_>) -> Vec<u8> {
        let numbered = |kind: &str, known: Option<u64>, script: &mut Script<'_>| {
            let number = match (script.below(8), known) {
                (0, _) | (_, None) => u64::from(script.byte()),
                (_, Some(known)) => known,
            };
            format!("{ROOT_PATH}/{kind}/{number}").into_bytes()
        };
        match interface {
            IFACE_PROVIDER => numbered(
                "provider",
                self.providers.last().map(|known| known.0),
                script,
            ),
            IFACE_PROMISE => numbered("promise", self.promises.last().copied(), script),
            IFACE_JOB => numbered("job", self.jobs.last().copied(), script),
            IFACE_MANAGER => ROOT_PATH.into(),
            _ => match script.below(6) {
                0 => ROOT_PATH.into(),
                1 => numbered(
                    "provider",
                    self.providers.last().map(|known| known.0),
                    script,
                ),
                2 => numbered("promise", self.promises.last().copied(), script),
                3 => numbered("job", self.jobs.last().copied(), script),
                4 => b"/".to_vec(),
                _ => script.text().to_vec(),
            },
        }
    }

    /// Writes arguments of these types.
    pub fn arguments(&self, types: &str, script: &mut Script<'_>, body: &mut Body) {
        let mut types = types;
        while let Some(kind) = types.bytes().next() {
            let length = match types {
                text if text.starts_with("a{sv}") => 5,
                text if text.starts_with("ay") => 2,
                _ => 1,
            };
            match (kind, length) {
                (b'a', 5) => options(script, body),
                (b'a', _) => body.byte_array(&self.bytes(script)),
                (b's', _) => body.text(&self.text(script)),
                (b't', _) => {
                    let known = self.providers.last().map(|known| known.0);
                    let number = known.filter(|_| script.below(4) > 0);
                    body.u64(number.unwrap_or_else(|| number_of(script)));
                }
                (b'h', _) => body.u32(u32::from(script.byte()) / 128),
                (b'v', _) => variant(script, body),
                _ => body.u32(number_of(script) as u32),
            }
            types = &types[length..];
        }
    }

    /// A token, a path or anything.
    fn bytes(&self, script: &mut Script<'_>) -> Vec<u8> {
        let promise = self.promises.last().copied().unwrap_or(1);
        match script.below(4) {
            0 => script.text().to_vec(),
            1 => format!("{}/promise-{promise}", self.mount_path).into_bytes(),
            2 => format!("{}/promise-{promise}/dir", self.mount_path).into_bytes(),
            _ => self
                .providers
                .last()
                .map_or_else(|| script.bytes(32).to_vec(), |(_, token)| token.clone()),
        }
    }

    fn text(&self, script: &mut Script<'_>) -> Vec<u8> {
        match script.below(3) {
            0 => script.text().to_vec(),
            1 => WORDS[script.below(WORDS.len())].into(),
            _ => {
                let promise = self.promises.last().copied().unwrap_or(1);
                format!("promise-{promise}").into_bytes()
            }
        }
    }
}

fn number_of(script: &mut Script<'_>) -> u64 {
    match script.below(4) {
        0 => 1,
        1 | 2 => script.byte().into(),
        _ => script.u64(),
    }
}

fn options(script: &mut Script<'_>, body: &mut Body) {
    let count = script.below(6);
    body.array(|body| {
        for _ in 0..count {
            body.align(8);
            let (key, kind) = OPTIONS[script.below(OPTIONS.len())];
            match script.below(16) {
                0 => body.text(script.text()),
                _ => body.text(key.as_bytes()),
            }
            match script.below(8) {
                0 => variant(script, body),
                _ => {
                    body.signature(kind.as_bytes());
                    value(kind.as_bytes()[0], script, body);
                }
            }
        }
    });
}

fn value(kind: u8, script: &mut Script<'_>, body: &mut Body) {
    match kind {
        b't' => body.u64(number_of(script)),
        b'b' => body.u32(script.below(4) as u32 / 2),
        b'a' => match script.below(2) {
            0 => body.byte_array(b"id-0"),
            _ => body.byte_array(script.text()),
        },
        b's' => match script.below(2) {
            0 => body.text(WORDS[script.below(WORDS.len())].as_bytes()),
            _ => body.text(script.text()),
        },
        _ => body.u32(number_of(script) as u32),
    }
}

/// Of any type, also inside of others, also with a signature that is none.
fn variant(script: &mut Script<'_>, body: &mut Body) {
    match script.below(4) {
        0 => {
            for _ in 0..script.byte() {
                body.signature(b"v");
            }
            body.signature(b"y");
            body.0.push(0);
        }
        1 => {
            body.signature(b"a{sv}");
            body.array(|_| ());
        }
        2 => {
            let kind = b"ubtsh"[script.below(5)];
            body.signature(&[kind]);
            value(kind, script, body);
        }
        _ => {
            body.signature(script.text());
            body.0.extend(script.text());
        }
    }
}

/// Something that a call may carry; reading ends of pipes are kept in `ours`.
pub fn descriptor(script: &mut Script<'_>, ours: &mut Vec<OwnedFd>) -> OwnedFd {
    match script.below(10) {
        0 | 1 => image(3),
        2 => seal_copy(script.text()).unwrap_or_else(|_| image(0)),
        3 => {
            let (reader, writer) = pipe().unwrap();
            ours.push(reader.into());
            writer.into()
        }
        4 => pipe().unwrap().0.into(),
        5 => {
            let unsealed = memfd_create("unsealed", MemfdFlags::ALLOW_SEALING).unwrap();
            rustix::io::write(&unsealed, script.text()).unwrap();
            if script.below(2) == 1 {
                fcntl_add_seals(&unsealed, SealFlags::GROW | SealFlags::SHRINK).unwrap();
            }
            unsealed
        }
        6 => File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into(),
        7 => {
            // Looking into it is allowed, making files is not.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            open("/proc/self", flags, Mode::empty()).unwrap()
        }
        8 => eventfd(0, EventfdFlags::CLOEXEC).unwrap(),
        _ => std::os::unix::net::UnixStream::pair().unwrap().0.into(),
    }
}
