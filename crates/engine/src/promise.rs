//! One committed promise: its image, whose it is, and the few things about it
//! that change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::failure::Result;
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::ImageView;
use fuse_promise_core::words::{CachePolicy, NodeState};
use fuse_promise_wire::ImageBytes;
use rustix::fd::OwnedFd;

use crate::account::Charge;
use crate::cache::{FileKey, Store};
use crate::history::History;
use crate::materialize::{LocalCopies, LocalCopy};
use crate::open::HANDLE_STORE;
use crate::session::Session;
use crate::sync::Mutex;

/// A committed tree. The image never changes; state, open counts and what was
/// learned about single nodes do.
pub struct Promise {
    pub(crate) number: PromiseNumber,
    pub(crate) session: Arc<Session>,
    pub(crate) policy: CachePolicy,
    /// Where its bytes are kept; None if they are not.
    store: Option<Arc<Store>>,
    image: ImageBytes,
    _charge: Charge,
    provider_gone: AtomicBool,
    destroyed: AtomicBool,
    opens: AtomicU64,
    lookups: AtomicU64,
    nodes: Mutex<NodeNotes>,
    copies: LocalCopies,
    pub(crate) history: History,
}

/// What was learned about single nodes; empty for nearly all of them.
#[derive(Default)]
struct NodeNotes {
    /// Files whose content turned out to end before the declared size.
    ends_early: HashSet<Row>,
    /// Files that were opened, so the kernel may hold pages of them, and how often each
    /// is open now; of directories those that are open.
    opened: HashMap<Row, u32>,
}

impl Promise {
    pub(crate) fn new(
        number: PromiseNumber,
        session: Arc<Session>,
        policy: CachePolicy,
        store: &Arc<Store>,
        image: ImageBytes,
        charge: Charge,
    ) -> Self {
        Self {
            number,
            session,
            policy,
            store: (policy != CachePolicy::NoCache).then(|| Arc::clone(store)),
            image,
            _charge: charge,
            provider_gone: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
            opens: AtomicU64::new(0),
            lookups: AtomicU64::new(0),
            nodes: Mutex::new(NodeNotes::default()),
            copies: LocalCopies::default(),
            history: History::default(),
        }
    }

    pub fn number(&self) -> PromiseNumber {
        self.number
    }

    /// The tree; every node of it was checked at commit.
    pub fn view(&self) -> ImageView<'_> {
        ImageView::trusted(&self.image)
    }

    /// Bytes of the image.
    pub(crate) fn image_len(&self) -> u64 {
        self.image.len() as u64
    }

    /// The image as a sealed descriptor.
    pub(crate) fn image_fd(&self) -> Result<OwnedFd> {
        self.image.to_fd()
    }

    pub(crate) fn inode(&self, row: Row) -> Inode {
        Inode::new(self.number, row)
    }

    pub(crate) fn file_key(&self, row: Row) -> FileKey {
        let promise = self.number;
        FileKey { promise, row }
    }

    /// The worst state among its files.
    pub fn state(&self) -> NodeState {
        let files = self.view().file_count() as usize;
        self.state_if(|copies| copies.cover(files), || self.is_held_whole())
    }

    /// The state of one node; a directory has that of its promise.
    pub(crate) fn node_state(&self, row: Row) -> NodeState {
        if self.is_directory(row) {
            return self.state();
        }
        self.state_if(|copies| copies.of(row).is_some(), || self.holds(row))
    }

    fn is_directory(&self, row: Row) -> bool {
        let node = self.view().row(row);
        node.is_some_and(|node| node.kind == NodeKind::Directory)
    }

    fn state_if(
        &self,
        is_materialized: impl FnOnce(&LocalCopies) -> bool,
        is_held: impl FnOnce() -> bool,
    ) -> NodeState {
        if self.destroyed.load(Ordering::Acquire) {
            NodeState::Destroyed
        } else if is_materialized(&self.copies) {
            NodeState::Materialized
        } else if is_held() {
            NodeState::Cached
        } else if self.has_lost_provider() {
            NodeState::ProviderGone
        } else {
            NodeState::Available
        }
    }

    pub(crate) fn has_lost_provider(&self) -> bool {
        self.provider_gone.load(Ordering::Acquire)
    }

    /// Marks the provider as gone; true if it was not marked before.
    pub(crate) fn lose_provider(&self) -> bool {
        !self.provider_gone.swap(true, Ordering::AcqRel)
    }

    /// Marks the promise as destroyed; true for the one caller that did it.
    pub(crate) fn destroy(&self) -> bool {
        !self.destroyed.swap(true, Ordering::AcqRel)
    }

    /// A materialize has written these files; they serve from now on.
    pub(crate) fn keep_local(&self, copy: LocalCopy) {
        self.copies.keep(copy);
    }

    /// Whether what is read of it is kept.
    pub(crate) fn is_cached(&self) -> bool {
        self.store.is_some()
    }

    /// The handle with which a copy is read: what the cache has is not asked for again.
    pub(crate) fn handle_for_copying(&self) -> u64 {
        if self.is_cached() { HANDLE_STORE } else { 0 }
    }

    /// Whether the cache holds every byte of the file.
    pub(crate) fn holds(&self, row: Row) -> bool {
        let Some(store) = &self.store else {
            return false;
        };
        let node = self.view().row(row);
        node.is_some_and(|node| store.is_whole(self.file_key(row), node.attr.size))
    }

    /// Bytes that the cache holds of a file.
    pub(crate) fn cached_bytes(&self, row: Row) -> u64 {
        let store = self.store.as_ref();
        store.map_or(0, |store| store.held(self.file_key(row)))
    }

    /// The files of which the cache holds anything, and how many bytes.
    pub(crate) fn cached_files(&self) -> Vec<(Row, u64)> {
        let store = self.store.as_ref();
        store.map_or_else(Vec::new, |store| store.held_files(self.number))
    }

    /// The files that a copy serves.
    pub(crate) fn copied_files(&self) -> BTreeSet<Row> {
        self.copies.rows()
    }

    /// Whether every file can be served without its provider, not all of them from one
    /// copy: the cache alone, or with what was materialized, has every byte.
    fn is_held_whole(&self) -> bool {
        let Some(store) = &self.store else {
            return false;
        };
        let held = store.whole_files(self.number);
        let view = self.view();
        // Looked at one by one only if something is held: files are many.
        held > 0
            && (0..view.node_count()).map(Row).all(|row| {
                let node = view.row(row);
                node.is_none_or(|node| {
                    node.kind != NodeKind::File
                        || node.attr.size == 0
                        || store.is_whole(self.file_key(row), node.attr.size)
                        || self.copies.of(row).is_some()
                })
            })
    }

    /// Whether all of it can be served without its provider.
    pub(crate) fn needs_no_provider(&self) -> bool {
        matches!(self.state(), NodeState::Materialized | NodeState::Cached)
    }

    /// The newest copy that holds a file.
    pub(crate) fn local_copy(&self, row: Row) -> Option<Arc<LocalCopy>> {
        self.copies.of(row)
    }

    pub(crate) fn count_open(&self) {
        self.opens.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a release; true when nothing is open any more.
    pub(crate) fn count_release(&self) -> bool {
        let before = self
            .opens
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |opens| {
                Some(opens.saturating_sub(1))
            })
            .unwrap_or_default();
        before <= 1
    }

    pub(crate) fn opens(&self) -> u64 {
        self.opens.load(Ordering::Acquire)
    }

    pub(crate) fn count_lookup(&self) {
        self.lookups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn forget(&self, count: u64) {
        let subtract = |lookups: u64| Some(lookups.saturating_sub(count));
        let _ = self
            .lookups
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }

    pub(crate) fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::Relaxed)
    }

    pub(crate) fn note_opened(&self, row: Row) {
        *self.nodes.lock().opened.entry(row).or_default() += 1;
    }

    pub(crate) fn note_closed(&self, row: Row) {
        let is_directory = self.is_directory(row);
        let mut nodes = self.nodes.lock();
        let Some(opens) = nodes.opened.get_mut(&row) else {
            return;
        };
        *opens = opens.saturating_sub(1);
        // Of a directory nothing is held that could differ from what it shows.
        if *opens == 0 && is_directory {
            nodes.opened.remove(&row);
        }
    }

    /// How often a node is open now.
    pub(crate) fn opens_of(&self, row: Row) -> u32 {
        let nodes = self.nodes.lock();
        nodes.opened.get(&row).copied().unwrap_or_default()
    }

    /// Files the kernel may hold pages of, and directories that are open.
    pub(crate) fn opened_rows(&self) -> Vec<Row> {
        self.nodes.lock().opened.keys().copied().collect()
    }

    /// What is open now, and the directories on the way to it: the kernel keeps the names
    /// of these even when the promise's own is taken from it.
    pub(crate) fn names_in_use(&self) -> BTreeSet<Row> {
        let nodes = self.nodes.lock();
        let open = nodes.opened.iter().filter(|(_, opens)| **opens > 0);
        let mut in_use = BTreeSet::new();
        for (row, _) in open {
            let mut row = *row;
            while row != Row(0) && in_use.insert(row) {
                row = self.view().row(row).map_or(Row(0), |node| node.parent);
            }
        }
        in_use
    }

    /// Notes that the content of a file ends early; true the first time.
    pub(crate) fn note_early_end(&self, row: Row) -> bool {
        self.nodes.lock().ends_early.insert(row)
    }

    /// Whether the file was found to end before its declared size.
    pub(crate) fn ends_early(&self, row: Row) -> bool {
        self.nodes.lock().ends_early.contains(&row)
    }

    /// The path of a node as people see it, for messages: `promise-7/a/b`.
    pub(crate) fn display_path(&self, row: Row) -> String {
        let path = self.view().path(row);
        let mut shown = self.number.id();
        if !path.is_empty() {
            shown.push('/');
            shown.push_str(&String::from_utf8_lossy(&path));
        }
        shown
    }
}
