//! The table of requests a provider owes an answer for.
//!
//! A request keeps its slot until the provider has answered, whatever became of
//! the reader: an entry whose reader was answered already (deadline, cancel) stays
//! here without a waiter, so that a callback that writes late writes into nobody
//! else's answer.

use std::sync::Arc;

use fuse_promise_core::failure::Failure;
use fuse_promise_core::ids::Row;
use fuse_promise_wire::Slot;

use super::Session;
use super::outcome::Placed;
use crate::promise::Promise;
use crate::read::ReadReply;

/// Which bytes are wanted. `offset + length` was capped at the file's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) promise: u32,
    pub(crate) row: Row,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    /// Thread that reads, as the kernel named it; 0 if it cannot be seen from here.
    pub(crate) tid: u32,
}

/// The reader, and what is needed to answer it.
pub(crate) struct Waiter {
    pub(crate) reply: Box<dyn ReadReply>,
    pub(crate) promise: Arc<Promise>,
    /// The kernel keeps pages for this open file: no short answers.
    pub(crate) cached: bool,
}

/// One request that was sent.
pub(crate) struct Asked {
    pub(crate) want: Want,
    /// Bytes received so far by answers that were shorter than asked.
    pub(crate) got: u32,
    pub(crate) slot: Slot,
    /// None once the reader has been answered without the provider.
    pub(crate) waiter: Option<Waiter>,
    /// Tick at which the frame was sent, or put into the outbox.
    pub(crate) asked_at: u64,
    /// The frame waits in the outbox for room in the channel.
    pub(crate) unsent: bool,
    /// Asked before any reader wanted it.
    pub(crate) ahead: bool,
}

impl Session {
    /// The present tick of its deadlines.
    pub(crate) fn now(&self) -> u64 {
        self.pump.now()
    }

    /// As [`request`](Self::request), for a reader that waits since an earlier tick: its
    /// deadline runs from then.
    pub(crate) fn request_since(
        &self,
        want: Want,
        waiter: Waiter,
        since: u64,
    ) -> Result<(), (Waiter, Failure)> {
        let mut traffic = self.traffic.lock();
        let placed = traffic.place(want, waiter, since);
        let channel = traffic.channel().cloned();
        drop(traffic);
        self.pump.arm();
        match placed {
            Placed::Send(outgoing) => self.send_through(channel, outgoing),
            Placed::Waits => {}
            Placed::Refused(waiter, refusal) => return Err((waiter, self.refusal(refusal))),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Place {
    /// Counts the uses of this place, so that an answer to an earlier request
    /// is never taken for one to the present request.
    generation: u32,
    asked: Option<Asked>,
}

/// Requests by id: the low half is the place, the high half its generation.
#[derive(Default)]
pub(crate) struct InFlight {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl InFlight {
    pub(crate) fn insert(&mut self, asked: Asked) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.asked = Some(asked);
        u64::from(place.generation) << 32 | u64::from(index)
    }

    /// The request of this id, if it is still owed.
    pub(crate) fn get_mut(&mut self, request: u64) -> Option<&mut Asked> {
        let place = self.places.get_mut(request as u32 as usize)?;
        if place.generation != (request >> 32) as u32 {
            return None;
        }
        place.asked.as_mut()
    }

    pub(crate) fn remove(&mut self, request: u64) -> Option<Asked> {
        self.get_mut(request)?;
        let index = request as u32;
        self.free.push(index);
        self.places[index as usize].asked.take()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every owed request with its id.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Asked)> {
        let places = self.places.iter_mut().enumerate();
        places.filter_map(|(index, place)| {
            let request = u64::from(place.generation) << 32 | index as u64;
            place.asked.as_mut().map(|asked| (request, asked))
        })
    }

    /// Takes everything out, at the end of a session.
    pub(crate) fn drain(&mut self) -> Vec<Asked> {
        self.free.clear();
        let places = std::mem::take(&mut self.places);
        places.into_iter().filter_map(|place| place.asked).collect()
    }
}
