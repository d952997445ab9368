//! Where copies go: a folder in memory, so that no disk is measured.

use std::fs;
use std::path::{Path, PathBuf};

use super::programs::Programs;
use crate::Outcome;

/// A tmpfs that every Linux system has and every user may write to.
const MEMORY: &str = "/dev/shm";
/// f_type of a tmpfs.
const TMPFS_MAGIC: u32 = 0x0102_1994;

/// The folder; removed at the end of the run.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub fn create(programs: &mut Programs) -> Outcome<Self> {
        let system = rustix::fs::statfs(MEMORY)?;
        if system.f_type as u32 != TMPFS_MAGIC {
            return Err(format!("{MEMORY} is no tmpfs, and copies are to go to memory").into());
        }
        let path = tempfile::Builder::new()
            .prefix("fuse-promise-bench-")
            .tempdir_in(MEMORY)?
            .keep();
        programs.remove_at_end(&path)?;
        programs.stage().give(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An empty folder in it, of the ordinary user's own.
    pub fn folder(&self, programs: &Programs, name: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        programs.stage().give(&path)?;
        Ok(path)
    }
}
