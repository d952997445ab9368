//! Where a daemon that was killed may have left partial files.
//!
//! Before a temporary name is made in a directory, the directory's path is
//! written down; a job that ends takes its page away. The next daemon sweeps what
//! the pages name: only the partial files of the daemon that wrote the page, and only through directories that
//! are reached without a symlink.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::{Failure, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};

use super::target::Directory;
use crate::sync::Mutex;

/// The folder of all pages, in the runtime directory.
pub(crate) const PARTIALS: &str = "fuse-promise.partials";

/// Begins the name of every partial file.
pub(super) const PARTIAL_PREFIX: &str = ".fuse-promise-partial-";

/// The page of one job.
pub(crate) struct Journal {
    page: PathBuf,
    noted: Mutex<HashSet<PathBuf>>,
}

impl Journal {
    /// A page that is written when the first directory is noted.
    pub(crate) fn new(folder: &Path, job: u64) -> Self {
        Self {
            page: folder.join(format!("{}-{job}", std::process::id())),
            noted: Mutex::default(),
        }
    }

    /// Writes the directory down, once.
    pub(super) fn note(&self, directory: &Directory) -> Result<()> {
        let own = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        let path = std::fs::read_link(own).map_err(|error| unwritable(&self.page, &error))?;
        let mut noted = self.noted.lock();
        if noted.contains(&path) {
            return Ok(());
        }
        append(&self.page, &path).map_err(|error| unwritable(&self.page, &error))?;
        noted.insert(path);
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.noted.lock().is_empty() {
            // A page that stays costs the next daemon one look.
            let _ = std::fs::remove_file(&self.page);
        }
    }
}

/// One path a line would not do: a path may hold a newline, never a NUL.
fn append(page: &Path, directory: &Path) -> std::io::Result<()> {
    if let Some(folder) = page.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(page)?;
    let mut line = directory.as_os_str().as_bytes().to_vec();
    line.push(0);
    out.write_all(&line)
}

/// The pages that earlier daemons left; taken before this one writes any.
pub(crate) fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Removes the partial files that pages of earlier daemons name, and says so.
pub(crate) fn sweep(pages: &[PathBuf]) {
    match sweep_pages(pages) {
        0 => {}
        files => tracing::info!(files, "partial files of an earlier daemon were removed"),
    }
}

fn sweep_pages(pages: &[PathBuf]) -> usize {
    let mut removed = 0;
    for page in pages {
        let name = page.file_name().and_then(|name| name.to_str());
        let daemon = name.and_then(|name| name.split_once('-'));
        let Some((daemon, _)) = daemon else { continue };
        let prefix = format!("{PARTIAL_PREFIX}{daemon}-");
        let text = std::fs::read(page).unwrap_or_default();
        for directory in text
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
        {
            let directory = Path::new(std::ffi::OsStr::from_bytes(directory));
            removed += sweep_directory(directory, &prefix);
        }
        let _ = std::fs::remove_file(page);
    }
    removed
}

fn sweep_directory(path: &Path, prefix: &str) -> usize {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve);
    let Ok(directory) = opened else { return 0 };
    let Ok(entries) = Dir::read_from(directory.as_fd()) else {
        return 0;
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_owned());
    let ours = names.filter(|name| name.to_bytes().starts_with(prefix.as_bytes()));
    ours.filter(|name| rustix::fs::unlinkat(&directory, name, AtFlags::empty()).is_ok())
        .count()
}

fn unwritable(page: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("the journal {}: {error}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_daemon_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, target) = (dir.path().join("pages"), dir.path().join("a\nb"));
        std::fs::create_dir(&target).unwrap();
        let opened = rustix::fs::open(&target, OFlags::PATH, Mode::empty()).unwrap();
        let journal = Journal::new(&folder, 1);
        journal.note(&Directory::open(&opened).unwrap()).unwrap();
        std::mem::forget(journal);
        let own = std::process::id();
        let partial = target.join(format!("{PARTIAL_PREFIX}{own}-2"));
        let of_another = target.join(format!("{PARTIAL_PREFIX}1-2"));
        std::fs::write(&of_another, "half").unwrap();
        let users = target.join("users-file");
        std::fs::write(&partial, "half").unwrap();
        std::fs::write(&users, "whole").unwrap();
        assert_eq!(sweep_pages(&pages(&folder)), 1);
        assert!(!partial.exists() && users.exists() && of_another.exists());
        assert_eq!(pages(&folder).len(), 0);
    }

    #[test]
    fn a_job_that_ends_leaves_no_page() {
        let dir = tempfile::tempdir().unwrap();
        let opened = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        let folder = dir.path().join("pages");
        let journal = Journal::new(&folder, 1);
        journal.note(&Directory::open(&opened).unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        drop(journal);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
