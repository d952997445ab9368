//! Telling the kernel that something it has cached is gone.
//!
//! A notification can block in the kernel until a request that holds the same
//! inode has been answered, so none is ever sent from a thread that answers
//! requests: all go through one queue and one thread of their own. The exception is
//! that a directory's attributes are stale: the kernel only marks them, and whoever
//! made the change tells it before going on.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use fuse_promise_core::ids::Inode;

/// The mounted file system as the engine sees it. Called on the notifier's
/// thread, where a call may block, unless the method says otherwise.
pub trait Kernel: Send + Sync + 'static {
    /// What the kernel holds of the node's attributes is stale, and so is what it is
    /// being answered just now. Called on any thread; does not wait for any request.
    fn attributes_stale(&self, inode: Inode);
    /// The name is no longer in the directory.
    fn entry_gone(&self, parent: Inode, name: &[u8]);
    /// What the kernel holds of the node's bytes and attributes is stale.
    fn pages_stale(&self, inode: Inode);

    /// Whether a file that is read past the page cache can still be mapped
    /// (Linux 6.6). Asked when the kernel is set, on the caller's thread.
    fn maps_direct_io(&self) -> bool {
        true
    }
}

/// How long a caller waits for the kernel to have forgotten what it was told. It takes
/// microseconds; the bound is for a kernel that is itself stuck.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

enum Notice {
    EntryGone {
        parent: Inode,
        name: Vec<u8>,
    },
    PagesStale(Inode),
    /// Somebody waits until what was queued before has been told.
    CaughtUp(SyncSender<()>),
    Stop,
}

/// The queue to the notifier's thread.
pub(crate) struct Notifier {
    queue: Sender<Notice>,
    kernel: Arc<RwLock<Option<Arc<dyn Kernel>>>>,
}

impl Notifier {
    pub(crate) fn start() -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, notices) = channel();
        let kernel = Arc::new(RwLock::new(None));
        let seen_by_thread = Arc::clone(&kernel);
        let thread = std::thread::Builder::new()
            .name("fp-notifier".into())
            .spawn(move || run(&notices, &seen_by_thread))?;
        Ok((Self { queue, kernel }, thread))
    }

    /// Sets or replaces the mount that is told.
    pub(crate) fn set_kernel(&self, kernel: Arc<dyn Kernel>) {
        *self
            .kernel
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(kernel);
        // It was served already, and not told of what changed meanwhile.
        self.attributes_stale(Inode::ROOT);
    }

    /// Tells at once that a directory has other attributes than before.
    pub(crate) fn attributes_stale(&self, directory: Inode) {
        if let Some(kernel) = mounted(&self.kernel) {
            kernel.attributes_stale(directory);
        }
    }

    /// Queues the notice and waits until the kernel has been told, so that a
    /// name is gone for everybody when the call that removed it returns.
    pub(crate) fn entry_gone(&self, parent: Inode, name: Vec<u8>) {
        self.entry_gone_later(parent, name);
        self.catch_up();
    }

    /// Waits until the kernel has been told of everything that was queued before.
    pub(crate) fn catch_up(&self) {
        let (told, wait) = sync_channel(1);
        let queued = self.queue.send(Notice::CaughtUp(told)).is_ok();
        if queued && wait.recv_timeout(TOLD_WITHIN).is_err() {
            tracing::warn!("the kernel did not forget names or pages within {TOLD_WITHIN:?}");
        }
    }

    /// As [`entry_gone`](Self::entry_gone), for threads that must not wait.
    pub(crate) fn entry_gone_later(&self, parent: Inode, name: Vec<u8>) {
        // What is inside a promise shows the same as before.
        if parent == Inode::ROOT {
            self.attributes_stale(parent);
        }
        // A send fails only after stop(), when there is no mount to tell.
        let _ = self.queue.send(Notice::EntryGone { parent, name });
    }

    pub(crate) fn pages_stale(&self, inode: Inode) {
        let _ = self.queue.send(Notice::PagesStale(inode));
    }

    pub(crate) fn stop(&self) {
        let _ = self.queue.send(Notice::Stop);
    }
}

fn mounted(kernel: &RwLock<Option<Arc<dyn Kernel>>>) -> Option<Arc<dyn Kernel>> {
    kernel
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone()
}

fn run(notices: &Receiver<Notice>, kernel: &RwLock<Option<Arc<dyn Kernel>>>) {
    for notice in notices {
        match (notice, mounted(kernel)) {
            (Notice::Stop, _) => return,
            (Notice::CaughtUp(told), _) => {
                // The waiter may have given up.
                let _ = told.try_send(());
            }
            (Notice::EntryGone { parent, name }, Some(kernel)) => kernel.entry_gone(parent, &name),
            (Notice::PagesStale(inode), Some(kernel)) => kernel.pages_stale(inode),
            (Notice::EntryGone { .. } | Notice::PagesStale(_), None) => {}
        }
    }
}
