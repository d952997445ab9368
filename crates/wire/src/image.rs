//! An image on its way from a provider's library to the daemon, and in the daemon.
//!
//! The library writes it into a memfd and puts every seal on it. The daemon looks at the seals, the
//! size, the header and for holes, and only then maps it and checks every row: by then nobody can
//! change what was checked, and reading it costs no memory that is not there already.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fuse_promise_core::image::HEADER_LEN;
use fuse_promise_core::limits::IMAGE_LEN_MAX;
use fuse_promise_core::{Failure, ImageView, Result, TreeBuilder};
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::{Errno, pread};

use crate::errno::failed;
use crate::mapping::SealedMap;
use crate::memfd::{self, ALL_SEALS};

/// Large enough that system calls do not count beside copying.
const WRITE_BUFFER_LEN: usize = 256 << 10;

/// The image of a tree in a memfd with every seal, ready to be passed on.
pub fn seal(tree: &TreeBuilder) -> Result<OwnedFd> {
    write_sealed(tree.image_len(), |out| tree.write_image(out))
}

/// A copy of image bytes in a memfd with every seal.
pub fn seal_copy(image: &[u8]) -> Result<OwnedFd> {
    write_sealed(image.len() as u64, |out| out.write_all(image))
}

fn write_sealed(
    len: u64,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<OwnedFd> {
    let fd = memfd::create("fuse-promise-image")?;
    // Takes the memory now, so that a shortage is an error here and not a signal later.
    fallocate(&fd, FallocateFlags::empty(), 0, len)
        .map_err(|errno| failed("memory for an image", errno))?;
    let mut out = BufWriter::with_capacity(WRITE_BUFFER_LEN, File::from(fd));
    let written =
        write(&mut out).and_then(|()| out.into_inner().map_err(|error| error.into_error()));
    let file = written.map_err(|error| Failure::io(format!("write an image: {error}")))?;
    let fd = OwnedFd::from(file);
    memfd::add_seals(&fd, ALL_SEALS)?;
    Ok(fd)
}

/// A checked image in a memfd of its own.
#[derive(Debug)]
pub struct MappedImage {
    fd: OwnedFd,
    map: SealedMap,
}

impl MappedImage {
    /// Takes an image from anybody. `InvalidArgument` for what is not sealed memory, has holes, or
    /// is not an image in every detail; nothing is mapped before it is known to be safe.
    pub fn open(fd: OwnedFd) -> Result<Self> {
        let size =
            memfd::sealed_size(&fd, ALL_SEALS).map_err(|failure| failure.context("image"))?;
        check_start(&fd, size)?;
        check_no_holes(&fd, size)?;
        let map = SealedMap::new(&fd)?;
        ImageView::check(&map)?;
        Ok(Self { fd, map })
    }

    #[must_use]
    pub fn view(&self) -> ImageView<'_> {
        ImageView::trusted(&self.map)
    }

    /// The sealed memfd.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Deref for MappedImage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// The header must fit the size, so that what is mapped is not much more than what is used.
fn check_start(fd: &OwnedFd, size: u64) -> Result<()> {
    if size > IMAGE_LEN_MAX {
        return Err(Failure::invalid(format!(
            "an image of {size} bytes is over the limit of {IMAGE_LEN_MAX}"
        )));
    }
    let mut start = [0; HEADER_LEN];
    // Sealed memory is read whole by one call.
    let len = pread(fd, &mut start, 0).map_err(|errno| failed("read an image", errno))?;
    ImageView::check_header(&start[..len], size)
}

/// Reading a hole fills it: a file of holes would take the reader's memory, not the writer's.
fn check_no_holes(fd: &OwnedFd, size: u64) -> Result<()> {
    match seek(fd, SeekFrom::Hole(0)) {
        Ok(hole) if hole == size => Ok(()),
        Ok(hole) => Err(Failure::invalid(format!(
            "the image has a hole at byte {hole}; write all of its memory before sealing it"
        ))),
        Err(Errno::NXIO) => Err(Failure::invalid("the image is empty")),
        Err(errno) => Err(failed("look for holes in an image", errno)),
    }
}

#[cfg(test)]
mod tests;
