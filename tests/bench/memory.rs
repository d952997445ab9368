//! What programs that serve files answer from: one block of content that every file repeats.

use super::content;

/// Every file is made of this many bytes of content, over and over. It is small enough to stay in
/// the processor's cache, or nearly, and in memory beside copies of a GiB.
pub const BLOCK: usize = 8 << 20;
/// The most that is answered at a time, as much as a daemon or the kernel asks for.
pub const PIECE: usize = 1 << 20;
/// Contents of neighbouring files begin this many pages apart in the block, so that files that
/// were mixed up are noticed.
const PAGES_APART: usize = 37;
const PAGE: usize = 4096;

/// The content of every file.
pub struct Memory {
    /// A block, and its beginning again, so that no piece is cut at the block's end.
    bytes: content::Aligned,
}

impl Memory {
    pub fn new() -> Self {
        let mut bytes = content::Aligned::new(BLOCK + PIECE);
        let (block, again) = bytes.split_at_mut(BLOCK);
        content::fill(block, 0);
        again.copy_from_slice(&block[..PIECE]);
        Self { bytes }
    }

    /// Bytes of a file, at most [`PIECE`] of them.
    pub fn piece(&self, file: usize, offset: u64, length: usize) -> &[u8] {
        let position = position(file, offset);
        &self.bytes[position..position + length]
    }
}

/// Where in the block the byte at `offset` of a file is.
fn position(file: usize, offset: u64) -> usize {
    let first = file * PAGES_APART * PAGE;
    // The remainder is below the block's length.
    ((first as u64 + offset) % BLOCK as u64) as usize
}
