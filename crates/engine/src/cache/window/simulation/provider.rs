//! A provider that takes its time, and the daemon's requests to it.

use std::collections::VecDeque;
use std::ops::Range;

use super::REQUEST_PAGES;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Page {
    Absent,
    /// In a request that was not sent yet.
    Queued,
    Sent,
    Held,
}

/// A provider that takes `latency` for each request, `concurrent` at a time,
/// and the daemon's requests to it. Those that a reader waits for go first.
pub(super) struct Provider {
    latency: u64,
    concurrent: usize,
    pub(super) now: u64,
    pages: Vec<Page>,
    waited_for: VecDeque<Range<u64>>,
    ahead: VecDeque<Range<u64>>,
    sent: VecDeque<(u64, Range<u64>)>,
    pub(super) pages_sent: u64,
}

impl Provider {
    pub(super) fn new(latency: u64, concurrent: usize, file_pages: u64) -> Self {
        Self {
            latency,
            concurrent,
            now: 0,
            pages: vec![Page::Absent; file_pages as usize],
            waited_for: VecDeque::new(),
            ahead: VecDeque::new(),
            sent: VecDeque::new(),
            pages_sent: 0,
        }
    }

    fn mark(&mut self, range: &Range<u64>, page: Page) {
        self.pages[range.start as usize..range.end as usize].fill(page);
    }

    pub(super) fn holds(&self, range: &Range<u64>) -> bool {
        self.pages[range.start as usize..range.end as usize]
            .iter()
            .all(|page| *page == Page::Held)
    }

    fn absent(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut absent: Vec<Range<u64>> = Vec::new();
        for page in range.filter(|page| self.pages[*page as usize] == Page::Absent) {
            match absent.last_mut() {
                Some(last) if last.end == page => last.end += 1,
                _ => absent.push(page..page + 1),
            }
        }
        absent
    }

    /// Queues what is absent of the range, in requests of at most 1 MiB.
    pub(super) fn want(&mut self, range: Range<u64>, waited_for: bool) {
        if waited_for {
            let (joined, others) = self
                .ahead
                .drain(..)
                .partition(|queued| queued.start < range.end && range.start < queued.end);
            self.ahead = others;
            self.waited_for.extend::<VecDeque<_>>(joined);
        }
        for absent in self.absent(range) {
            self.mark(&absent, Page::Queued);
            let queue = if waited_for {
                &mut self.waited_for
            } else {
                &mut self.ahead
            };
            let mut start = absent.start;
            while absent.end - start > REQUEST_PAGES {
                let end = (start + 1).next_multiple_of(REQUEST_PAGES);
                queue.push_back(start..end);
                start = end;
            }
            queue.push_back(start..absent.end);
        }
        self.send();
    }

    /// Drops the requests inside the range that were not sent.
    pub(super) fn cancel(&mut self, range: &Range<u64>) {
        let inside = |queued: &Range<u64>| range.start <= queued.start && queued.end <= range.end;
        let (dropped, others): (VecDeque<_>, VecDeque<_>) = self.ahead.drain(..).partition(inside);
        self.ahead = others;
        for queued in dropped {
            self.mark(&queued, Page::Absent);
        }
    }

    fn send(&mut self) {
        while self.sent.len() < self.concurrent {
            let next = self.waited_for.pop_front();
            let Some(range) = next.or_else(|| self.ahead.pop_front()) else {
                return;
            };
            self.mark(&range, Page::Sent);
            self.pages_sent += range.end - range.start;
            self.sent.push_back((self.now + self.latency, range));
        }
    }

    /// Lets time go on to the next answer.
    pub(super) fn answer(&mut self) {
        let (at, range) = self.sent.pop_front().expect("somebody waits for nothing");
        self.now = at;
        self.mark(&range, Page::Held);
        self.send();
    }
}
