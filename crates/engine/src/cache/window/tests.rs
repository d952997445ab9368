//! The rules one by one. What they amount to under any sequence of READs is in
//! `model.rs`, and under a slow provider in `simulation.rs`.

use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DEEP: Limits = Limits { depth: 32 * MIB };

/// READs of 128 KiB from `start` on, as many as named.
fn read_on(window: &mut Window, start: u64, reads: u64) -> Vec<Option<Range<u64>>> {
    (0..reads)
        .map(|number| window.read(start + number * 128 * KIB, 128 * KIB, GIB, &DEEP))
        .collect()
}

/// The one range that is not wanted any more.
fn unwanted(window: &mut Window) -> Option<Range<u64>> {
    let unwanted = window.unwanted();
    assert_eq!(window.unwanted(), None);
    unwanted
}

/// The end of what was told last.
fn told_end(told: &[Option<Range<u64>>]) -> u64 {
    told.iter()
        .flatten()
        .last()
        .expect("something was told")
        .end
}

#[test]
fn a_first_look_asks_for_nothing_ahead() {
    for offset in [0, 16 * KIB, 700 * MIB, GIB - 4 * KIB] {
        for length in [512, 4 * KIB, 16 * KIB, 128 * KIB, MIB] {
            let told = Window::new().read(offset, length, GIB, &DEEP);
            assert_eq!(told, None, "{length} bytes from {offset}");
        }
    }
}

#[test]
fn each_read_doubles_the_window() {
    let told = read_on(&mut Window::new(), 0, 7);
    let expected = [
        None,
        Some(256 * KIB..512 * KIB),
        Some(512 * KIB..896 * KIB),
        Some(896 * KIB..1536 * KIB),
        // 2 MiB wide: half a MiB up to the next multiple is too small a step.
        None,
        Some(1536 * KIB..4 * MIB),
        // Of 8 MiB all but what eight times the bytes read do not allow.
        Some(4 * MIB..7 * MIB),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_whole_depth_is_reached_and_kept_in_steps_of_a_request() {
    let mut window = Window::new();
    let told = read_on(&mut window, 0, 256);
    assert_eq!(told_end(&told), 64 * MIB);
    let steps = read_on(&mut window, 32 * MIB, 256);
    let lengths: Vec<u64> = steps
        .iter()
        .flatten()
        .map(|range| range.end - range.start)
        .collect();
    assert_eq!(lengths, [MIB; 32]);
}

#[test]
fn reads_that_overtake_each_other_are_one_run() {
    let mut window = Window::new();
    assert_eq!(window.read(0, 128 * KIB, GIB, &DEEP), None);
    let mut told_to = 0;
    for pair in 0..60 {
        let first = (2 * pair + 1) * 128 * KIB;
        let second = first + 128 * KIB;
        let told = window.read(second, 128 * KIB, GIB, &DEEP);
        told_to = told.map_or(told_to, |range| range.end);
        assert_eq!(window.read(first, 128 * KIB, GIB, &DEEP), None);
    }
    assert_eq!(told_to, 47 * MIB);
    assert_eq!(unwanted(&mut window), None);
}

#[test]
fn four_large_reads_in_any_order_are_one_run() {
    let mut window = Window::new();
    for number in [1, 0, 3, 2] {
        window.read(number * MIB, MIB, GIB, &DEEP);
    }
    assert_eq!(window.runs.len(), 1);
    let told = window.read(4 * MIB, MIB, GIB, &DEEP);
    assert_eq!(told_end(&[told]), 9 * MIB);
}

#[test]
fn the_same_bytes_again_widen_nothing() {
    let mut window = Window::new();
    read_on(&mut window, 0, 2);
    for _ in 0..50 {
        assert_eq!(window.read(128 * KIB, 128 * KIB, GIB, &DEEP), None);
        assert_eq!(window.read(0, 4 * KIB, GIB, &DEEP), None);
    }
    let next = window.read(256 * KIB, 128 * KIB, GIB, &DEEP);
    assert_eq!(next, Some(512 * KIB..896 * KIB));
}

#[test]
fn pages_that_the_kernel_holds_are_a_gap_in_the_run() {
    let mut window = Window::new();
    window.read(0, 16 * KIB, GIB, &DEEP);
    let told = window.read(272 * KIB, 16 * KIB, GIB, &DEEP);
    assert_eq!(told, Some(288 * KIB..320 * KIB));

    let mut window = Window::new();
    window.read(0, 16 * KIB, GIB, &DEEP);
    assert_eq!(window.read(273 * KIB, 16 * KIB, GIB, &DEEP), None);
}

#[test]
fn a_seek_inside_what_was_told_goes_on_with_half_the_window() {
    let mut window = Window::new();
    read_on(&mut window, 0, 256);
    assert_eq!(window.read(42 * MIB, 128 * KIB, GIB, &DEEP), None);
    assert_eq!(unwanted(&mut window), Some(32 * MIB..42 * MIB));
    let told = window.read(42 * MIB + 128 * KIB, 128 * KIB, GIB, &DEEP);
    assert_eq!(told, Some(64 * MIB..74 * MIB));
}

#[test]
fn a_seek_far_away_begins_anew_and_gives_up_what_was_told() {
    for far in [500 * MIB, 8 * MIB] {
        let mut window = Window::new();
        read_on(&mut window, 100 * MIB, 256);
        assert_eq!(window.read(far, 128 * KIB, GIB, &DEEP), None);
        assert_eq!(unwanted(&mut window), None, "one look elsewhere is no seek");
        let told = window.read(far + 128 * KIB, 128 * KIB, GIB, &DEEP);
        assert_eq!(told, Some(far + 256 * KIB..far + 512 * KIB));
        assert_eq!(unwanted(&mut window), Some(132 * MIB..164 * MIB));
    }
}

#[test]
fn a_reader_that_comes_back_goes_on_at_its_old_width() {
    let mut window = Window::new();
    read_on(&mut window, 100 * MIB, 256);
    read_on(&mut window, 500 * MIB, 20);
    assert_eq!(unwanted(&mut window), Some(132 * MIB..164 * MIB));
    // The other run still counts as read: each has half the depth.
    let told = window.read(132 * MIB, 128 * KIB, GIB, &DEEP);
    assert_eq!(told, Some(132 * MIB + 128 * KIB..148 * MIB));
    let told = window.read(132 * MIB + 128 * KIB, 128 * KIB, GIB, &DEEP);
    assert_eq!(told, Some(148 * MIB..164 * MIB));
}

#[test]
fn a_look_elsewhere_does_not_disturb_the_run() {
    let mut window = Window::new();
    let mut told = Vec::new();
    for number in 0..64 {
        told.extend(read_on(&mut window, number * MIB, 8));
        assert_eq!(window.read(GIB - MIB, 4 * KIB, GIB, &DEEP), None);
        assert_eq!(unwanted(&mut window), None);
    }
    assert_eq!(told_end(&told), 96 * MIB);
}

#[test]
fn readers_in_turns_share_the_depth() {
    let mut window = Window::new();
    let mut ends = [0; 2];
    for number in 0..256 {
        for (reader, end) in ends.iter_mut().enumerate() {
            let offset = reader as u64 * 512 * MIB + number * 128 * KIB;
            if let Some(told) = window.read(offset, 128 * KIB, GIB, &DEEP) {
                assert!(told.end <= offset + 128 * KIB + 16 * MIB);
                *end = told.end;
            }
        }
    }
    assert_eq!(ends, [48 * MIB, 560 * MIB]);
    assert_eq!(unwanted(&mut window), None);
}

#[test]
fn random_reads_push_out_each_other_and_not_the_reader() {
    let mut window = Window::new();
    read_on(&mut window, 0, 256);
    for number in 1..30 {
        assert_eq!(
            window.read(number * 33 * MIB + 99 * MIB, 4 * KIB, GIB, &DEEP),
            None
        );
    }
    assert_eq!(unwanted(&mut window), Some(32 * MIB..64 * MIB));
    let told = window.read(32 * MIB, 128 * KIB, GIB, &DEEP);
    assert_eq!(told, Some(32 * MIB + 128 * KIB..64 * MIB));
}

#[test]
fn a_run_that_is_left_for_long_is_forgotten() {
    let mut window = Window::new();
    read_on(&mut window, 0, 256);
    for number in 1..200 {
        window.read(99 * MIB + number * 4 * MIB, 4 * KIB, GIB, &DEEP);
    }
    assert_eq!(window.read(32 * MIB, 128 * KIB, GIB, &DEEP), None);
}

#[test]
fn a_reader_that_takes_samples_is_not_told_the_whole_file() {
    for apart in [64 * KIB, 250 * KIB, 300 * KIB, MIB] {
        let mut window = Window::new();
        let samples = GIB / apart;
        let mut told = 0;
        for number in 0..samples {
            let range = window.read(number * apart, 4 * KIB, GIB, &DEEP);
            told += range.map_or(0, |range| range.end - range.start);
        }
        assert!(told <= 8 * samples * 4 * KIB, "{told} at {apart}");
    }
}

#[test]
fn random_reads_are_told_hardly_anything() {
    let mut state = 1u64;
    let mut window = Window::new();
    let mut told = 0;
    for _ in 0..10_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let offset = (state >> 33) % (GIB / (4 * KIB)) * 4 * KIB;
        let range = window.read(offset, 4 * KIB, GIB, &DEEP);
        told += range.map_or(0, |range| range.end - range.start);
    }
    assert!(told <= 10_000 * 4 * KIB / 50, "{told}");
}

#[test]
fn the_end_of_the_file_ends_the_window() {
    let size = 300 * KIB + 1;
    let mut window = Window::new();
    assert_eq!(window.read(0, 128 * KIB, size, &DEEP), None);
    let rest = window.read(128 * KIB, 128 * KIB, size, &DEEP);
    assert_eq!(rest, Some(256 * KIB..size));
    assert_eq!(window.read(256 * KIB, 128 * KIB, size, &DEEP), None);
    assert_eq!(unwanted(&mut window), None);
}

#[test]
fn without_depth_nothing_is_told() {
    let mut window = Window::new();
    for number in 0..100 {
        let told = window.read(number * MIB, MIB, GIB, &Limits { depth: 0 });
        assert_eq!(told, None);
    }
    let told = window.read(100 * MIB, MIB, GIB, &DEEP);
    assert_eq!(
        told,
        Some(101 * MIB..103 * MIB),
        "the window grows from the READ again"
    );
}

#[test]
fn a_smaller_depth_waits_until_the_reader_has_caught_up() {
    let mut window = Window::new();
    read_on(&mut window, 0, 256);
    let shallow = Limits { depth: 4 * MIB };
    let mut offset = 32 * MIB;
    let told = loop {
        let told = window.read(offset, 128 * KIB, GIB, &shallow);
        offset += 128 * KIB;
        if let Some(told) = told {
            break told;
        }
    };
    assert_eq!(told, 64 * MIB..65 * MIB);
    assert_eq!(offset, 61 * MIB);
}

#[test]
fn a_read_of_nothing_changes_nothing() {
    let mut window = Window::new();
    read_on(&mut window, 0, 2);
    for (offset, length) in [(GIB, 1), (u64::MAX, u64::MAX), (256 * KIB, 0)] {
        assert_eq!(window.read(offset, length, GIB, &DEEP), None);
    }
    let told = window.read(256 * KIB, u64::MAX, MIB, &DEEP);
    assert_eq!((told, window.reads), (None, 3));
}
