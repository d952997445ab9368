//! Telling the kernel that something it holds is gone. The engine calls this from a thread that
//! serves no request, because the kernel may make a notification wait for one: for the lock of a
//! directory, or for a page that is being read. That attributes alone are stale is only marked,
//! and told from whichever thread made the change.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use fuse_promise_core::ids::Inode;
use fuse_promise_engine::Kernel;
use fuser::{INodeNo, Notifier};

use super::negotiation::Negotiated;

/// The mounted kernel.
pub struct Notices {
    notifier: Notifier,
    maps_direct_io: bool,
}

impl Notices {
    pub fn new(notifier: Notifier, negotiated: &Negotiated) -> Self {
        Self {
            notifier,
            maps_direct_io: negotiated.maps_direct_io(),
        }
    }
}

impl Kernel for Notices {
    fn attributes_stale(&self, inode: Inode) {
        // An offset below 0: no pages. The kernel also counts up the version of the attributes,
        // and so drops those of an answer that is still on its way.
        let told = self.notifier.inval_inode(INodeNo(inode.0), -1, 0);
        note(told, inode);
    }

    fn entry_gone(&self, parent: Inode, name: &[u8]) {
        let told = self
            .notifier
            .inval_entry(INodeNo(parent.0), OsStr::from_bytes(name));
        note(told, parent);
    }

    fn pages_stale(&self, inode: Inode) {
        // Offset 0 and length 0: the attributes, and all pages.
        let told = self.notifier.inval_inode(INodeNo(inode.0), 0, 0);
        note(told, inode);
    }

    fn maps_direct_io(&self) -> bool {
        self.maps_direct_io
    }
}

/// The kernel knows nothing of the inode, which is as good, or the mount has just ended.
fn note(told: io::Result<()>, inode: Inode) {
    if let Err(error) = told {
        tracing::debug!(
            "the kernel was not told about inode {:#x}: {error}",
            inode.0
        );
    }
}
