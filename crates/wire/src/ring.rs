//! Frames in shared memory, for as long as the other side is awake.
//!
//! A ring carries frames one way: one side puts them in, the other takes them out. While the taker
//! is at work, a frame costs no system call. Before the taker waits in its channel it says that it
//! sleeps; from then on frames go through the channel, which wakes it. Should a frame have been put
//! in at the very moment in which the taker fell asleep, the putter finds out and rings a bell
//! frame in the channel.
//!
//! Neither side believes the other: each keeps its own position, looks at the other's only to
//! compare, and copies a frame out before it looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::frame::{FRAME_LEN, FrameBytes};
use crate::mapping::SlotMap;

/// Frames a ring holds. More than an arena has slots, and so more than there can be requests.
const FRAMES: u64 = 256;
/// Words between things that different processors write: a cache line, and the one that is fetched
/// along with it.
const APART: usize = 16;
const FRAME_WORDS: usize = FRAME_LEN / size_of::<u64>();
/// Where the putter says how many frames it has put in, ever.
const PUT: usize = 0;
/// Where the putter says how many it has sent through the channel instead, so that the taker
/// takes those first.
const ELSEWHERE: usize = 1;
/// Where the taker says how many it has taken out.
const TAKEN: usize = APART;
/// Where the taker says how awake it is.
const AWAKE: usize = 2 * APART;
/// What new memory says, so that one that knows nothing of rings is asleep for ever.
const ASLEEP: u64 = 0;
const AT_WORK: u64 = 1;
/// It does nothing but look for the next frame.
const POLLING: u64 = 2;
const FIRST: usize = 3 * APART;
const RING_WORDS: usize = FIRST + FRAMES as usize * FRAME_WORDS;

/// Bytes of both rings of an arena.
pub(crate) const RINGS_LEN: u64 = (2 * RING_WORDS * size_of::<u64>()) as u64;

/// Which way the frames of a ring go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToProvider,
    ToDaemon,
}

/// One ring of an arena.
#[derive(Debug)]
struct Ring {
    map: Arc<SlotMap>,
    direction: Direction,
}

/// The side that puts frames in. There is one in all processes together.
#[derive(Debug)]
pub struct RingPutter {
    ring: Ring,
    put: u64,
    elsewhere: u64,
}

/// The side that takes frames out. There is one in all processes together.
#[derive(Debug)]
pub struct RingTaker {
    ring: Ring,
    taken: u64,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The taker is awake and finds it.
    Done,
    /// It is in the ring, and the taker may have fallen asleep: ring the bell.
    RingBell,
    /// The taker sleeps, or has not kept up: send the frame through the channel.
    Not,
}

/// The other side claims what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("claims more frames than a ring holds")]
pub struct Overfull;

impl Ring {
    fn word(&self, index: usize) -> &AtomicU64 {
        let first = match self.direction {
            Direction::ToProvider => 0,
            Direction::ToDaemon => RING_WORDS,
        };
        &self.map.ring_words()[first + index]
    }

    /// The words of the frame with this number.
    fn frame(&self, number: u64) -> impl Iterator<Item = &AtomicU64> {
        let first = FIRST + (number % FRAMES) as usize * FRAME_WORDS;
        (first..first + FRAME_WORDS).map(|index| self.word(index))
    }
}

impl RingPutter {
    pub(crate) fn new(map: Arc<SlotMap>, direction: Direction) -> Self {
        let ring = Ring { map, direction };
        Self {
            ring,
            put: 0,
            elsewhere: 0,
        }
    }

    /// Puts a frame in if the taker is awake.
    pub fn put(&mut self, frame: &FrameBytes) -> Put {
        let taken = self.ring.word(TAKEN).load(Ordering::Acquire);
        if !self.is_awake() || self.put.wrapping_sub(taken) >= FRAMES {
            self.note_elsewhere();
            return Put::Not;
        }
        let (words, _) = frame.as_chunks();
        for (word, bytes) in self.ring.frame(self.put).zip(words) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        self.put = self.put.wrapping_add(1);
        self.ring.word(PUT).store(self.put, Ordering::Release);
        // Either the taker sees the frame before it sleeps, or it is seen here to sleep.
        fence(Ordering::SeqCst);
        match self.is_awake() {
            true => Put::Done,
            false => Put::RingBell,
        }
    }

    /// Whether the taker finds a frame that is put in now.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.ring.word(AWAKE).load(Ordering::Relaxed) != ASLEEP
    }

    /// Whether the taker does nothing but look for the next frame.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        self.ring.word(AWAKE).load(Ordering::Relaxed) == POLLING
    }

    /// A frame goes through the channel, for whatever reason.
    pub fn note_elsewhere(&mut self) {
        self.elsewhere = self.elsewhere.wrapping_add(1);
        let word = self.ring.word(ELSEWHERE);
        word.store(self.elsewhere, Ordering::Relaxed);
    }
}

impl RingTaker {
    pub(crate) fn new(map: Arc<SlotMap>, direction: Direction) -> Self {
        let ring = Ring { map, direction };
        Self { ring, taken: 0 }
    }

    /// The next frame.
    pub fn take(&mut self) -> Result<Option<FrameBytes>, Overfull> {
        let put = self.ring.word(PUT).load(Ordering::Acquire);
        match put.wrapping_sub(self.taken) {
            0 => return Ok(None),
            1..=FRAMES => {}
            _ => return Err(Overfull),
        }
        let mut frame = [0; FRAME_LEN];
        let (words, _) = frame.as_chunks_mut();
        for (bytes, word) in words.iter_mut().zip(self.ring.frame(self.taken)) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        self.taken = self.taken.wrapping_add(1);
        self.ring.word(TAKEN).store(self.taken, Ordering::Release);
        Ok(Some(frame))
    }

    /// How many frames were, or are just being, sent through the channel instead.
    #[must_use]
    pub fn sent_elsewhere(&self) -> u64 {
        self.ring.word(ELSEWHERE).load(Ordering::Relaxed)
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.word(PUT).load(Ordering::Acquire) == self.taken
    }

    /// From now on frames come through the ring.
    pub fn wake(&mut self) {
        self.say(AT_WORK);
    }

    /// As [`wake`](Self::wake), and tells the putter that the next frame is looked for until it
    /// comes, or until this taker says something else.
    pub fn poll(&mut self) {
        self.say(POLLING);
    }

    fn say(&mut self, how: u64) {
        let awake = self.ring.word(AWAKE);
        if awake.load(Ordering::Relaxed) != how {
            awake.store(how, Ordering::Relaxed);
        }
    }

    /// From now on frames come through the channel. False if there is a frame in the ring still;
    /// then it stays awake.
    pub fn sleep(&mut self) -> bool {
        let awake = self.ring.word(AWAKE);
        awake.store(ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let empty = self.is_empty();
        if !empty {
            awake.store(AT_WORK, Ordering::Relaxed);
        }
        empty
    }
}

#[cfg(test)]
mod tests;
