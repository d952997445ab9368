//! The fields of a frame, written and read one after the other.
//!
//! What the fields leave of the 64 bytes is zero; the reader insists on it, so that those bytes
//! can get a meaning later.

use super::{FRAME_LEN, FrameBytes, FrameError};

pub struct FieldWriter {
    bytes: FrameBytes,
    at: usize,
}

impl FieldWriter {
    pub fn new(kind: u32) -> Self {
        let empty = Self {
            bytes: [0; FRAME_LEN],
            at: 0,
        };
        empty.u32(kind)
    }

    pub fn u32(self, value: u32) -> Self {
        self.put(value.to_ne_bytes())
    }

    pub fn u64(self, value: u64) -> Self {
        self.put(value.to_ne_bytes())
    }

    pub fn finish(self) -> FrameBytes {
        self.bytes
    }

    fn put<const N: usize>(mut self, field: [u8; N]) -> Self {
        self.bytes[self.at..self.at + N].copy_from_slice(&field);
        self.at += N;
        self
    }
}

pub struct FieldReader<'a> {
    left: &'a [u8],
}

impl<'a> FieldReader<'a> {
    pub fn new(packet: &'a [u8]) -> Result<Self, FrameError> {
        if packet.len() != FRAME_LEN {
            return Err(FrameError::Size(packet.len()));
        }
        Ok(Self { left: packet })
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }

    pub fn end(&self) -> Result<(), FrameError> {
        if self.left.iter().any(|byte| *byte != 0) {
            return Err(FrameError::Reserved);
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, left) = self
            .left
            .split_first_chunk()
            .expect("the fields of every kind fit into a frame");
        self.left = left;
        *field
    }
}
