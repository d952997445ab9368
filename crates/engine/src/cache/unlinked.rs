//! A file without a name.
//!
//! Where the file system can, it never has one; elsewhere it has one for a
//! moment.

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;

use fuse_promise_core::failure::{self, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::disk::Backing;

pub(super) struct UnlinkedFile(OwnedFd);

impl UnlinkedFile {
    pub(super) fn create(directory: &Path) -> failure::Result<Self> {
        let failed = |errno: Errno| {
            Failure::io(format!(
                "cannot create a cache file in {}: {errno}; choose another cache directory",
                directory.display()
            ))
        };
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        match rustix::fs::open(directory, flags | OFlags::TMPFILE | OFlags::EXCL, mode) {
            Ok(file) => return Ok(Self(file)),
            // Not every file system can.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(errno) => return Err(failed(errno)),
        }
        Self::create_and_unlink(directory).map_err(failed)
    }

    fn create_and_unlink(directory: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        let mut attempt = 0;
        loop {
            let name = format!(".fuse-promise-cache-{}-{attempt}", std::process::id());
            let path = directory.join(name);
            match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    rustix::fs::unlink(&path)?;
                    return Ok(Self(file));
                }
                // Of a process that was killed between the two steps.
                Err(Errno::EXIST) => attempt += 1,
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Backing for UnlinkedFile {
    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> Result<()> {
        while !buffer.is_empty() {
            match rustix::io::pread(&self.0, &mut *buffer, offset) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.0, bytes, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn punch(&self, range: &Range<u64>) -> Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.0, flags, range.start, range.end - range.start)
            .map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::BLOCK;
    use super::*;

    #[test]
    fn both_ways_to_make_the_file_leave_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let files = [
            UnlinkedFile::create(directory.path()).unwrap(),
            UnlinkedFile::create_and_unlink(directory.path()).unwrap(),
        ];
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        for file in files {
            file.write_at(b"bytes", 1 << 30).unwrap();
            let mut bytes = [0; 5];
            file.read_at(&mut bytes, 1 << 30).unwrap();
            assert_eq!(&bytes, b"bytes");
            let beyond = file.read_at(&mut bytes, (1 << 30) + 1).unwrap_err();
            assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_hole_gives_its_space_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = UnlinkedFile::create(directory.path()).unwrap();
        file.write_at(&vec![1; 1 << 20], 0).unwrap();
        let blocks = || rustix::fs::fstat(&file.0).unwrap().st_blocks;
        assert!(blocks() >= (1 << 20) / 512);
        file.punch(&(BLOCK..1 << 20)).unwrap();
        assert!(blocks() <= 2 * i64::try_from(BLOCK).unwrap() / 512);
        let mut bytes = [0; 4];
        file.read_at(&mut bytes, BLOCK - 2).unwrap();
        assert_eq!(bytes, [1, 1, 0, 0]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("nothing");
        let failure = UnlinkedFile::create(&missing).err().unwrap();
        assert!(failure.message.contains("nothing"), "{failure}");
    }
}
