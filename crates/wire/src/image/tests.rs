use super::*;
use fuse_promise_core::{NodeAttr, PathRule, Row, Status};
use rustix::fs::{SealFlags, fstat, ftruncate};
use rustix::io::{FdFlags, dup, fcntl_getfd, pwrite};
use rustix::param::page_size;

const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 5,
    mtime_nsec: 1,
};

fn tree() -> TreeBuilder {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    let dir = NodeAttr { size: 0, ..FILE };
    tree.add_dir(b"d", dir, b"dir").expect("a good node");
    tree.add_file(b"d/f", FILE, b"file").expect("a good node");
    tree
}

fn image_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    tree().write_image(&mut bytes).expect("memory");
    bytes
}

/// A memfd with these bytes and seals.
fn memfd(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let fd = memfd::create("test").expect("a memfd");
    assert_eq!(pwrite(&fd, bytes, 0), Ok(bytes.len()));
    memfd::add_seals(&fd, seals).expect("sealing is allowed");
    fd
}

fn hole_behind_a_page() -> String {
    format!("hole at byte {}", page_size())
}

fn refusal(fd: impl Into<OwnedFd>) -> Failure {
    let refused = MappedImage::open(fd.into()).expect_err("it must be refused");
    assert_eq!(refused.status, Status::InvalidArgument, "{refused}");
    refused
}

#[test]
fn what_is_sealed_is_opened_as_it_was_built() {
    let fd = seal(&tree()).expect("memory for an image");
    let flags = fcntl_getfd(&fd).expect("an open descriptor");
    assert!(flags.contains(FdFlags::CLOEXEC));
    let image = MappedImage::open(fd).expect("a good image");
    assert_eq!(&image[..], image_bytes());
    let view = image.view();
    let row = view.resolve(b"d/f").expect("it was added");
    assert_eq!(view.row(row).expect("a row").node_id, b"file");
    assert_eq!(view.path(row), b"d/f");
    assert_eq!(view.lookup(Row::ROOT, b"f"), None);
}

#[test]
fn a_sealed_image_cannot_be_changed_by_anybody() {
    let fd = seal(&tree()).expect("memory for an image");
    assert!(pwrite(&fd, b"x", 0).is_err());
    assert!(ftruncate(&fd, 0).is_err());
    assert!(ftruncate(&fd, 1 << 20).is_err());
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert!(fallocate(&fd, punch, 0, 4096).is_err());
}

#[test]
fn the_same_memory_can_be_opened_again() {
    let fd = seal(&tree()).expect("memory for an image");
    let again = dup(&fd).expect("a descriptor");
    let first = MappedImage::open(fd).expect("a good image");
    let second = MappedImage::open(again).expect("a good image");
    assert_eq!(&first[..], &second[..]);
    let copy = seal_copy(&first).expect("memory for an image");
    assert_eq!(
        &MappedImage::open(copy).expect("a good image")[..],
        &first[..]
    );
}

#[test]
fn each_missing_seal_is_refused() {
    let bytes = image_bytes();
    for seal in [
        SealFlags::SEAL,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::WRITE,
    ] {
        let refused = refusal(memfd(&bytes, ALL_SEALS - seal));
        assert!(refused.message.contains("lacks the seals"), "{refused}");
    }
    assert!(MappedImage::open(memfd(&bytes, ALL_SEALS)).is_ok());
}

#[test]
fn a_memfd_of_another_size_is_refused() {
    let bytes = image_bytes();
    let mut longer = bytes.clone();
    longer.push(0);
    let mut padded = bytes.clone();
    padded.resize(8192, 0);
    for wrong in [&[][..], &bytes[..1], &bytes[..95], &bytes[..96]] {
        refusal(memfd(wrong, ALL_SEALS));
    }
    for wrong in [&bytes[..bytes.len() - 1], &longer, &padded] {
        refusal(memfd(wrong, ALL_SEALS));
    }
}

#[test]
fn sparse_memory_is_refused_without_taking_any() {
    const LEN: u64 = 512 << 20;
    // The header of a huge tree, and nothing behind it.
    let nodes = 1 << 20;
    let names_offset = 96 + 56 * nodes;
    let mut header = image_bytes()[..HEADER_LEN].to_vec();
    for (field, value) in [
        (40, names_offset),
        (48, LEN - 1 - names_offset),
        (56, LEN - 1),
        (64, 1),
        (72, LEN),
        (88, LEN),
    ] {
        header[field..field + 8].copy_from_slice(&value.to_ne_bytes());
    }
    let nodes = u32::try_from(nodes).expect("a million");
    header[16..20].copy_from_slice(&nodes.to_ne_bytes());
    let fd = memfd::create("test").expect("a memfd");
    ftruncate(&fd, LEN).expect("no seals yet");
    assert_eq!(pwrite(&fd, &header, 0), Ok(HEADER_LEN));
    memfd::add_seals(&fd, ALL_SEALS).expect("sealing is allowed");
    let kept = dup(&fd).expect("a descriptor");

    let refused = refusal(fd);
    assert!(refused.message.contains(&hole_behind_a_page()), "{refused}");
    let blocks = fstat(&kept).expect("an open memfd").st_blocks;
    let taken = u64::try_from(blocks).expect("a size") * 512;
    assert_eq!(taken, page_size() as u64, "only the page that was written");
}

#[test]
fn a_hole_in_the_middle_is_refused() {
    let mut tree = TreeBuilder::new(PathRule::Utf8);
    for number in 0..10_000 {
        let path = format!("file-{number}");
        tree.add_file(path.as_bytes(), FILE, b"id")
            .expect("a good node");
    }
    let mut bytes = Vec::new();
    tree.write_image(&mut bytes).expect("memory");
    let fd = memfd::create("test").expect("a memfd");
    ftruncate(&fd, bytes.len() as u64).expect("no seals yet");
    let page = page_size();
    assert_eq!(pwrite(&fd, &bytes[..page], 0), Ok(page));
    let rest = bytes.len() - 2 * page;
    assert_eq!(pwrite(&fd, &bytes[2 * page..], 2 * page as u64), Ok(rest));
    memfd::add_seals(&fd, ALL_SEALS).expect("sealing is allowed");
    assert!(refusal(fd).message.contains(&hole_behind_a_page()));
}

#[test]
fn what_is_no_memfd_is_refused() {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&image_bytes()).expect("room on the disk");
    refusal(file);
    let mut file = tempfile::tempfile_in("/dev/shm").expect("a tmpfs");
    file.write_all(&image_bytes()).expect("room in memory");
    refusal(file);
    refusal(File::open("/dev/zero").expect("always there"));
    let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
    refusal(pipe);
}

#[test]
fn a_sealed_image_that_is_wrong_inside_is_refused() {
    let bytes = image_bytes();
    for place in [0, 8, HEADER_LEN + 10, bytes.len() - 1] {
        let mut wrong = bytes.clone();
        wrong[place] ^= 0xff;
        let refused = MappedImage::open(memfd(&wrong, ALL_SEALS));
        assert!(refused.is_err(), "byte {place}");
    }
}

#[test]
fn an_image_over_the_limit_is_refused_by_its_size_alone() {
    let fd = memfd::create("test").expect("a memfd");
    ftruncate(&fd, IMAGE_LEN_MAX + 1).expect("no seals yet");
    memfd::add_seals(&fd, ALL_SEALS).expect("sealing is allowed");
    let refused = refusal(fd).message;
    for number in [IMAGE_LEN_MAX + 1, IMAGE_LEN_MAX] {
        assert!(refused.contains(&number.to_string()), "{refused}");
    }
}
