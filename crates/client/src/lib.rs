//! The Rust client of fuse-promised: connect to the daemon or start it, publish trees, answer
//! their reads, copy promised files out, inspect.
//!
//! Every call blocks, and every call has a deadline. A context has one thread that speaks D-Bus
//! ([`Context`]), a provider one that answers reads, or several if it allows that ([`Provider`]). How the right daemon is found
//! is decided in `route` and done in `connect`; a read is answered in `serve`. What a forked child
//! may do (nothing) is in [`fork`].

#![forbid(unsafe_code)]

mod arena;
mod builder;
mod bus_address;
mod connect;
mod context;
mod daemon;
mod deadline;
mod destroy;
mod event_loop;
mod events;
#[cfg(test)]
mod fake_bus;
#[cfg(test)]
mod fake_daemon;
mod fault;
pub mod fork;
#[cfg(test)]
mod gate;
mod handler;
mod image;
mod inspect;
mod invalidate;
mod job;
mod link;
mod list;
mod materialize;
mod promises;
mod properties;
mod provider;
mod readiness;
mod registration;
mod route;
mod runner;
mod serve;
mod session;
mod session_bus;
mod socket;
mod status;
mod target;
#[cfg(test)]
mod test_support;
pub mod threads;

pub use builder::PromiseBuilder;
pub use context::{Context, ContextOptions};
pub use handler::{PromiseEvent, ReadHandler, ReadRequest};
pub use inspect::{InspectedError, InspectedNode};
pub use job::{Job, JobEnd, JobStatus, OnProgress};
pub use materialize::MaterializeOptions;
pub use provider::Provider;
pub use registration::ProviderOptions;
pub use route::Start;
pub use status::DaemonStatus;
