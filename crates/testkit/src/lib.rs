//! Private sessions, provider fixtures and checks for the system tests.
//!
//! A test starts a [`Session`]: a runtime directory, a home and a running
//! `fuse-promised` that nothing outside can see. It comes in several shapes
//! ([`Shape`]), and most tests hold in both of the main ones, so they are
//! written once:
//!
//! ```text
//! fuse_promise_testkit::both_shapes! {
//!     fn a_published_file_reads_back(session) {
//!         let mut provider = session.provider();
//!         let promise = provider.publish(&Tree::new().file("a", 4096));
//!         provider.check(&promise);
//!     }
//! }
//! ```
//!
//! - Programs of the session (`session.command("fpctl")`) see the session's
//!   own runtime directory, home and bus and nothing of the environment the
//!   test was started in.
//! - Readiness is an event (a notification, a reply, a line on a pipe), never
//!   a sleep. Every session carries a watch of 60 seconds: when it runs out,
//!   the state of the session is printed and everything in it is killed, so
//!   that a hang becomes a failure with its evidence.
//! - When a test fails, the logs of its session are printed.
//! - A session's end stops the daemon in order, kills what is left, takes the
//!   mount away and removes the folder.
//!
//! Programs are found in `FUSE_PROMISE_BIN_DIR` (set by `cargo xtask test`),
//! or else in the build folder of the workspace. The systemd shape needs a
//! cgroup that root has prepared, which `cargo xtask test system` does.

#![forbid(unsafe_code)]

pub mod cgroup;
#[cfg(feature = "provider")]
pub mod fixture;
#[cfg(feature = "provider")]
pub mod fuzz;
pub mod log_file;
pub mod mounts;
pub mod notify;
pub mod process;
pub mod programs;
pub mod session;
pub mod session_dirs;
pub mod watch;

pub use process::Process;
pub use session::{Session, SessionOptions, Shape};

#[cfg(feature = "provider")]
pub use fixture::{
    answers::Answer,
    content::Content,
    hand_played::HandPlayed,
    process::{ProviderProcess, Published, Refused},
    random::Random,
    tree::Tree,
};
