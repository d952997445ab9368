use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fuse_promise_core::attr::NodeAttr;
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::path::PathRule;
use fuse_promise_engine::{
    Client, CommitOptions, EngineEvent, EngineOptions, Observer, ProviderConfig, Registration,
};
use fuser::{FopenFlags, InitFlags};

use super::fake_kernel::{
    FakeKernel, NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, Packet, READAHEAD, halves, opcode, words,
};
use super::*;
use crate::private_directory::PrivateDirectory;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: EngineEvent) {}
}

/// One promise, `promise-1` with `dir` and `dir/file` of 1025 bytes, as the kernel sees it.
struct Stage {
    engine: Arc<Engine>,
    kernel: FakeKernel,
    session: FuseSession,
    init: Packet,
    ended: Receiver<()>,
    registration: Registration,
    _directory: PrivateDirectory,
}

const ROOT: u64 = Inode::ROOT.0;
const ENOENT: i32 = 2;
const EROFS: i32 = 30;
const ENOSYS: i32 = 38;

fn node(row: u32) -> u64 {
    Inode::new(PromiseNumber(1), Row(row)).0
}

impl Stage {
    fn new() -> Self {
        Self::with(InitFlags::all())
    }

    fn with(offered: InitFlags) -> Self {
        let directory = PrivateDirectory::new();
        let options = EngineOptions::new(directory.runtime_dir());
        let engine = Engine::start(options, Arc::new(Nobody)).unwrap();
        let (kernel, device) = FakeKernel::new(offered);
        let (sender, ended) = channel();
        let tell = move || {
            // The test may be over before the session is.
            let _ = sender.send(());
        };
        let session = start(device, Arc::clone(&engine), tell).unwrap();
        engine.set_kernel(Arc::clone(&session.kernel));
        let init = kernel.receive();
        assert_root_is_stale(&kernel.receive());
        let registration = publish(&engine);
        assert_root_is_stale(&kernel.receive());
        Self {
            engine,
            kernel,
            session,
            init,
            ended,
            registration,
            _directory: directory,
        }
    }

    fn lookup(&mut self, parent: u64, name: &str) -> Packet {
        let body = format!("{name}\0");
        self.kernel.ask(opcode::LOOKUP, parent, body.as_bytes())
    }

    /// The names of a listing from an offset on, in so many bytes at a time.
    fn read_directory(&mut self, opcode: u32, directory: u64, offset: u64, room: u32) -> Packet {
        let ([low, high], [from_low, from_high]) = (halves(0), halves(offset));
        let body = words(&[low, high, from_low, from_high, room, 0, 0, 0, 0, 0]);
        self.kernel.ask(opcode, directory, &body)
    }

    fn flags_of_open(&mut self, opcode: u32, node: u64) -> FopenFlags {
        let opened = self.kernel.ask(opcode, node, &words(&[0, 0]));
        assert_eq!(opened.error, 0);
        FopenFlags::from_bits_retain(opened.u32(8))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

/// A notice that the root has other attributes; its pages, of which there are none, are no matter.
#[track_caller]
fn assert_root_is_stale(notice: &Packet) {
    assert_eq!((notice.error, notice.u64(0)), (NOTIFY_INVAL_INODE, ROOT));
    assert!(notice.u64(8).cast_signed() < 0, "{notice:?}");
}

fn publish(engine: &Engine) -> Registration {
    let client = Client {
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        program: "test".into(),
        process: None,
    };
    let registration = engine.register(client, ProviderConfig::default()).unwrap();
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let (mtime_nsec, mode) = (1_500_000_001, 0o2750);
    let directory = NodeAttr {
        mode,
        size: 0,
        mtime_nsec,
    };
    let file = NodeAttr {
        size: 1025,
        ..directory
    };
    tree.add_dir(b"dir", directory, b"d").unwrap();
    tree.add_file(b"dir/file", file, b"f").unwrap();
    let image = fuse_promise_wire::image::seal(&tree).unwrap();
    let options = CommitOptions {
        commit_id: 1,
        ..CommitOptions::default()
    };
    let (provider, token) = (registration.provider, &registration.token);
    engine.commit(provider, token, image, options).unwrap();
    registration
}

/// Where the parts lie in the kernel's structures.
mod at {
    /// In an answer to LOOKUP: node, lifetimes of name and attributes, attributes.
    pub const NODE: usize = 0;
    pub const ENTRY_VALID: usize = 16;
    pub const ENTRY_ATTR_VALID: usize = 24;
    pub const ENTRY_ATTR: usize = 40;
    /// In an answer to GETATTR.
    pub const ATTR_VALID: usize = 0;
    pub const ATTR: usize = 16;
}

#[test]
fn init_settles_the_terms() {
    let stage = Stage::new();
    let init = &stage.init;
    assert_eq!(init.error, 0);
    assert_eq!(init.u16(16), 7000, "background requests");
    assert_eq!(init.u32(20), 1 << 20, "the largest request");
    let pages = (1 << 20) / rustix::param::page_size();
    assert_eq!(
        usize::from(init.u16(28)),
        pages,
        "the largest READ, in pages"
    );
    let enabled = u64::from(init.u32(12)) | u64::from(init.u32(32)) << 32;
    let negotiated = stage.session.negotiated;
    let asked = InitFlags::from_bits_retain(enabled);
    let agreed = InitFlags::from_bits_retain(negotiated.enabled);
    assert!(asked.contains(agreed));
    assert!(
        agreed.contains(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP | InitFlags::FUSE_READDIRPLUS_AUTO)
    );
    assert_eq!(negotiated.version, (7, 45));
    assert_eq!(negotiated.max_readahead, READAHEAD);
}

#[test]
fn attributes_are_kept() {
    let mut stage = Stage::new();
    let getattr = words(&[0; 4]);
    let root = stage.kernel.ask(opcode::GETATTR, ROOT, &getattr);
    assert!(root.u64(at::ATTR_VALID) >= 3600);
    let file = stage.kernel.ask(opcode::GETATTR, node(2), &getattr);
    assert!(file.u64(at::ATTR_VALID) >= 3600);
    let attr = |offset: usize| file.u64(at::ATTR + offset);
    assert_eq!((attr(0), attr(8), attr(16)), (node(2), 1025, 3));
    let word = |offset: usize| file.u32(at::ATTR + offset);
    let (seconds, nanoseconds) = (attr(32), word(52));
    assert_eq!((seconds, nanoseconds), (1, 500_000_001));
    assert_eq!((word(60), word(64), word(80)), (0o102_750, 1, 131_072));
}

#[test]
fn names_are_kept_and_what_is_missing_in_a_promise_stays_missing() {
    let mut stage = Stage::new();
    let promise = stage.lookup(ROOT, "promise-1");
    assert_eq!((promise.error, promise.u64(at::NODE)), (0, node(0)));
    assert!(promise.u64(at::ENTRY_VALID) >= 3600);
    assert!(promise.u64(at::ENTRY_ATTR_VALID) >= 3600);
    let directory = stage.lookup(node(0), "dir");
    assert_eq!(directory.u64(at::ENTRY_ATTR), node(1));

    let absent = stage.lookup(node(1), "nothing");
    assert_eq!((absent.error, absent.u64(at::NODE)), (0, 0));
    assert!(absent.u64(at::ENTRY_VALID) >= 3600);
    // A promise of that name may come.
    assert_eq!(stage.lookup(ROOT, "promise-2").error, -ENOENT);
}

#[test]
fn references_are_counted_up_and_down() {
    let mut stage = Stage::new();
    stage.lookup(ROOT, "promise-1");
    stage.lookup(node(0), "dir");
    stage.lookup(node(0), "nothing");
    assert_eq!(stage.engine.gauges().lookups, 2);
    // The dots are not counted.
    stage.read_directory(opcode::READDIRPLUS, node(1), 0, 4096);
    assert_eq!(stage.engine.gauges().lookups, 3);
    stage.read_directory(opcode::READDIR, node(1), 0, 4096);
    assert_eq!(stage.engine.gauges().lookups, 3);
    for row in 0..3 {
        stage
            .kernel
            .send(opcode::FORGET, node(row), &words(&halves(1)));
    }
    // FORGET has no answer; requests of one connection may be served side by side.
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while stage.engine.gauges().lookups != 0 {
        assert!(std::time::Instant::now() < until, "FORGET was not counted");
        std::thread::yield_now();
    }
}

#[test]
fn a_listing_goes_on_where_it_stopped() {
    let mut stage = Stage::new();
    let mut names = Vec::new();
    let mut offset = 0;
    loop {
        // Room for one entry: 24 bytes and a name of at most 8.
        let piece = stage.read_directory(opcode::READDIR, node(1), offset, 32);
        if piece.body.is_empty() {
            break;
        }
        let length = piece.u32(16) as usize;
        names.push(String::from_utf8(piece.body[24..24 + length].to_vec()).unwrap());
        offset = piece.u64(8);
    }
    assert_eq!(names, [".", "..", "file"]);
}

#[test]
fn a_file_is_read_past_the_cache_if_it_can_still_be_mapped() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.flags_of_open(opcode::OPEN, node(2)),
        FopenFlags::FOPEN_DIRECT_IO
    );
    let old = InitFlags::all() - InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
    let mut stage = Stage::with(old);
    assert_eq!(
        stage.flags_of_open(opcode::OPEN, node(2)),
        FopenFlags::empty()
    );
    assert!(!stage.session.negotiated.maps_direct_io());
}

#[test]
fn listings_are_kept_except_that_of_the_root() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.flags_of_open(opcode::OPENDIR, ROOT),
        FopenFlags::empty()
    );
    let kept = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
    assert_eq!(stage.flags_of_open(opcode::OPENDIR, node(1)), kept);
}

#[test]
fn opens_are_counted_until_they_are_released() {
    let mut stage = Stage::new();
    stage.flags_of_open(opcode::OPEN, node(2));
    stage.flags_of_open(opcode::OPENDIR, node(1));
    assert_eq!(stage.engine.gauges().opens, 2);
    let release = words(&[0; 6]);
    assert_eq!(
        stage.kernel.ask_errno(opcode::RELEASE, node(2), &release),
        0
    );
    assert_eq!(
        stage
            .kernel
            .ask_errno(opcode::RELEASEDIR, node(1), &release),
        0
    );
    assert_eq!(stage.engine.gauges().opens, 0);
}

#[test]
fn a_read_is_answered_when_its_answer_is_known_and_nothing_waits_for_it() {
    let mut stage = Stage::new();
    let read = words(&[0, 0, 0, 0, 4096, 0, 0, 0, 0, 0]);
    stage.kernel.send(opcode::READ, node(2), &read);
    // Two threads: if one of them waited for the provider, many of these would take its turn.
    for _ in 0..100 {
        assert_eq!(stage.lookup(node(0), "dir").error, 0);
    }
    // The provider goes: the read fails.
    let Registration {
        provider, token, ..
    } = &stage.registration;
    stage.engine.unregister(*provider, token).unwrap();
    let packets = [(); 4].map(|()| stage.kernel.receive());
    let (notices, replies): (Vec<_>, Vec<_>) =
        packets.into_iter().partition(|packet| packet.unique == 0);
    assert_eq!(replies[0].error, -5);
    // By the thread that makes the change; names are taken back by one of their own.
    let (stale, names): (Vec<_>, Vec<_>) = notices
        .into_iter()
        .partition(|notice| notice.error == NOTIFY_INVAL_INODE);
    assert_root_is_stale(&stale[0]);
    // The kernel forgets what it may know inside the promise, and then its name.
    let names = names.iter().map(|notice| {
        assert_eq!(notice.error, NOTIFY_INVAL_ENTRY);
        (notice.u64(0), &notice.body[16..])
    });
    assert!(names.eq([(node(0), &b"dir\0"[..]), (ROOT, b"promise-1\0")]));
}

#[test]
fn past_the_end_there_is_nothing() {
    let mut stage = Stage::new();
    let [low, high] = halves(1025);
    let read = words(&[0, 0, low, high, 4096, 0, 0, 0, 0, 0]);
    let reply = stage.kernel.ask(opcode::READ, node(2), &read);
    assert_eq!((reply.error, reply.body.len()), (0, 0));
}

#[test]
fn what_writes_is_refused_and_what_has_no_meaning_is_not_asked_again() {
    let mut stage = Stage::new();
    let mut errno = |opcode, body: &[u8]| stage.kernel.ask_errno(opcode, node(1), body);
    assert_eq!(errno(opcode::MKDIR, b"\0\0\0\0\0\0\0\0name\0"), EROFS);
    assert_eq!(errno(opcode::UNLINK, b"file\0"), EROFS);
    assert_eq!(errno(opcode::RMDIR, b"file\0"), EROFS);
    assert_eq!(errno(opcode::REMOVEXATTR, b"user.x\0"), EROFS);
    assert_eq!(errno(opcode::WRITE, &words(&[0; 10])), EROFS);
    assert_eq!(errno(opcode::FLUSH, &words(&[0; 6])), ENOSYS);
    assert_eq!(errno(opcode::FSYNC, &words(&[0; 4])), ENOSYS);
    assert_eq!(errno(opcode::LSEEK, &words(&[0; 6])), ENOSYS);
    // Opening for writing comes here only if somebody made the mount writable.
    let open_for_writing = words(&[1, 0]);
    assert_eq!(
        stage
            .kernel
            .ask_errno(opcode::OPEN, node(2), &open_for_writing),
        EROFS
    );
}

#[test]
fn extended_attributes_are_sized_first_and_then_sent() {
    let mut stage = Stage::new();
    let mut get = |room: u32, name: &str| {
        let mut body = words(&[room, 0]);
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        stage.kernel.ask(opcode::GETXATTR, node(2), &body)
    };
    assert_eq!(get(0, "user.fuse-promise.state").u32(0), 9);
    assert_eq!(get(8, "user.fuse-promise.state").error, -34);
    assert_eq!(get(64, "user.fuse-promise.state").body, b"available");
    assert_eq!(get(64, "user.none").error, -61);
    let names = stage
        .kernel
        .ask(opcode::LISTXATTR, node(2), &words(&[4096, 0]));
    assert_eq!(
        names.body, b"",
        "they are computed, and not for programs that copy"
    );
}

#[test]
fn df_is_full_of_what_is_published() {
    let mut stage = Stage::new();
    let totals = stage.kernel.ask(opcode::STATFS, ROOT, &[]);
    let [blocks, free, available, nodes, free_nodes] = [0, 8, 16, 24, 32].map(|at| totals.u64(at));
    let (unit, fundamental_unit) = (totals.u32(40), totals.u32(48));
    assert_eq!((blocks, free, available), (3, 0, 0));
    assert_eq!((nodes, free_nodes), (stage.engine.totals().nodes, 0));
    assert_eq!((unit, fundamental_unit), (512, 512));
}

#[test]
fn the_end_of_the_connection_is_told() {
    let stage = Stage::new();
    stage.kernel.hang_up();
    stage.ended.recv_timeout(Duration::from_secs(60)).unwrap();
}
