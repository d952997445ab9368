//! One node as it is now: what was declared of it, who serves it, what is held of it here, who has
//! it open, and what went wrong.
//!
//! A path of the mount is looked up in the promise's own image, never through the mount, so that
//! an answer comes whatever becomes of the kernel's side. Of a directory the bytes are those of
//! all files below it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fuse_promise_core::attr::{NodeAttr, NodeKind};
use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{Inode, PromiseNumber, ProviderNumber, Row};
use fuse_promise_core::image::{ImageView, Node};
use fuse_promise_core::words::{CachePolicy, NodeState, ProviderState};

use crate::engine::Engine;
use crate::history::ReadError;
use crate::promise::Promise;

/// One node of a listed promise, at one moment.
#[derive(Debug, Clone)]
pub struct NodeSnapshot {
    pub promise: PromiseNumber,
    pub row: Row,
    pub inode: Inode,
    /// In the promise; empty for the promise's own directory.
    pub path: Vec<u8>,
    pub kind: NodeKind,
    pub attr: NodeAttr,
    /// What the provider calls it.
    pub node_id: Vec<u8>,
    pub provider: ProviderNumber,
    pub provider_pid: u32,
    pub provider_program: String,
    pub provider_state: ProviderState,
    pub state: NodeState,
    pub cache_policy: CachePolicy,
    /// Bytes of it that the cache holds.
    pub cached_bytes: u64,
    /// Bytes of it that are read from a materialized copy, as far as is known: that somebody has
    /// changed the copy is found out when it is read.
    pub materialized_bytes: u64,
    /// How often this node is open.
    pub opens: u32,
    /// Requests for any node of the promise that its provider has answered with bytes.
    pub reads: u64,
    /// Bytes of these answers.
    pub served_bytes: u64,
    /// Reads and opens of any node of the promise that failed.
    pub errors: u64,
    /// Those of this node; they may have been forgotten for other nodes' sake.
    pub node_errors: u64,
    /// The last of these.
    pub last_error: Option<ReadError>,
    /// The last of the promise, and the path of the node in the promise.
    pub promise_last_error: Option<(Vec<u8>, ReadError)>,
}

impl Engine {
    /// The node at an absolute path below the mount.
    ///
    /// # Errors
    /// `InvalidArgument` for a path elsewhere and for the root of the mount, `NotFound` for what
    /// is not there.
    pub fn inspect(&self, path: &[u8]) -> Result<NodeSnapshot> {
        self.check_below_mount(path)?;
        let (promise, row) = self.resolve_source(path)?;
        promise.snapshot(row).ok_or_else(|| {
            let shown = String::from_utf8_lossy(path);
            Failure::not_found(format!("{shown:?} does not exist"))
        })
    }

    fn check_below_mount(&self, path: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(path);
        let mount = self.options.runtime_dir.mount_path();
        let Ok(below) = Path::new(OsStr::from_bytes(path)).strip_prefix(&mount) else {
            return Err(Failure::invalid(format!(
                "{shown:?} is no promised file or directory; those lie below {}",
                mount.display()
            )));
        };
        if below.as_os_str().is_empty() {
            return Err(Failure::invalid(format!(
                "{shown:?} is the root of the mount, which belongs to no promise; name a promise \
                 in it, or something in a promise"
            )));
        }
        Ok(())
    }
}

impl Promise {
    /// `None` if it has no such node.
    fn snapshot(&self, row: Row) -> Option<NodeSnapshot> {
        let view = self.view();
        let node = view.row(row)?;
        let session = &self.session;
        let of_promise = self.history.summary();
        let of_node = self.history.of(row);
        let (cached_bytes, materialized_bytes) = self.held_here(&view, &node);
        Some(NodeSnapshot {
            promise: self.number,
            row,
            inode: self.inode(row),
            path: view.path(row),
            kind: node.kind,
            attr: node.attr,
            node_id: node.node_id.to_vec(),
            provider: session.number(),
            provider_pid: session.pid(),
            provider_program: session.program().to_owned(),
            provider_state: session.state(),
            state: self.node_state(row),
            cache_policy: self.policy,
            cached_bytes,
            materialized_bytes,
            opens: self.opens_of(row),
            reads: of_promise.reads,
            served_bytes: of_promise.served_bytes,
            errors: of_promise.errors,
            node_errors: of_node.as_ref().map_or(0, |errors| errors.count),
            last_error: of_node.map(|errors| errors.last),
            promise_last_error: of_promise
                .last_error
                .map(|(row, error)| (view.path(row), error)),
        })
    }

    /// Bytes that the cache holds and that copies serve, of a file or of all in a directory.
    fn held_here(&self, view: &ImageView<'_>, node: &Node<'_>) -> (u64, u64) {
        let (row, size) = (node.row, node.attr.size);
        if node.kind != NodeKind::Directory {
            let copied = self.local_copy(row).map_or(0, |_| size);
            return (self.cached_bytes(row), copied);
        }
        let is_in = |file| lies_in(view, file, row);
        let cached = self.cached_files().into_iter();
        let cached = cached.filter(|(file, _)| is_in(*file));
        let copied = self.copied_files().into_iter().filter(|file| is_in(*file));
        let copied = copied.filter_map(|file| view.row(file));
        (
            cached.map(|(_, held)| held).sum(),
            copied.fold(0, |sum, file| sum.saturating_add(file.attr.size)),
        )
    }
}

/// Whether a node is another or lies in it at any depth.
fn lies_in(view: &ImageView<'_>, node: Row, other: Row) -> bool {
    let mut at = node;
    // A parent's row comes before its children's.
    while at > other {
        match view.row(at) {
            Some(node) => at = node.parent,
            None => return false,
        }
    }
    at == other
}
