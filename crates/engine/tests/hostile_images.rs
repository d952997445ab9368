//! Images that lie, by the way that a provider has: Commit. Each is refused with a reason, and then
//! everything is as it was: what is published, what is charged, what number comes next.

mod support;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fuse_promise_core::failure::Failure;
use fuse_promise_core::ids::PromiseNumber;
use fuse_promise_core::limits;
use fuse_promise_core::status::Status;
use fuse_promise_engine::CommitOptions;
use fuse_promise_wire::RecvOutcome;
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::image::{seal, seal_copy};
use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::io::pwrite;
use support::forged::{
    AA, AA_CC, EE, claim_rows, field, good, good_tree, header, length_with_rows, name_at, put,
    put_in_header, put_in_row, rename, with,
};
use support::{FakeProvider, HANG, Rig, node};

const ALL_SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// An engine with a promise published already.
struct Stage {
    rig: Rig,
    provider: FakeProvider,
}

impl Stage {
    fn new() -> Self {
        let rig = Rig::new();
        let provider = rig.provider();
        rig.commit(&provider, &[("there", 1)]);
        rig.settle("not greeted", |gauges| gauges.unsent_frames == 0);
        rig.events();
        Self { rig, provider }
    }

    fn commit(&self, image: OwnedFd) -> Result<PromiseNumber, Failure> {
        let Self { rig, provider } = self;
        let options = CommitOptions::default();
        rig.engine
            .commit(provider.number, &provider.token, image, options)
    }

    /// The image is refused for this reason, and nothing has changed.
    #[track_caller]
    fn refuses(&self, image: OwnedFd, why: &str) {
        let engine = &self.rig.engine;
        let charged = || {
            let provider = engine.provider(self.provider.number).unwrap();
            (provider.promises, provider.state)
        };
        let (gauges, charges, promises) = (engine.gauges(), charged(), engine.promises());
        let refused = self.commit(image).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument, "{refused}");
        assert!(refused.message.contains(why), "{refused}");
        assert_eq!(engine.gauges(), gauges);
        assert_eq!(charged(), charges);
        assert_eq!(engine.promises(), promises);
        assert!(self.rig.events().is_empty());
        let told = self.provider.channel.recv(&mut [0; RECV_LEN]).unwrap();
        assert!(matches!(told, RecvOutcome::Empty), "{told:?}");
    }

    #[track_caller]
    fn refuses_bytes(&self, image: &[u8], why: &str) {
        self.refuses(seal_copy(image).unwrap(), why);
    }

    /// The next commit has the next number, as if nothing had been.
    fn goes_on(self) {
        let next = self.commit(seal(&good_tree()).unwrap()).unwrap();
        assert_eq!(next, PromiseNumber(2));
        let view = self.rig.engine.promise_tree(next).unwrap();
        assert!(view.view().resolve(b"aa/cc/dd").is_some());
    }
}

#[test]
fn the_image_that_the_others_are_made_from_is_good() {
    let stage = Stage::new();
    assert_eq!(
        stage.commit(seal_copy(&good()).unwrap()),
        Ok(PromiseNumber(2))
    );
}

#[test]
fn unsorted() {
    let stage = Stage::new();
    let why = "does not come after that of the row before";
    stage.refuses_bytes(&with(|image| rename(image, AA, b"ff")), why);
    stage.refuses_bytes(&with(|image| rename(image, AA_CC, b"ba")), why);
    stage.goes_on();
}

#[test]
fn duplicate() {
    let stage = Stage::new();
    let why = "does not come after that of the row before";
    stage.refuses_bytes(&with(|image| rename(image, AA, b"ee")), why);
    stage.refuses_bytes(&with(|image| rename(image, AA_CC, b"bb")), why);
    stage.goes_on();
}

#[test]
fn cyclic() {
    let stage = Stage::new();
    for (row, first_child) in [(AA_CC, AA), (AA_CC, AA_CC), (AA, AA), (0, 0)] {
        let image = with(|image| put_in_row(image, row, field::FIRST_CHILD, first_child as u32));
        stage.refuses_bytes(&image, "the image is not valid: row");
    }
    for (row, parent) in [(AA, AA_CC), (AA_CC, AA_CC), (EE, EE), (EE, 6), (0, AA)] {
        let image = with(|image| put_in_row(image, row, field::PARENT, parent as u32));
        stage.refuses_bytes(&image, "the image is not valid: row");
    }
    // Both ends agree on it.
    let image = with(|image| {
        put_in_row(image, AA_CC, field::FIRST_CHILD, AA as u32);
        put_in_row(image, AA, field::PARENT, AA_CC as u32);
    });
    stage.refuses_bytes(&image, "is not the directory it is in");
    stage.goes_on();
}

#[test]
fn out_of_range_offsets() {
    let stage = Stage::new();
    let len = good().len() as u64;
    for table in [
        header::NAMES_OFFSET,
        header::NAMES_LEN,
        header::IDS_OFFSET,
        header::IDS_LEN,
        header::SIDE_OFFSET,
        header::TOTAL_LEN,
    ] {
        for value in [0, len + 1, 1 << 40, u64::MAX - 7, u64::MAX] {
            let image = with(|image| put_in_header(image, table, value));
            stage.refuses_bytes(&image, "where its counts put them");
        }
    }
    for offset in [0, len as u32, i32::MAX as u32, u32::MAX] {
        let image = with(|image| put_in_row(image, EE, field::NAME_OFFSET, offset));
        stage.refuses_bytes(&image, "name is not at its place");
        let image = with(|image| put_in_row(image, EE, field::ID_OFFSET, offset));
        stage.refuses_bytes(&image, "node id is not at its place");
        let image = with(|image| put_in_row(image, AA, field::FIRST_CHILD, offset));
        stage.refuses_bytes(&image, "not the next rows that belong to nobody");
    }
    stage.goes_on();
}

#[test]
fn bad_names() {
    let stage = Stage::new();
    for name in [b"e/", b"/e", b"//", b".."] {
        let image = with(|image| rename(image, EE, name));
        stage.refuses_bytes(&image, "no node can have the name");
    }
    let image = with(|image| rename(image, EE, b"e\0"));
    stage.refuses_bytes(&image, "name is not at its place");
    let image = with(|image| rename(image, EE, b"e\xff"));
    stage.refuses_bytes(&image, "whether its names are all UTF-8");
    for len in [0_u16, 1, 256, u16::MAX] {
        let image = with(|image| {
            let at = header::LEN + EE * field::ROW_LEN + field::NAME_LEN;
            put(image, at, &len.to_ne_bytes());
        });
        stage.refuses_bytes(&image, "name");
    }
    stage.goes_on();
}

#[test]
fn truncated() {
    let stage = Stage::new();
    let good = good();
    for len in 1..good.len() {
        stage.refuses_bytes(&good[..len], "the image is not valid");
    }
    stage.refuses_bytes(&[&good[..], b"\0"].concat(), "it says");
    stage.goes_on();
}

#[test]
fn wrong_seals() {
    let stage = Stage::new();
    for missing in [
        SealFlags::SEAL,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::WRITE,
        ALL_SEALS,
    ] {
        let image = unsealed(&good());
        fcntl_add_seals(&image, ALL_SEALS - missing).unwrap();
        stage.refuses(image, "lacks the seals");
    }
    // Whoever has it mapped already could still write into it.
    let image = unsealed(&good());
    let future = (ALL_SEALS - SealFlags::WRITE) | SealFlags::FUTURE_WRITE;
    fcntl_add_seals(&image, future).unwrap();
    stage.refuses(image, "lacks the seals WRITE");
    let (pipe, _end) = rustix::pipe::pipe().unwrap();
    stage.refuses(pipe, "not a memfd");
    stage.refuses(
        std::fs::File::open("/dev/zero").unwrap().into(),
        "not a memfd",
    );
    stage.goes_on();
}

#[test]
fn huge_counts_in_a_small_image() {
    let stage = Stage::new();
    let before = most_addresses();
    for count in [limits::NODES_MAX, limits::NODES_MAX + 1] {
        let mut image = with(|image| put(image, header::NODE_COUNT, &count.to_ne_bytes()));
        image.resize(4096, 0);
        stage.refuses_bytes(&image, "the image is not valid");
        // As if the tables were as long.
        claim_rows(&mut image, count);
        stage.refuses_bytes(&image, "the image is not valid");
    }
    for row in [0, AA, AA_CC] {
        let image = with(|image| put_in_row(image, row, field::CHILD_COUNT, u32::MAX));
        stage.refuses_bytes(&image, "not the next rows that belong to nobody");
    }
    // Not even a byte for each row that was claimed.
    let grown = most_addresses() - before;
    assert!(
        grown < u64::from(limits::NODES_MAX),
        "room for {grown} bytes was made"
    );
    stage.goes_on();
}

#[test]
fn memory_that_is_not_there() {
    let stage = Stage::new();
    const NODES: u32 = 1 << 20;
    let mut start = good()[..header::LEN].to_vec();
    claim_rows(&mut start, NODES);
    let image = unsealed(&start);
    ftruncate(&image, length_with_rows(NODES)).unwrap();
    fcntl_add_seals(&image, ALL_SEALS).unwrap();
    let blocks = |image: &OwnedFd| fstat(image).unwrap().st_blocks;
    let taken = blocks(&image);
    stage.refuses(image.try_clone().unwrap(), "has a hole");
    assert_eq!(blocks(&image), taken, "looking at it filled it");
    stage.goes_on();
}

#[test]
fn over_the_largest_image() {
    let stage = Stage::new();
    let image = unsealed(&good());
    ftruncate(&image, limits::IMAGE_LEN_MAX + 1).unwrap();
    fcntl_add_seals(&image, ALL_SEALS).unwrap();
    let value = (limits::IMAGE_LEN_MAX + 1).to_string();
    stage.refuses(image.try_clone().unwrap(), &value);
    stage.refuses(image, &limits::IMAGE_LEN_MAX.to_string());
    // At the limit it is the header that does not agree.
    let image = unsealed(&good());
    ftruncate(&image, limits::IMAGE_LEN_MAX).unwrap();
    fcntl_add_seals(&image, ALL_SEALS).unwrap();
    stage.refuses(image, "it says");
    stage.goes_on();
}

/// Somebody writes another name into the image for as long as that goes: either the image is
/// refused, or what was checked is what is served.
#[test]
fn changed_while_being_read() {
    let stage = Stage::new();
    let place = name_at(&good(), EE) as u64;
    for _ in 0..20 {
        let image = unsealed(&good());
        let (stop, began) = (AtomicBool::new(false), AtomicBool::new(false));
        let outcomes = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for name in [b"e/", b"ee"].iter().cycle() {
                    let is_last = stop.load(Ordering::SeqCst);
                    let written = pwrite(&image, *name, place);
                    began.store(true, Ordering::SeqCst);
                    if is_last {
                        return written;
                    }
                }
                unreachable!("a cycle does not end")
            });
            wait_for(&began);
            stage.refuses(image.try_clone().unwrap(), "lacks the seals");
            fcntl_add_seals(&image, ALL_SEALS).unwrap();
            let committed = stage.commit(image.try_clone().unwrap());
            stop.store(true, Ordering::SeqCst);
            (committed, writer.join().unwrap())
        });
        let (committed, last_write) = outcomes;
        assert_eq!(last_write, Err(rustix::io::Errno::PERM));
        assert_eq!(fcntl_get_seals(&image).unwrap(), ALL_SEALS);
        match committed {
            Ok(promise) => {
                let found = stage.rig.engine.lookup(node(promise, 0), b"ee");
                assert_eq!(found.unwrap().inode, node(promise, EE as u32));
                stage.rig.engine.forget(node(promise, EE as u32), 1);
                stage.rig.engine.destroy(promise).unwrap();
            }
            Err(refused) => assert!(refused.message.contains("\"e/\""), "{refused}"),
        }
        while stage.provider.asked_already().is_some() {}
        stage.rig.events();
    }
}

fn wait_for(flag: &AtomicBool) {
    let end = Instant::now() + HANG;
    while !flag.load(Ordering::SeqCst) {
        assert!(Instant::now() < end, "the writer does not begin");
        std::thread::yield_now();
    }
}

/// A memfd with these bytes that anybody can still change.
fn unsealed(bytes: &[u8]) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let image = memfd_create("image", flags).unwrap();
    assert_eq!(pwrite(&image, bytes, 0), Ok(bytes.len()));
    image
}

/// The most bytes of addresses that this process ever had: what was asked for shows here even if
/// it was given back at once and never touched.
fn most_addresses() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() << 10
}
