//! What a forked child must leave alone, and how it is told.
//!
//! The library belongs to the process that first opened a context. A child made by fork has copies
//! of its descriptors and mappings but none of its threads, so it may not use any of it: every
//! call there fails, nothing is dropped, and the handler that the C library registers with
//! pthread_atfork closes and unmaps what is listed here. Arenas are listed and images are not: a
//! read callback that forks goes on in the child with a node id inside its image. The list is a chain of static blocks of
//! atomics: the handler walks it without a lock and without an allocation, because between fork
//! and exec nothing else is safe.

use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use fuse_promise_core::{Failure, Result};

/// The process that owns the library's state; 0 until a context is opened.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Set by the atfork handler, so that a child whose pid happens to be that of the owner (in
/// another pid namespace) is still known as one.
static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Makes this process the owner, unless there is one.
pub(crate) fn claim_process() {
    // A second context of the same process finds its own pid there.
    let _ = OWNER.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
}

/// Whether this process is a fork of the one that owns the library's state. One getpid(2).
#[must_use]
pub fn in_child() -> bool {
    if IN_CHILD.load(Ordering::Relaxed) {
        return true;
    }
    let owner = OWNER.load(Ordering::Relaxed);
    owner != 0 && owner != std::process::id()
}

/// The first line of every public call.
pub(crate) fn refuse_in_child() -> Result<()> {
    if in_child() {
        return Err(Failure::unavailable(
            "the library was opened before a fork and cannot be used in the child; \
             fork first, or exec a new program",
        ));
    }
    Ok(())
}

/// For the child side of pthread_atfork: remembers that this is a child, then hands out every
/// descriptor and every arena (address, length) the library had in the parent. Async-signal-safe
/// as long as the two closures are.
pub fn enter_child(mut close: impl FnMut(RawFd), mut unmap: impl FnMut(usize, usize)) {
    // A process that never opened a context has nothing to lose, and may open one in the child.
    if OWNER.load(Ordering::Relaxed) == 0 {
        return;
    }
    IN_CHILD.store(true, Ordering::Relaxed);
    REGISTRY.for_each(|entry| match entry {
        Kept::Descriptor(fd) => close(fd),
        Kept::Mapping { address, length } => unmap(address, length),
    });
}

/// One thing the child closes or unmaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Descriptor(RawFd),
    Mapping { address: usize, length: usize },
}

static REGISTRY: Block = Block::new();

/// A process with one context and one provider has six entries; the next block serves dozens of
/// providers.
const ENTRIES_PER_BLOCK: usize = 64;

const FREE: usize = 0;
/// Claimed, but not yet to be read.
const CLAIMED: usize = usize::MAX;

/// `key` is FREE, CLAIMED, or the address of a mapping or a descriptor plus one; `length` is 0
/// for a descriptor.
struct Entry {
    key: AtomicUsize,
    length: AtomicUsize,
}

impl Entry {
    const fn new() -> Self {
        Self {
            key: AtomicUsize::new(FREE),
            length: AtomicUsize::new(0),
        }
    }

    fn claim(&self, kept: Kept) -> bool {
        let claimed = self
            .key
            .compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if claimed {
            let (key, length) = match kept {
                Kept::Descriptor(fd) => (fd.unsigned_abs() as usize + 1, 0),
                Kept::Mapping { address, length } => (address, length),
            };
            self.length.store(length, Ordering::Relaxed);
            self.key.store(key, Ordering::Release);
        }
        claimed
    }

    fn read(&self) -> Option<Kept> {
        let key = self.key.load(Ordering::Acquire);
        if key == FREE || key == CLAIMED {
            return None;
        }
        match self.length.load(Ordering::Relaxed) {
            0 => RawFd::try_from(key - 1).ok().map(Kept::Descriptor),
            length => Some(Kept::Mapping {
                address: key,
                length,
            }),
        }
    }
}

struct Block {
    entries: [Entry; ENTRIES_PER_BLOCK],
    next: OnceLock<Box<Block>>,
}

impl Block {
    const fn new() -> Self {
        Self {
            entries: [const { Entry::new() }; ENTRIES_PER_BLOCK],
            next: OnceLock::new(),
        }
    }

    fn add(&'static self, kept: Kept) -> &'static Entry {
        let mut block = self;
        loop {
            if let Some(entry) = block.entries.iter().find(|entry| entry.claim(kept)) {
                return entry;
            }
            block = block.next.get_or_init(|| Box::new(Self::new()));
        }
    }

    fn for_each(&self, mut visit: impl FnMut(Kept)) {
        let mut block = Some(self);
        while let Some(this) = block {
            this.entries
                .iter()
                .filter_map(Entry::read)
                .for_each(&mut visit);
            block = this.next.get().map(|next| &**next);
        }
    }
}

/// An entry of the registry for as long as it lives. It must be dropped before the thing it
/// names is closed: a number that is free again may be somebody else's by the time of a fork.
pub(crate) struct Listed(&'static Entry);

impl Listed {
    pub(crate) fn descriptor(fd: &impl AsRawFd) -> Self {
        Self::number(fd.as_raw_fd())
    }

    pub(crate) fn number(fd: RawFd) -> Self {
        Self(REGISTRY.add(Kept::Descriptor(fd)))
    }

    pub(crate) fn mapping((address, length): (usize, usize)) -> Self {
        Self(REGISTRY.add(Kept::Mapping { address, length }))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.key.store(FREE, Ordering::Release);
    }
}

/// A value that only the process that made it drops. In a forked child it is leaked instead: its
/// descriptors are closed already, its numbers may be in use again, and its threads do not exist.
pub(crate) struct ParentOnly<T>(Option<T>);

impl<T> ParentOnly<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for ParentOnly<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            // Emptied by Drop alone.
            None => unreachable!("used after drop"),
        }
    }
}

impl<T> DerefMut for ParentOnly<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Some(value) => value,
            None => unreachable!("used after drop"),
        }
    }
}

impl<T> Drop for ParentOnly<T> {
    fn drop(&mut self) {
        if in_child() {
            std::mem::forget(self.0.take());
        }
    }
}

#[cfg(test)]
mod tests;
