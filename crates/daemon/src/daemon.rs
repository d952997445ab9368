//! What the parts of the daemon share.

use std::sync::Arc;

use fuse_promise_engine::Engine;
use fuse_promise_wire::RuntimeDir;

use crate::mount::Mount;
use crate::options::Options;

/// The running daemon: the engine, and what it is reached through.
pub struct Daemon {
    pub engine: Arc<Engine>,
    pub runtime_dir: RuntimeDir,
    pub mount: Arc<Mount>,
    pub options: Options,
}

#[cfg(test)]
impl Daemon {
    /// A daemon whose mount is what a test says it is.
    pub fn without_mount(engine: Arc<Engine>, runtime_dir: RuntimeDir) -> Self {
        Self {
            mount: Mount::new(&runtime_dir, Arc::clone(&engine)).unwrap(),
            engine,
            runtime_dir,
            options: Options::default(),
        }
    }
}
