//! Runtime directories for tests.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fuse_promise_wire::RuntimeDir;
use tempfile::TempDir;

/// A runtime directory that goes with the test.
pub struct PrivateDirectory(TempDir);

impl PrivateDirectory {
    pub fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        let private = builder.permissions(Permissions::from_mode(0o700));
        Self(private.tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn runtime_dir(&self) -> RuntimeDir {
        RuntimeDir::open(self.path()).unwrap()
    }
}
