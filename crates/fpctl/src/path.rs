//! Paths of the command line, as they leave this process: the daemon does not know where we are.

use std::path::{Path, PathBuf};

use fuse_promise_core::Failure;

pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::invalid(format!("{path:?}: {error}")))
}
