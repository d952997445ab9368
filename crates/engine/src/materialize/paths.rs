//! Where the nodes of a copy lie: relative to the target directory, and as people
//! see them.

use std::sync::Arc;

use fuse_promise_core::ids::Row;

use crate::promise::Promise;

/// Names of one copy. The source's own name may differ from the copy's.
#[derive(Clone)]
pub(crate) struct CopyPaths {
    promise: Arc<PromiseTree>,
    source: Row,
    /// Bytes of the source's path, which the copy's root name stands for.
    source_len: usize,
    root_name: Vec<u8>,
    /// The target directory as its opener knew it, with a slash behind it.
    target: Vec<u8>,
}

/// A promise whose tree is read; a name of its own, since a copy keeps no session.
type PromiseTree = Promise;

impl CopyPaths {
    pub(super) fn new(
        promise: &Arc<Promise>,
        source: Row,
        root_name: Vec<u8>,
        mut target: Vec<u8>,
    ) -> Self {
        if !target.ends_with(b"/") {
            target.push(b'/');
        }
        Self {
            source_len: promise.view().path(source).len(),
            promise: Arc::clone(promise),
            source,
            root_name,
            target,
        }
    }

    pub(super) fn source(&self) -> Row {
        self.source
    }

    pub(super) fn root_name(&self) -> &[u8] {
        &self.root_name
    }

    /// The path of a node of the copy, relative to the target directory.
    pub(super) fn relative(&self, row: Row) -> Vec<u8> {
        let path = self.promise.view().path(row);
        let below = &path[self.source_len.min(path.len())..];
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let mut relative = self.root_name.clone();
        if !below.is_empty() {
            relative.push(b'/');
            relative.extend_from_slice(below);
        }
        relative
    }

    /// The absolute path, for people.
    pub(super) fn shown(&self, row: Row) -> Vec<u8> {
        [&self.target[..], &self.relative(row)].concat()
    }
}
