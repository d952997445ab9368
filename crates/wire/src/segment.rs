//! Small images share memory.
//!
//! A descriptor for each promise would end in EMFILE, so images up to 256 KiB are copied into
//! segments: memfds of 16 MiB whose size is sealed and which only this process writes. An image's
//! place is free again when the image is dropped; its pages go back to the system at once, and a
//! segment without images is closed.

use std::ops::{Deref, Range};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuse_promise_core::limits::{SEGMENT_LEN, SHARED_IMAGE_LEN_MAX};
use fuse_promise_core::{Failure, ImageView, Result};
use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::pwrite;

use crate::descriptors::{Newcomer, check_room};
use crate::errno::failed;
use crate::free_ranges::FreeRanges;
use crate::image::{MappedImage, seal_copy};
use crate::mapping::SegmentMap;
use crate::memfd::{self, SIZE_SEALS};

/// Places begin at multiples of a cache line: an image shares none with another, and the smallest
/// one does not take a whole page.
const GRAIN: usize = 64;

/// All segments of a daemon.
#[derive(Debug, Default)]
pub struct SegmentStore {
    slabs: Arc<Mutex<Vec<Slab>>>,
}

/// A segment and which of it is free.
#[derive(Debug)]
struct Slab {
    segment: Arc<Segment>,
    free: FreeRanges,
}

#[derive(Debug)]
struct Segment {
    fd: OwnedFd,
    map: SegmentMap,
}

impl SegmentStore {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a checked image where images of its length belong.
    pub fn place(&self, image: MappedImage) -> Result<ImageBytes> {
        if image.len() > SHARED_IMAGE_LEN_MAX {
            check_room(Newcomer::Guest, &image.fd())?;
            return Ok(ImageBytes::Own(image));
        }
        self.copy_in(&image).map(ImageBytes::Segment)
    }

    /// Copies a checked image into a segment.
    pub fn copy_in(&self, image: &[u8]) -> Result<SegmentImage> {
        let len = image.len().next_multiple_of(GRAIN);
        if image.is_empty() || len > SEGMENT_LEN {
            return Err(Failure::invalid(format!(
                "an image of {} bytes does not belong into a segment",
                image.len()
            )));
        }
        let (segment, place) = self.take(len)?;
        // From here on dropping the image gives its place back.
        let copy = SegmentImage {
            slabs: Arc::clone(&self.slabs),
            segment,
            len: image.len(),
            place,
        };
        let mut at = copy.place.start;
        let mut left = image;
        while !left.is_empty() {
            let written = pwrite(&copy.segment.fd, left, at as u64)
                .map_err(|errno| failed("memory for an image", errno))?;
            at += written;
            left = &left[written..];
        }
        Ok(copy)
    }

    /// How many segments there are.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        locked(&self.slabs).len()
    }

    fn take(&self, len: usize) -> Result<(Arc<Segment>, Range<usize>)> {
        let take_from = |slab: &mut Slab| Some((Arc::clone(&slab.segment), slab.free.take(len)?));
        if let Some(taken) = locked(&self.slabs).iter_mut().find_map(take_from) {
            return Ok(taken);
        }
        let mut slab = Slab {
            segment: Arc::new(Segment::create()?),
            free: FreeRanges::new(SEGMENT_LEN),
        };
        let taken = take_from(&mut slab).expect("a new segment has room for an image");
        locked(&self.slabs).push(slab);
        Ok(taken)
    }
}

impl Segment {
    fn create() -> Result<Self> {
        let fd = memfd::create("fuse-promise-images")?;
        check_room(Newcomer::Guest, &fd)?;
        ftruncate(&fd, SEGMENT_LEN as u64).map_err(|errno| failed("size a segment", errno))?;
        memfd::add_seals(&fd, SIZE_SEALS)?;
        let map = SegmentMap::new(&fd)?;
        Ok(Self { fd, map })
    }

    /// Gives back the pages that `freed` touched and that now lie wholly in `free`.
    fn give_back_pages(&self, freed: &Range<usize>, free: &Range<usize>) {
        let page = rustix::param::page_size();
        let start = free
            .start
            .next_multiple_of(page)
            .max(freed.start / page * page);
        let end = (free.end / page * page).min(freed.end.next_multiple_of(page));
        if start < end {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // If it fails the memory stays with the segment, which goes on working.
            let _ = fallocate(&self.fd, flags, start as u64, (end - start) as u64);
        }
    }
}

/// A checked image in a segment.
#[derive(Debug)]
pub struct SegmentImage {
    slabs: Arc<Mutex<Vec<Slab>>>,
    segment: Arc<Segment>,
    len: usize,
    /// `len` rounded up to the grain.
    place: Range<usize>,
}

impl SegmentImage {
    #[must_use]
    pub fn view(&self) -> ImageView<'_> {
        ImageView::trusted(self)
    }

    /// The segment's memfd, which holds other images as well: not for other processes.
    #[must_use]
    pub fn segment_fd(&self) -> BorrowedFd<'_> {
        self.segment.fd.as_fd()
    }

    /// Where in the segment the image begins.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.place.start
    }
}

impl Deref for SegmentImage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.place.start;
        self.segment.map.bytes(&(start..start + self.len))
    }
}

impl Drop for SegmentImage {
    fn drop(&mut self) {
        let mut slabs = locked(&self.slabs);
        let place = slabs
            .iter()
            .position(|slab| Arc::ptr_eq(&slab.segment, &self.segment));
        let Some(place) = place else { return };
        let slab = &mut slabs[place];
        let free = slab.free.give_back(self.place.clone());
        if slab.free.is_all_free() {
            slabs.swap_remove(place);
            return;
        }
        // Under the lock, so that the place is not taken and written meanwhile. It is memory that
        // is given back, nothing is waited for.
        self.segment.give_back_pages(&self.place, &free);
    }
}

/// No step that holds the lock leaves the slabs half changed.
fn locked(slabs: &Mutex<Vec<Slab>>) -> MutexGuard<'_, Vec<Slab>> {
    slabs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A checked image, wherever it lies.
#[derive(Debug)]
pub enum ImageBytes {
    Own(MappedImage),
    Segment(SegmentImage),
}

impl ImageBytes {
    #[must_use]
    pub fn view(&self) -> ImageView<'_> {
        ImageView::trusted(self)
    }

    /// A sealed memfd with this image alone, for another process.
    pub fn to_fd(&self) -> Result<OwnedFd> {
        match self {
            Self::Own(image) => {
                let copied = image.fd().try_clone_to_owned();
                copied.map_err(|error| Failure::unavailable(format!("image: {error}")))
            }
            Self::Segment(image) => seal_copy(image),
        }
    }
}

impl Deref for ImageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(image) => image,
            Self::Segment(image) => image,
        }
    }
}

#[cfg(test)]
mod tests;
