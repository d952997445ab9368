//! The inside of the daemon: which promises exist, who answers for them, and
//! how a read becomes an answer. It knows neither the kernel's protocol nor the
//! bus; both talk to it through [`Engine`], and it talks back through the traits
//! [`Kernel`], [`Observer`] and [`ReadReply`].
//!
//! One read, followed with a finger: [`Engine::read`] (in `read.rs`) plans it,
//! `session/mod.rs` takes a slot and sends one frame, `session/pump.rs` takes
//! the provider's answer, `session/complete.rs` checks it and answers the reader
//! out of the slot. No step waits, and no lock is held while a frame is sent or
//! a reader is answered.
#![forbid(unsafe_code)]

mod account;
mod cache;
mod catalog;
mod commit;
mod disk_readers;
mod engine;
mod expiry;
mod gauges;
mod history;
mod inspect;
mod kernel;
mod materialize;
mod numbers;
mod observe;
mod open;
mod options;
mod promise;
mod read;
mod session;
mod sync;
mod tree;
mod xattr;

pub use commit::CommitOptions;
pub use engine::Engine;
pub use gauges::Gauges;
pub use history::ReadError;
pub use inspect::NodeSnapshot;
pub use kernel::Kernel;
pub use materialize::{JobSnapshot, MaterializeOptions, Outcome, Progress, Report, Reported};
pub use observe::{EngineEvent, Observer, PromiseSnapshot, ProviderSnapshot};
pub use open::Opened;
pub use options::EngineOptions;
pub use promise::Promise;
pub use read::{ReadReply, ReadRequest};
pub use session::{Client, ProviderConfig, Registration, SlotAnswer};
pub use tree::{Attr, Entry, Listing, Totals};
