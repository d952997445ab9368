//! What answers the reads of a served directory, several at a time: the files by the number that is
//! their node id, and a word on standard error, once for each file, when one can no longer be read.
//! Reads share the directory's descriptor, which has no position, and nothing else.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fd::{AsFd, OwnedFd};

use fuse_promise_client::{ReadHandler, ReadRequest};
use fuse_promise_core::Status;

use super::scan::File;
use super::source::{Refusal, Source};

pub struct Publication {
    root: OwnedFd,
    files: Vec<File>,
    /// The files that were complained about.
    reported: Mutex<HashSet<usize>>,
}

impl Publication {
    pub fn new(root: OwnedFd, files: Vec<File>) -> Self {
        Self {
            root,
            files,
            reported: Mutex::default(),
        }
    }

    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The node id of the file at `number`.
    pub fn node_id(number: usize) -> String {
        number.to_string()
    }

    fn read_file(&self, number: usize, offset: u64, buffer: &mut [u8]) -> Result<usize, Status> {
        let file = self.files.get(number).ok_or(Status::NotFound)?;
        Source::open(self.root.as_fd(), &file.path, &file.identity)
            .and_then(|source| source.read(offset, buffer))
            .map_err(|refusal| {
                self.report(number, &refusal);
                refusal.status()
            })
    }

    fn report(&self, number: usize, refusal: &Refusal) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.insert(number) {
            eprintln!(
                "fpctl: {:?} {}; reads of it fail until you serve the directory anew",
                Path::new(OsStr::from_bytes(&self.files[number].path)),
                refusal.reason(),
            );
        }
    }
}

impl ReadHandler for Publication {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        let number = request.node_id.to_str().ok().and_then(|id| id.parse().ok());
        self.read_file(number.ok_or(Status::NotFound)?, request.offset, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::serve::scan::scan;

    fn published(folder: &TempDir) -> Publication {
        let root = OwnedFd::from(fs::File::open(folder.path()).unwrap());
        let files = scan(root.as_fd(), None).unwrap().files;
        Publication::new(root, files)
    }

    #[test]
    fn a_read_finds_its_file_by_number() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a"), "first").unwrap();
        fs::write(folder.path().join("b"), "second").unwrap();
        let publication = published(&folder);
        let mut buffer = [0; 16];
        assert_eq!(publication.read_file(1, 0, &mut buffer), Ok(6));
        assert_eq!(&buffer[..6], b"second");
        assert_eq!(publication.read_file(0, 2, &mut buffer[..2]), Ok(2));
        assert_eq!(&buffer[..2], b"rs");
        assert_eq!(
            publication.read_file(2, 0, &mut buffer),
            Err(Status::NotFound)
        );
    }

    #[test]
    fn each_file_is_complained_about_once() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a"), "first").unwrap();
        fs::write(folder.path().join("b"), "second").unwrap();
        let publication = published(&folder);
        fs::write(folder.path().join("a"), "other").unwrap();
        fs::remove_file(folder.path().join("a")).unwrap();
        for _ in 0..2 {
            assert_eq!(
                publication.read_file(0, 0, &mut [0; 4]),
                Err(Status::NotFound)
            );
        }
        assert_eq!(publication.read_file(1, 0, &mut [0; 4]), Ok(4));
        assert_eq!(*publication.reported.lock().unwrap(), HashSet::from([0]));
    }
}
