//! The kernel's side: a thin layer between the FUSE library and the engine. It turns each request
//! into one call of the engine and each answer into one reply; what is shown, and who may read
//! what, is decided there.
//!
//! The descriptor comes mounted (see `mount/`). No thread here ever waits for a provider: a read
//! takes its reply object along and is answered from elsewhere.

mod attributes;
#[cfg(test)]
mod fake_kernel;
mod filesystem;
mod kernel;
mod negotiation;
mod reply;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use fuse_promise_engine::{Engine, Kernel};
use fuser::{Config, Session, SessionACL};

pub use negotiation::Negotiated;

use filesystem::PromiseFilesystem;
use kernel::Notices;

/// One thread copies answers of metadata while another waits for the next request; reads are
/// answered elsewhere. More threads only take turns on one queue: each request then wakes a
/// thread that finds it taken.
const THREADS: usize = 2;

/// A file system that is being served.
pub struct FuseSession {
    /// How the kernel is told that something it holds is gone.
    pub kernel: Arc<dyn Kernel>,
    pub negotiated: Negotiated,
}

/// Agrees with the kernel on the terms, then serves on threads of their own until the mount ends,
/// and then calls `ended`. The threads end with the mount or with the process; nothing that is
/// dropped unmounts.
///
/// # Errors
/// A descriptor that is not a fresh FUSE connection, or a kernel that is too old.
pub fn start(
    device: OwnedFd,
    engine: Arc<Engine>,
    ended: impl FnOnce() + Send + 'static,
) -> io::Result<FuseSession> {
    let agreed = Arc::new(OnceLock::new());
    let filesystem = PromiseFilesystem::new(engine, Arc::clone(&agreed));
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    // The kernel lets in only the user who mounted. It makes an exception for descriptors that
    // were handed to another user's process, and closing those must not fail: so no second check.
    let session = Session::from_fd(filesystem, device, SessionACL::All, config)?;
    let negotiated = agreed.get().copied();
    let negotiated = negotiated.ok_or_else(|| io::Error::other("the kernel sent no INIT"))?;
    let kernel = Arc::new(Notices::new(session.notifier(), &negotiated));
    let serve = move || {
        if let Err(error) = session.run() {
            tracing::error!("the FUSE session failed: {error}");
        }
        ended();
    };
    std::thread::Builder::new()
        .name("fp-fuse".into())
        .spawn(serve)?;
    Ok(FuseSession { kernel, negotiated })
}
