//! What crosses a process boundary between the daemon and its clients: sealed images, the shared
//! memory and the frames of a provider's channel, the rules of the runtime directory, the lock that
//! says whether a daemon lives, and the words of the private bus interface.

#![deny(unsafe_code)]

pub mod arena;
pub mod bus;
pub mod busy_poll;
pub mod channel;
pub mod clock;
pub mod descriptors;
pub mod errno;
pub mod frame;
mod free_ranges;
pub mod geometry;
#[cfg(test)]
mod hang_guard;
pub mod image;
pub mod inspected;
pub mod lock;
mod mapping;
pub mod memfd;
pub mod peer;
pub mod ring;
pub mod runtime_dir;
pub mod segment;

pub use arena::{Arena, Slot};
pub use busy_poll::BusyPoll;
pub use channel::{Channel, RecvOutcome, SendOutcome};
pub use frame::{
    FrameBytes, FrameError, PROTOCOL_VERSION, ReadFrame, SessionEvent, ToDaemon, ToProvider,
};
pub use free_ranges::FreeRanges;
pub use geometry::Geometry;
pub use image::MappedImage;
pub use lock::DaemonLock;
pub use peer::Peer;
pub use ring::{Direction, Put, RingPutter, RingTaker};
pub use runtime_dir::RuntimeDir;
pub use segment::{ImageBytes, SegmentImage, SegmentStore};
