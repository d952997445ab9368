//! The window against a model that remembers every READ and every range told,
//! and works out each number from them anew.

use std::ops::Range;

use proptest::prelude::*;

use super::{Limits, Window};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[derive(Debug)]
struct ModelRun {
    reads: Vec<Range<u64>>,
    told: Vec<Range<u64>>,
    /// How many of them, the first ones, were given up as far as not read.
    given_up: usize,
    window: u64,
    last: u64,
}

impl ModelRun {
    fn start(&self) -> u64 {
        self.reads.iter().map(|read| read.start).min().unwrap()
    }

    fn end(&self) -> u64 {
        self.reads.iter().map(|read| read.end).max().unwrap()
    }

    fn reached(&self) -> u64 {
        let told = self.told.iter().map(|told| told.end).max();
        told.unwrap_or(0).max(self.end())
    }

    /// The end of what was told since bytes were last given up.
    fn told_end(&self) -> u64 {
        let told = self.told[self.given_up..].iter().map(|told| told.end);
        told.max().unwrap_or(0).max(self.end())
    }

    /// Bytes by which READs went beyond all before them.
    fn fresh(&self) -> u64 {
        let mut end = 0;
        let mut fresh = 0;
        for read in &self.reads {
            fresh += read.end.saturating_sub(end.max(read.start));
            end = end.max(read.end);
        }
        fresh
    }

    fn is_near(&self, read: &Range<u64>) -> bool {
        let four = 4 * (read.end - read.start);
        read.start - self.end() <= four.max(256 * KIB)
    }

    fn takes(&self, read: &Range<u64>) -> bool {
        let four = 4 * (read.end - read.start);
        match self.end().checked_sub(read.start) {
            None | Some(0) => self.is_near(read) || read.start <= self.told_end(),
            Some(behind) => read.end >= self.start() && behind <= four.max(512 * KIB),
        }
    }

    fn give_up(&mut self) -> Option<Range<u64>> {
        let unread = self.end()..self.told_end();
        self.given_up = self.told.len();
        (!unread.is_empty()).then_some(unread)
    }
}

/// Bytes that lie in any of the ranges.
fn covered(ranges: &[Range<u64>]) -> u64 {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let (mut covered, mut end) = (0, 0);
    for range in ranges {
        covered += range.end.saturating_sub(end.max(range.start));
        end = end.max(range.end);
    }
    covered
}

#[derive(Debug, Default)]
struct Model {
    runs: Vec<ModelRun>,
    reads: u64,
}

impl Model {
    fn read(
        &mut self,
        read: &Range<u64>,
        size: u64,
        depth: u64,
    ) -> (Option<Range<u64>>, Vec<Range<u64>>) {
        self.reads += 1;
        let mut unwanted = Vec::new();
        self.runs.sort_by_key(|run| std::cmp::Reverse(run.last));
        let candidates = (0..self.runs.len()).filter(|&run| self.runs[run].takes(read));
        let nearest = candidates.min_by_key(|&run| self.runs[run].end().abs_diff(read.start));
        let told = match nearest {
            Some(run) => self.go_on(run, read, size, depth, &mut unwanted),
            None => {
                self.begin(read);
                None
            }
        };
        for run in &mut self.runs {
            if run.last + 2 == self.reads {
                unwanted.extend(run.give_up());
            }
        }
        (told, unwanted)
    }

    fn begin(&mut self, read: &Range<u64>) {
        if self.runs.len() == 8 {
            // The oldest of the single ones, else of those long left, else of all.
            let old = |run: &ModelRun| run.reads.len() == 1 || run.last + 64 < self.reads;
            let victim = self.runs.iter().rposition(old).unwrap_or(7);
            self.runs.remove(victim);
        }
        self.runs.push(ModelRun {
            reads: vec![read.clone()],
            told: Vec::new(),
            given_up: 0,
            window: 0,
            last: self.reads,
        });
    }

    fn go_on(
        &mut self,
        place: usize,
        read: &Range<u64>,
        size: u64,
        depth: u64,
        unwanted: &mut Vec<Range<u64>>,
    ) -> Option<Range<u64>> {
        let now = self.reads;
        let run = &mut self.runs[place];
        run.last = now;
        let end = run.end();
        let seek = read.start >= end && !run.is_near(read);
        let told_end = run.told_end().max(read.end);
        run.reads.push(read.clone());
        if read.end <= end {
            return None;
        }
        if seek {
            unwanted.push(end..read.start);
            run.window /= 2;
        } else {
            run.window = 2 * run.window.max(read.end - read.start);
        }
        let lately = |run: &&ModelRun| run.reads.len() > 1 && run.last + 2 > now;
        let sharing = self.runs.iter().filter(lately).count() as u64;
        let run = &mut self.runs[place];
        let earned = 8 * run.fresh() + run.reached() - run.end();
        let earned = earned.saturating_sub(covered(&run.told));
        run.window = run.window.min(depth / sharing).min(earned);
        let wish = read.end + run.window;
        let target = match wish {
            _ if wish >= size => size,
            _ if run.window >= 2 * MIB => wish / MIB * MIB,
            _ => wish,
        };
        let step = if target == size {
            1
        } else {
            MIB.min(run.window / 2).max(1)
        };
        if target < told_end + step {
            return None;
        }
        run.told.push(told_end..target);
        Some(told_end..target)
    }
}

/// What one of three readers does next.
#[derive(Debug, Clone)]
enum Move {
    On,
    /// Sends the READ after the next before the next.
    Overtake,
    Skip(u64),
    Back(u64),
    To(u64),
}

fn moves() -> impl Strategy<Value = Vec<(usize, Move, u64, u64)>> {
    let step = prop_oneof![
        12 => Just(Move::On),
        3 => Just(Move::Overtake),
        1 => (0..300 * KIB).prop_map(Move::Skip),
        1 => (0..40 * MIB).prop_map(Move::Skip),
        1 => (0..2 * MIB).prop_map(Move::Back),
        1 => any::<u64>().prop_map(Move::To),
    ];
    let reader = prop_oneof![6 => Just(0usize), 2 => Just(1), 1 => Just(2)];
    let length = prop::sample::select(vec![511, 4 * KIB, 16 * KIB, 128 * KIB, 256 * KIB, MIB]);
    let depth = prop_oneof![
        8 => Just(32 * MIB),
        1 => prop::sample::select(vec![0, 64 * KIB, MIB, 2 * MIB, 7 * MIB + 5]),
    ];
    prop::collection::vec((reader, step, length, depth), 1..150)
}

/// The READs that the moves send, each with the depth at its time.
fn sent(moves: Vec<(usize, Move, u64, u64)>, size: u64) -> Vec<(Range<u64>, u64)> {
    let mut at = [0, size / 2, size / 3];
    let mut sent = Vec::new();
    for (reader, step, length, depth) in moves {
        let at = &mut at[reader];
        let starts = match step {
            Move::On => vec![*at],
            Move::Overtake => vec![*at + length, *at],
            Move::Skip(bytes) => vec![*at + bytes],
            Move::Back(bytes) => vec![at.saturating_sub(bytes)],
            Move::To(anywhere) => vec![anywhere % size],
        };
        *at = (starts.iter().max().unwrap() + length) % size;
        let within = starts.iter().filter(|start| **start < size);
        sent.extend(within.map(|&start| (start..(start + length).min(size), depth)));
    }
    sent
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_window_does_as_the_model(size in 1..300 * MIB, moves in moves()) {
        let mut window = Window::new();
        let mut model = Model::default();
        let mut asked = 0;
        let mut all_told = Vec::new();
        for (number, (read, depth)) in sent(moves, size).into_iter().enumerate() {
            let told = window.read(read.start, length(&read), size, &Limits { depth });
            let mut unwanted: Vec<_> = std::iter::from_fn(|| window.unwanted()).collect();
            let (expected, mut expected_unwanted) = model.read(&read, size, depth);
            prop_assert_eq!(&told, &expected, "READ {} of {:?}", number, read);
            unwanted.sort_by_key(|range| (range.start, range.end));
            expected_unwanted.sort_by_key(|range| (range.start, range.end));
            prop_assert_eq!(&unwanted, &expected_unwanted);

            asked += length(&read);
            let Some(told) = told else { continue };
            prop_assert!(number > 0);
            prop_assert!(read.end <= told.start && told.start < told.end && told.end <= size);
            let ahead = told.end - read.end;
            prop_assert!(ahead <= depth);
            if told.end < size {
                prop_assert!(length(&told) >= MIB.min(ahead / 2));
                prop_assert!(ahead < 2 * MIB || told.end.is_multiple_of(MIB));
            }
            all_told.push(told);
        }
        prop_assert!(covered(&all_told) <= 8 * asked);
    }

    /// Whatever the sizes of its READs, and whether they overtake each other: a
    /// pass over a file is told no byte twice, and after its first few MiB each
    /// byte before it is read.
    #[test]
    fn a_pass_is_told_each_byte_once(
        size in 1..40 * MIB,
        lengths in prop::collection::vec(512..256 * KIB, 1..8),
        overtaking in any::<bool>(),
        depth in 2 * MIB..40 * MIB,
    ) {
        let mut reads = Vec::new();
        let mut at = 0;
        for length in lengths.iter().cycle() {
            if at >= size {
                break;
            }
            // READs that overtake each other are of like size.
            let length = if overtaking { &lengths[0] } else { length };
            reads.push(at..(at + length).min(size));
            at += length;
        }
        if overtaking {
            reads[1..].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        let mut window = Window::new();
        let (mut told_to, mut read_to) = (0, 0);
        for read in &reads {
            let told = window.read(read.start, length(read), size, &Limits { depth });
            prop_assert_eq!(window.unwanted(), None);
            read_to = read.end.max(read_to);
            prop_assert!(told_to >= read_to || read_to <= 3 * MIB);
            if let Some(told) = told {
                prop_assert_eq!(told.start, read_to.max(told_to));
                told_to = told.end;
            }
        }
        prop_assert!(told_to == size || size <= 3 * MIB);
    }
}
