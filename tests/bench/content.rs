//! What the files of the benchmark hold, and memory to hold it in. `bench-reader verify` compares.

use super::word::word;

/// Writes the content that begins at byte `offset`, a multiple of 8, into `buffer`.
pub fn fill(buffer: &mut [u8], offset: u64) {
    let first = offset / 8;
    for (index, bytes) in (first..).zip(buffer.chunks_mut(8)) {
        let value = word(index).to_ne_bytes();
        bytes.copy_from_slice(&value[..bytes.len()]);
    }
}

/// Memory that begins at the border of a page, as the buffers of cp, cat and dd do. Where buffers
/// begin decides how fast the kernel copies between them: with the target 1 to 31 bytes further
/// into its page than the source, some processors copy at a third of their speed. So that chance
/// does not decide, both the baseline's memory and the reader's buffer begin at a border.
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    const PAGE: usize = 4096;

    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + Self::PAGE];
        let start = bytes.as_ptr().align_offset(Self::PAGE);
        Self {
            bytes,
            start,
            length,
        }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}
