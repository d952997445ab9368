//! The store against a model: what is missing of each file as lists of ranges,
//! and contents that follow from the file. Whatever the steps, the bytes are
//! right, nothing appears from nowhere or vanishes untold, and the sums are those
//! of what is held.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Small against the files together, so that there is always something to evict.
const LIMIT: u64 = 256 * KIB;
const SIZES: [u64; 6] = [1, 5_000, 40_000, 150_000, 70_000, 90_000];

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, Range<u64>, Wanted),
    Look(usize, Range<u64>),
    RemoveFile(usize),
    RemovePromise(u32),
    Pin(u32),
    PinForGood(u32),
}

fn files() -> [FileKey; 6] {
    [0, 1, 2, 3, 4, 5].map(|index| file(index / 2 + 1, index % 2 + 1))
}

fn range(size: u64) -> impl Strategy<Value = Range<u64>> {
    let any = (0..=size, 0..=size / 2 + 1);
    let any = any.prop_map(move |(start, len)| start..(start + len).min(size));
    let block =
        (0..=size / 4096).prop_map(move |block| block * 4096..((block + 1) * 4096).min(size));
    prop_oneof![
        any,
        block.prop_filter("some bytes", |range| range.start <= range.end)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let in_file = || (0..SIZES.len()).prop_flat_map(|file| (Just(file), range(SIZES[file])));
    let wanted = prop_oneof![Just(Wanted::Now), Just(Wanted::Later)];
    let insert = (in_file(), wanted).prop_map(|((file, range), by)| Step::Insert(file, range, by));
    prop_oneof![
        12 => insert,
        6 => in_file().prop_map(|(file, range)| Step::Look(file, range)),
        1 => (0..SIZES.len()).prop_map(Step::RemoveFile),
        1 => (1..=3_u32).prop_map(Step::RemovePromise),
        1 => (1..=3_u32).prop_map(Step::Pin),
        1 => (1..=3_u32).prop_map(Step::PinForGood),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..80)
}

fn without(missing: &[Range<u64>], range: &Range<u64>) -> Vec<Range<u64>> {
    let cut = |one: &Range<u64>| {
        if range.end <= one.start || one.end <= range.start || range.is_empty() {
            return [one.clone(), 0..0];
        }
        let before = one.start..range.start.max(one.start);
        let after = range.end.min(one.end)..one.end;
        [before, after]
    };
    let parts = missing.iter().flat_map(cut);
    parts.filter(|part| !part.is_empty()).collect()
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pinned {
    UntilLetGo,
    ForGood,
}

struct Model {
    missing: [Vec<Range<u64>>; 6],
    versions: [u64; 6],
    pinned: BTreeMap<PromiseNumber, Pinned>,
}

impl Model {
    fn new() -> Self {
        Self {
            missing: SIZES.map(|size| only(0..size)),
            versions: [0; 6],
            pinned: BTreeMap::new(),
        }
    }

    fn whole(&self) -> Vec<FileKey> {
        let is_whole = |(index, file): (usize, _)| self.missing[index].is_empty().then_some(file);
        files()
            .into_iter()
            .enumerate()
            .filter_map(is_whole)
            .collect()
    }

    fn remove(&mut self, index: usize) {
        self.missing[index] = only(0..SIZES[index]);
        self.versions[index] += 1;
    }

    fn run(&mut self, store: &Store, step: Step) {
        let files = files();
        let usage = store.usage();
        let whole = self.whole();
        let mut lost = Lost::default();
        let mut inserted = None;
        match step {
            Step::Insert(index, range, wanted) => {
                let (file, size) = (files[index], SIZES[index]);
                let bytes = content(file, self.versions[index], range.clone());
                let told = store.insert(file, size, range.start, &bytes, wanted);
                lost.gave_up.clone_from(&told.gave_up);
                lost.no_longer_whole.clone_from(&told.no_longer_whole);
                self.missing[index] = without(&self.missing[index], &range);
                inserted = Some((index, told));
            }
            Step::Look(index, range) => {
                let found = store.look(files[index], range.clone());
                assert_found(&found, files[index], self.versions[index], &range);
                let outside = [0..range.start, range.end..SIZES[index]];
                let missing = outside
                    .iter()
                    .fold(self.missing[index].clone(), |missing, part| {
                        without(&missing, part)
                    });
                if !range.is_empty() {
                    assert_eq!(found.missing, missing);
                }
            }
            Step::RemoveFile(index) => {
                store.remove_file(files[index]);
                self.remove(index);
                return self.compare(store, &whole, usage, &Lost::default(), None);
            }
            Step::RemovePromise(promise) => {
                let promise = PromiseNumber(promise);
                store.remove_promise(promise);
                self.pinned.remove(&promise);
                for (index, _) in files
                    .iter()
                    .enumerate()
                    .filter(|(_, f)| f.promise == promise)
                {
                    self.remove(index);
                }
                return self.compare(store, &whole, usage, &Lost::default(), None);
            }
            Step::Pin(promise) => {
                let promise = PromiseNumber(promise);
                self.pinned.entry(promise).or_insert(Pinned::UntilLetGo);
                lost = store.pin(promise);
            }
            Step::PinForGood(promise) => {
                self.pinned.insert(PromiseNumber(promise), Pinned::ForGood);
                lost = store.pin_for_good(PromiseNumber(promise));
            }
        }
        self.compare(store, &whole, usage, &lost, inserted);
    }

    /// Compares the store with the model, which then takes over what was evicted.
    fn compare(
        &mut self,
        store: &Store,
        whole_before: &[FileKey],
        usage_before: Usage,
        lost: &Lost,
        inserted: Option<(usize, Inserted)>,
    ) {
        assert_balanced(store);
        for promise in &lost.gave_up {
            assert_eq!(self.pinned.remove(promise), Some(Pinned::UntilLetGo));
        }
        let kept = inserted.as_ref().is_none_or(|(_, told)| told.kept);
        let mut vanished = 0;
        for (index, file) in files().into_iter().enumerate() {
            let missing = store.missing(file, 0..SIZES[index]);
            let expected = &self.missing[index];
            let not_told = missing
                .iter()
                .fold(expected.clone(), |left, gap| without(&left, gap));
            assert_eq!(not_told, [], "{file:?} has bytes from nowhere");
            let is_inserted = inserted
                .as_ref()
                .is_some_and(|(inserted, _)| *inserted == index);
            if self.pinned.get(&file.promise) == Some(&Pinned::UntilLetGo) && (kept || !is_inserted)
            {
                assert_eq!(missing, *expected, "{file:?} is pinned");
            }
            if lost.gave_up.contains(&file.promise) {
                assert_eq!(missing, only(0..SIZES[index]));
            }
            vanished += length(&missing) - length(expected);
            let is_whole = missing.is_empty();
            assert_eq!(store.is_whole(file, SIZES[index]), is_whole);
            self.missing[index] = missing;
        }
        if kept {
            let evicted = store.usage().evicted_bytes - usage_before.evicted_bytes;
            // Less if bytes were evicted for others of the same insert and came again.
            assert!(vanished <= evicted);
        }
        self.compare_whole(store, whole_before, lost, inserted);
    }

    fn compare_whole(
        &self,
        store: &Store,
        before: &[FileKey],
        lost: &Lost,
        inserted: Option<(usize, Inserted)>,
    ) {
        let whole = self.whole();
        for promise in [1, 2, 3].map(PromiseNumber) {
            let count = whole.iter().filter(|file| file.promise == promise).count();
            assert_eq!(store.whole_files(promise), count);
        }
        let mut told = lost.no_longer_whole.clone();
        told.sort();
        if let Some((index, inserted)) = inserted {
            let file = files()[index];
            let became = !before.contains(&file) && whole.contains(&file);
            assert_eq!(inserted.whole, became);
        }
        for file in &told {
            assert!(before.contains(file) && !whole.contains(file), "{file:?}");
        }
        let unchanged = before.iter().filter(|file| whole.contains(file)).count();
        let removed = before.len() - unchanged - told.len();
        let by_hand = files().into_iter().filter(|file| {
            let index = files().iter().position(|other| other == file).unwrap();
            before.contains(file) && self.versions[index] > 0 && !whole.contains(file)
        });
        assert!(removed <= by_hand.count(), "a file lost bytes untold");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_memory_it_does_as_the_model(steps in steps()) {
        let store = Store::in_memory(LIMIT);
        let mut model = Model::new();
        for step in steps {
            model.run(&store, step);
        }
    }

    #[test]
    fn on_disk_it_does_as_the_model(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::on_disk(LIMIT, directory.path()).unwrap();
        let mut model = Model::new();
        for step in steps {
            model.run(&store, step);
        }
    }

    #[test]
    fn with_room_for_all_disk_and_memory_are_the_same(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let memory = Store::in_memory(16 * MIB);
        let disk = Store::on_disk(16 * MIB, directory.path()).unwrap();
        let (mut in_memory, mut on_disk) = (Model::new(), Model::new());
        for step in steps {
            in_memory.run(&memory, step.clone());
            on_disk.run(&disk, step);
            prop_assert_eq!(&in_memory.missing, &on_disk.missing);
            prop_assert_eq!(disk.usage().evicted_bytes, 0);
        }
    }
}
