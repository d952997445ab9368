//! An engine that reads through its cache, and what its provider is asked for.
#![allow(dead_code)]

use fuse_promise_core::words::CachePolicy;
use fuse_promise_engine::EngineOptions;
use fuse_promise_wire::ReadFrame;

use super::{FakeProvider, Reader, Rig};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;

pub fn rig_with(change: impl FnOnce(&mut EngineOptions)) -> Rig {
    Rig::with(|options| {
        options.cache_policy = CachePolicy::ReadThrough;
        options.readahead = 0;
        change(options);
    })
}

pub fn rig() -> Rig {
    rig_with(|_| {})
}

/// Answers whatever is asked until the reader has its answer; that, and what was asked.
pub fn answer_all(
    provider: &FakeProvider,
    reader: &Reader,
) -> (Result<Vec<u8>, i32>, Vec<ReadFrame>) {
    let mut asked = Vec::new();
    let answer = provider.serve(reader, |read| {
        provider.answer(&read);
        asked.push(read);
    });
    (answer, asked)
}

pub fn range(read: &ReadFrame) -> (u64, u64) {
    (read.offset, u64::from(read.length))
}
