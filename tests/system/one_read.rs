//! One read(2), and whether its bytes are right.
#![allow(dead_code)]

use std::fs::File;

use fuse_promise_testkit::Content;
use rustix::io::{Errno, pread};

/// What one read at `offset` returns.
pub fn read_once(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    let read = pread(file, &mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// How much one read at `offset` returns, where the bytes do not matter.
pub fn length_of_read(file: &File, offset: u64, length: usize) -> Result<usize, Errno> {
    pread(file, &mut vec![0; length], offset)
}

/// What was read at `offset` of the file with this node id is what it contains.
#[track_caller]
pub fn assert_right(node_id: &str, offset: u64, read: &[u8]) {
    let wrong = Content::of(node_id.as_bytes()).first_wrong(offset, read);
    assert_eq!(wrong, None, "in {node_id}");
}
