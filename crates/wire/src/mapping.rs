//! Mapped memory, and one socket option: the only unsafe code of this crate.
//!
//! Two kinds of memory are mapped. An image is sealed against every change, so a slice of it is a
//! slice like any other. An arena is shared with a process that may write into it at any moment;
//! its size is sealed, so touching it never fails, and within this process each slot has one owner
//! at a time. Bytes are only ever copied in and out of it: no decision is made on a byte that could
//! change between looking and using.

#![allow(unsafe_code)]

use std::ops::{Deref, Range};
use std::os::fd::{AsFd, AsRawFd};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fuse_promise_core::{Failure, Result};
use memmap2::{Mmap, MmapOptions, MmapRaw};
use rustix::io::Errno;

use crate::geometry::Geometry;
use crate::memfd::{ALL_SEALS, SIZE_SEALS, sealed_size};

/// Read-only memory that nobody can change.
#[derive(Debug)]
pub struct SealedMap {
    map: Mmap,
}

impl SealedMap {
    /// Maps the whole of a memfd that carries every seal.
    pub fn new(fd: impl AsFd) -> Result<Self> {
        let len = mappable(sealed_size(&fd, ALL_SEALS)?)?;
        let mut options = MmapOptions::new();
        // A private mapping, because before Linux 6.7 memory sealed against writing could not be
        // mapped shared. Its pages are the file's own all the same: nothing writes to them.
        // SAFETY: The slice is sound as long as nobody shrinks or changes the file. The seals that
        // were just found forbid both to every process, cannot be taken off, and let nobody have a
        // writable mapping from before: the kernel refuses F_SEAL_WRITE while there is one.
        let map = unsafe { options.len(len).map_copy_read_only(raw(&fd)) };
        Ok(Self {
            map: map.map_err(not_mapped)?,
        })
    }
}

impl Deref for SealedMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Read-only memory of sealed size, of which this process alone holds the descriptor and writes
/// only where nobody reads.
#[derive(Debug)]
pub struct SegmentMap {
    map: MmapRaw,
}

impl SegmentMap {
    pub fn new(fd: impl AsFd) -> Result<Self> {
        let len = mappable(sealed_size(&fd, SIZE_SEALS)?)?;
        let mut options = MmapOptions::new();
        let map = options.len(len).map_raw_read_only(raw(&fd));
        Ok(Self {
            map: map.map_err(not_mapped)?,
        })
    }

    /// # Panics
    ///
    /// Panics if the range is not within the memory.
    #[must_use]
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.map.len());
        // SAFETY: The range was just found to lie within the mapping, which lives as long as
        // `self`, and the sealed size keeps every page of it there. The bytes are written through
        // the descriptor only while their range is not given out (see the segment store), so they
        // do not change under the slice; were they to, they are plain bytes without invalid values.
        unsafe { slice::from_raw_parts(self.map.as_ptr().add(range.start), range.len()) }
    }
}

/// Memory shared with another process, cut into slots that are owned one by one.
#[derive(Debug)]
pub struct SlotMap {
    map: MmapRaw,
    geometry: Geometry,
    /// For each slot, whether somebody in this process owns it.
    owned: Box<[AtomicBool]>,
}

impl SlotMap {
    /// Maps a memfd of sealed size that has exactly the length of the geometry.
    pub fn new(fd: impl AsFd, geometry: Geometry) -> Result<Self> {
        geometry.check()?;
        let size = sealed_size(&fd, SIZE_SEALS)?;
        if size != geometry.total_len() {
            return Err(Failure::invalid(format!(
                "the arena has {size} bytes, its slots need {}",
                geometry.total_len()
            )));
        }
        let mut options = MmapOptions::new();
        let map = options.len(mappable(size)?).map_raw(raw(&fd));
        Ok(Self {
            map: map.map_err(not_mapped)?,
            geometry,
            owned: (0..geometry.slot_count())
                .map(|_| AtomicBool::new(false))
                .collect(),
        })
    }

    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the memory lies in this process, and its length.
    #[must_use]
    pub fn address(&self) -> (usize, usize) {
        (self.map.as_ptr().addr(), self.map.len())
    }

    /// The rings behind the slots. Whatever the other process does to them, they are only ever
    /// seen through atomics.
    #[must_use]
    pub(crate) fn ring_words(&self) -> &[AtomicU64] {
        let rings = self.geometry.rings();
        let (start, words) = (rings.start as usize, (rings.end - rings.start) as usize / 8);
        // SAFETY: The range lies within the mapping (the geometry was compared with its length),
        // which lives as long as `self`, and the sealed size keeps every page of it there. It
        // begins with a page, so it is aligned. Nothing in this process has a reference to it but
        // to atomics: slots end before it. Any bytes are a valid number.
        unsafe { slice::from_raw_parts(self.map.as_ptr().add(start).cast(), words) }
    }

    /// Makes the caller the owner of a slot; `None` if it has one or does not exist.
    #[must_use]
    pub fn claim(self: &Arc<Self>, index: u32) -> Option<Slot> {
        let range = self.geometry.slot(index)?;
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        let owned = self.owned.get(index as usize)?;
        owned
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        Some(Slot {
            slots: Arc::clone(self),
            index,
            start,
            capacity: end - start,
        })
    }
}

/// A slot of an arena, owned within this process until it is dropped. The other process may write
/// into it at any time.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<SlotMap>,
    index: u32,
    start: usize,
    capacity: usize,
}

impl Slot {
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// In bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The first `len` bytes, to be copied onward.
    ///
    /// # Panics
    ///
    /// Panics if the slot is smaller.
    #[must_use]
    pub fn bytes(&self, len: usize) -> &[u8] {
        assert!(len <= self.capacity, "{len} bytes of a smaller slot");
        // SAFETY: The slot lies within the mapping (the geometry was compared with its length),
        // which `slots` keeps alive, and the sealed size keeps every page of it there. In this
        // process only the owner of the slot has a reference to it, and `&self` gives out shared
        // ones. The other process may write at the same time: the bytes are plain data without
        // invalid values, and callers only copy them onward, so the worst is a mix of old and new
        // bytes of that provider's own answer.
        unsafe { slice::from_raw_parts(self.slots.map.as_ptr().add(self.start), len) }
    }

    /// `len` bytes from `offset` on, to be written.
    ///
    /// # Panics
    ///
    /// Panics if they are not all within the slot.
    pub fn bytes_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.capacity);
        assert!(fits, "{len} bytes at {offset} of a smaller slot");
        // SAFETY: As in `bytes`; and `&mut self` of the only owner in this process makes this the
        // only reference. The other process only reads here, or writes nonsense of its own making.
        unsafe {
            slice::from_raw_parts_mut(self.slots.map.as_mut_ptr().add(self.start + offset), len)
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.owned[self.index as usize].store(false, Ordering::Release);
    }
}

/// What the kernel noted of a socket's peer. rustix has this with a process number that cannot be
/// 0, which the kernel writes for a peer in a PID namespace that ours cannot see.
pub(crate) fn peer_credentials(socket: impl AsFd) -> Result<libc::ucred, Errno> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let full = size_of::<libc::ucred>() as libc::socklen_t;
    let mut length = full;
    // SAFETY: The kernel writes at most `length` bytes to the struct, which has as many, and to
    // `length`; both outlive the call. The struct is three integers, for which any bytes will do.
    let outcome = unsafe {
        libc::getsockopt(
            raw(&socket),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    // Of a shorter answer the rest would be our own zeros, and uid 0 is root.
    if length != full {
        return Err(Errno::INVAL);
    }
    Ok(credentials)
}

fn raw(fd: &impl AsFd) -> i32 {
    fd.as_fd().as_raw_fd()
}

fn mappable(size: u64) -> Result<usize> {
    match usize::try_from(size) {
        Ok(len) if len > 0 => Ok(len),
        _ => Err(Failure::invalid(format!(
            "shared memory of {size} bytes cannot be mapped"
        ))),
    }
}

fn not_mapped(error: std::io::Error) -> Failure {
    match Errno::from_io_error(&error) {
        Some(errno) => crate::errno::failed("map shared memory", errno),
        None => Failure::io(format!("map shared memory: {error}")),
    }
}
