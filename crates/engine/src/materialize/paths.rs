//! Where the nodes of a copy lie: relative to the target directory, and as people
//! see them.

use fuse_promise_core::ids::Row;
use fuse_promise_core::image::ImageView;

/// Names of one copy. The source's own name may differ from the copy's. The tree
/// is handed in each time: a copy that serves reads must not keep its promise.
#[derive(Debug, Clone)]
pub(crate) struct CopyPaths {
    source: Row,
    /// Bytes of the source's path, which the copy's root name stands for.
    source_len: usize,
    root_name: Vec<u8>,
    /// The target directory as its opener knew it, with a slash behind it.
    target: Vec<u8>,
}

impl CopyPaths {
    pub(super) fn new(
        view: &ImageView<'_>,
        source: Row,
        root_name: Vec<u8>,
        mut target: Vec<u8>,
    ) -> Self {
        if !target.ends_with(b"/") {
            target.push(b'/');
        }
        Self {
            source,
            source_len: view.path(source).len(),
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
    pub(super) fn relative(&self, view: &ImageView<'_>, row: Row) -> Vec<u8> {
        let path = view.path(row);
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
    pub(super) fn shown(&self, view: &ImageView<'_>, row: Row) -> Vec<u8> {
        [&self.target[..], &self.relative(view, row)].concat()
    }
}
