//! Programs that read, and the kernel's readahead for them. It follows what
//! Linux does for a FUSE file: at most 128 KiB a READ, and the next READ is sent
//! when the reader comes to a marked page of the one before.

use std::ops::Range;

use super::provider::Provider;
use super::{Limits, PAGE, Window};

const READAHEAD_PAGES: u64 = 32;

/// What the kernel keeps of the READs of one open file.
pub(super) struct Kernel {
    /// The READ each page came with.
    read_of: Vec<Option<usize>>,
    reads: Vec<Range<u64>>,
    pub(super) window: Window,
    depth: u64,
}

impl Kernel {
    pub(super) fn new(file_pages: u64, depth: u64) -> Self {
        Self {
            read_of: vec![None; file_pages as usize],
            reads: Vec::new(),
            window: Window::new(),
            depth,
        }
    }

    /// Sends READs for the pages of the range that nobody asked for yet.
    fn send_reads(&mut self, range: Range<u64>, provider: &mut Provider) {
        let file_pages = self.read_of.len() as u64;
        let mut page = range.start;
        let end = range.end.min(file_pages);
        while page < end {
            let start = page;
            while page < end && self.read_of[page as usize].is_none() {
                self.read_of[page as usize] = Some(self.reads.len());
                page += 1;
            }
            if page == start {
                page += 1;
                continue;
            }
            self.reads.push(start..page);
            provider.want(start..page, true);
            let told = self.window.read(
                start * PAGE,
                (page - start) * PAGE,
                file_pages * PAGE,
                &Limits { depth: self.depth },
            );
            while let Some(range) = self.window.unwanted() {
                provider.cancel(&(range.start / PAGE..range.end.div_ceil(PAGE)));
            }
            if let Some(range) = told {
                provider.want(range.start / PAGE..range.end.div_ceil(PAGE), false);
            }
        }
    }

    fn has(&self, page: u64, provider: &Provider) -> bool {
        self.read_of[page as usize].is_some_and(|read| provider.holds(&self.reads[read]))
    }
}

/// How a program reads, with the pages that each of its read(2) asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Buffered(u64),
    Direct(u64),
    Mapped,
}

/// A program that touches pages in some order.
pub(super) struct Reader {
    pages: Vec<u64>,
    next: usize,
    how: How,
    start: u64,
    size: u64,
    marker: Option<u64>,
}

impl Reader {
    pub(super) fn new(pages: impl IntoIterator<Item = u64>, how: How) -> Self {
        Self {
            pages: pages.into_iter().collect(),
            next: 0,
            how,
            start: 0,
            size: 0,
            marker: None,
        }
    }

    /// Goes on until a page is not there yet. Whether it is at its end.
    pub(super) fn go_on(&mut self, kernel: &mut Kernel, provider: &mut Provider) -> bool {
        while let Some(&page) = self.pages.get(self.next) {
            if kernel.read_of[page as usize].is_none() {
                self.missed(page);
                kernel.send_reads(self.start..self.start + self.size, provider);
            }
            if self.marker == Some(page) {
                self.start += self.size;
                self.size = (self.size * 2).min(READAHEAD_PAGES);
                self.marker = Some(self.start);
                kernel.send_reads(self.start..self.start + self.size, provider);
            }
            if !kernel.has(page, provider) {
                return false;
            }
            self.next += 1;
        }
        true
    }

    /// Sets the range to read for a page that is not in the cache.
    fn missed(&mut self, page: u64) {
        let before = self.next.checked_sub(1).map(|last| self.pages[last]);
        let goes_on = page == 0 || before == page.checked_sub(1);
        (self.start, self.size) = (page, READAHEAD_PAGES);
        self.marker = None;
        match self.how {
            How::Mapped => {
                self.start = page.saturating_sub(READAHEAD_PAGES / 2);
                self.marker = Some(self.start + READAHEAD_PAGES * 3 / 4);
            }
            How::Buffered(pages) if goes_on => {
                self.size = (4 * pages).min(READAHEAD_PAGES);
                self.marker = Some(page + pages.min(self.size / 2));
            }
            How::Buffered(pages) | How::Direct(pages) => self.size = pages,
        }
    }
}
