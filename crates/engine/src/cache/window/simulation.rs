//! Readers, the kernel's readahead, the window and a slow provider in virtual
//! time, to see that the window keeps such a provider busy.

mod provider;
mod reader;

use super::{Limits, Window};
use provider::Provider;
use reader::{How, Kernel, Reader};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
const REQUEST_PAGES: u64 = MIB / PAGE;
const DEPTH: u64 = 32 * MIB;

/// The ways in which each pass over a file is tried.
const WAYS: [How; 6] = [
    How::Buffered(1),
    How::Buffered(4),
    How::Buffered(32),
    How::Direct(1),
    How::Direct(32),
    How::Mapped,
];

/// How the readers of a test share open files.
#[derive(Clone, Copy)]
enum Opened {
    Once,
    ByEach,
}

#[derive(Debug)]
struct Outcome {
    micros: u64,
    bytes_sent: u64,
}

fn run(
    mut readers: Vec<Reader>,
    opened: Opened,
    file_pages: u64,
    (millis, concurrent): (u64, usize),
    depth: u64,
) -> Outcome {
    let mut provider = Provider::new(millis * 1000, concurrent, file_pages);
    let mut kernel = Kernel::new(file_pages, depth);
    let mut windows: Vec<Window> = readers.iter().map(|_| Window::new()).collect();
    loop {
        let mut all_done = true;
        for (reader, window) in readers.iter_mut().zip(&mut windows) {
            if matches!(opened, Opened::ByEach) {
                std::mem::swap(&mut kernel.window, window);
            }
            all_done &= reader.go_on(&mut kernel, &mut provider);
            if matches!(opened, Opened::ByEach) {
                std::mem::swap(&mut kernel.window, window);
            }
        }
        if all_done {
            break;
        }
        provider.answer();
    }
    Outcome {
        micros: provider.now,
        bytes_sent: provider.pages_sent * PAGE,
    }
}

const FILE_PAGES: u64 = 256 * MIB / PAGE;

/// Bytes a second of a whole pass, as a part of what the provider can deliver.
fn part_of_possible(how: How, provider: (u64, usize)) -> f64 {
    let reader = Reader::new(0..FILE_PAGES, how);
    let outcome = run(vec![reader], Opened::Once, FILE_PAGES, provider, DEPTH);
    assert_eq!(outcome.bytes_sent, FILE_PAGES * PAGE, "each byte once");
    let possible = MIB as f64 * provider.1 as f64 / (provider.0 as f64 / 1000.0);
    let bytes_a_second = (FILE_PAGES * PAGE) as f64 / (outcome.micros as f64 / 1e6);
    bytes_a_second / possible
}

#[test]
fn a_far_provider_is_kept_busy() {
    // 100 MiB/s are wanted of the 160 that are possible.
    for how in WAYS {
        let part = part_of_possible(how, (100, 16));
        assert!(part >= 0.75, "{part} for {how:?}");
    }
}

#[test]
fn a_provider_of_one_request_at_a_time_soon_gets_whole_requests() {
    // 70 MiB/s are wanted of the 100 that are possible.
    for how in WAYS {
        let part = part_of_possible(how, (10, 1));
        assert!(part >= 0.95, "{part} for {how:?}");
    }
}

#[test]
fn a_near_provider_of_many_requests_is_kept_busy() {
    // 600 MiB/s are wanted of the 1600 that are possible.
    for how in WAYS {
        let part = part_of_possible(how, (10, 16));
        assert!(part >= 0.75, "{part} for {how:?}");
    }
}

/// How many times faster the readers are than without any readahead here.
fn gain(readers: impl Fn() -> Vec<Reader>, opened: Opened, provider: (u64, usize)) -> f64 {
    let with = run(readers(), opened, FILE_PAGES, provider, DEPTH);
    let without = run(readers(), opened, FILE_PAGES, provider, 0);
    without.micros as f64 / with.micros as f64
}

/// 4 MiB are played, then the player seeks; every fourth time back.
fn video(seek: u64) -> Reader {
    let mut pages = Vec::new();
    let mut at = 0;
    for part in 1..=16 {
        pages.extend(at..at + 4 * REQUEST_PAGES);
        at = if part % 4 == 0 {
            at - seek * REQUEST_PAGES / 2
        } else {
            at + (4 + seek) * REQUEST_PAGES
        };
        at %= FILE_PAGES - 4 * REQUEST_PAGES;
    }
    Reader::new(pages, How::Buffered(32))
}

#[test]
fn a_player_that_seeks_gains() {
    for seek in [10, 50] {
        for provider in [(10, 1), (10, 16), (100, 16)] {
            let gain = gain(|| vec![video(seek)], Opened::Once, provider);
            assert!(gain >= 3.0, "{gain} with {provider:?}");
        }
    }
}

#[test]
fn readers_of_one_file_at_different_places_gain() {
    for count in [2, 4] {
        let part = FILE_PAGES / count;
        let readers = || {
            (0..count)
                .map(|number| Reader::new(number * part..(number + 1) * part, How::Buffered(32)))
                .collect()
        };
        for opened in [Opened::Once, Opened::ByEach] {
            for provider in [(10, 1), (10, 16), (100, 16)] {
                let gain = gain(readers, opened, provider);
                assert!(gain >= 3.0, "{gain} for {count} with {provider:?}");
            }
        }
    }
}
