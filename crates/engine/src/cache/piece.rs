//! What a look into the store finds: pieces of the range and the gaps between.
//!
//! A piece holds on to its bytes, so nothing that is evicted or removed meanwhile
//! is taken away from whoever still copies it.

use std::io::Result;
use std::ops::Range;
use std::sync::Arc;

use super::buffer::Buffer;
use super::disk::Room;
use super::extents::Extent;

#[derive(Default)]
pub(crate) struct Found {
    /// In order of the file.
    pub(crate) pieces: Vec<Piece>,
    /// In order of the file; together with the pieces the whole range.
    pub(crate) missing: Vec<Range<u64>>,
}

/// Held bytes of a file.
pub(crate) struct Piece {
    /// Where in the file they lie.
    pub(crate) range: Range<u64>,
    /// Where in their extent they begin.
    skip: u64,
    bytes: Bytes,
}

enum Bytes {
    Memory(Arc<Buffer>),
    Disk(Arc<Room>),
}

impl Piece {
    /// What an extent at `start` has of the range; nothing if it has no bytes.
    pub(super) fn of(start: u64, extent: &Extent, range: &Range<u64>) -> Option<Self> {
        let bytes = match (&extent.memory, &extent.room) {
            (Some(memory), _) => Bytes::Memory(Arc::clone(memory)),
            (None, Some(room)) => Bytes::Disk(Arc::clone(room)),
            (None, None) => return None,
        };
        let from = range.start.max(start);
        let to = range.end.min(start + extent.len);
        Some(Self {
            range: from..to,
            skip: from - start,
            bytes,
        })
    }

    /// The bytes where they lie; `None` if they are on disk.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        let Bytes::Memory(memory) = &self.bytes else {
            return None;
        };
        let index = |offset| usize::try_from(offset).expect("a place in memory");
        let len = self.range.end - self.range.start;
        Some(&memory[index(self.skip)..index(self.skip + len)])
    }

    /// Copies the bytes into a buffer of the piece's length. Waits for the disk
    /// unless they are in memory, so not for threads that must not wait.
    pub(crate) fn read_into(&self, buffer: &mut [u8]) -> Result<()> {
        match &self.bytes {
            Bytes::Memory(_) => {
                let bytes = self.in_memory().expect("they are in memory");
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            Bytes::Disk(room) => room.read(self.skip, buffer),
        }
    }
}
