//! Random histories of commits, reads, answers, deaths and destructions, against a
//! model that knows what every reader must get. At the end of each history all
//! that was held must have been given back.

mod support;

use std::collections::VecDeque;

use fuse_promise_core::ids::PromiseNumber;
use fuse_promise_core::status::Status;
use fuse_promise_wire::{ReadFrame, ToProvider};
use proptest::prelude::*;
use rustix::io::Errno;
use support::{FakeProvider, Reader, Rig, bytes, node};

/// Declared size of every file; its content is as long.
const SIZE: u64 = 3 << 20;

#[derive(Debug, Clone)]
enum Step {
    Register,
    Commit {
        provider: usize,
    },
    Read {
        promise: usize,
        offset: u64,
        length: u32,
    },
    Answer {
        provider: usize,
        request: usize,
        how: How,
    },
    Open {
        promise: usize,
    },
    Release {
        promise: usize,
    },
    Destroy {
        promise: usize,
    },
    Unregister {
        provider: usize,
    },
    Kill {
        provider: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum How {
    Whole,
    /// This share of 256 of what was asked, at least one byte.
    Part(u8),
    Refuse,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0usize..8;
    let how = prop_oneof![
        4 => Just(How::Whole),
        2 => any::<u8>().prop_map(How::Part),
        1 => Just(How::Refuse),
    ];
    let length = prop_oneof![1u32..200, 4096u32..(1 << 20)];
    prop_oneof![
        1 => Just(Step::Register),
        3 => which.clone().prop_map(|provider| Step::Commit { provider }),
        12 => (which.clone(), 0..SIZE + 10, length)
            .prop_map(|(promise, offset, length)| Step::Read { promise, offset, length }),
        14 => (which.clone(), 0usize..20, how)
            .prop_map(|(provider, request, how)| Step::Answer { provider, request, how }),
        2 => which.clone().prop_map(|promise| Step::Open { promise }),
        2 => which.clone().prop_map(|promise| Step::Release { promise }),
        1 => which.clone().prop_map(|promise| Step::Destroy { promise }),
        1 => which.clone().prop_map(|provider| Step::Unregister { provider }),
        1 => which.prop_map(|provider| Step::Kill { provider }),
    ]
}

struct Provider {
    fake: Option<FakeProvider>,
    /// Requests that lie in its channel or were taken from it.
    owed: VecDeque<ReadFrame>,
}

struct Promise {
    number: PromiseNumber,
    provider: usize,
    opens: u32,
    destroyed: bool,
}

struct Pending {
    reader: Reader,
    promise: PromiseNumber,
    provider: usize,
    offset: u64,
    length: u32,
}

#[derive(Default)]
struct World {
    providers: Vec<Provider>,
    promises: Vec<Promise>,
    pending: Vec<Pending>,
}

impl World {
    fn take(&mut self, rig: &Rig, step: &Step) {
        match *step {
            Step::Register => self.register(rig),
            Step::Commit { provider } => self.commit(rig, provider),
            Step::Read {
                promise,
                offset,
                length,
            } => self.read(rig, promise, offset, length),
            Step::Answer {
                provider,
                request,
                how,
            } => self.answer(provider, request, how),
            Step::Open { promise } => self.open(rig, promise),
            Step::Release { promise } => self.release(rig, promise),
            Step::Destroy { promise } => self.destroy(rig, promise),
            Step::Unregister { provider } => self.unregister(rig, provider),
            Step::Kill { provider } => self.kill(rig, provider),
        }
    }

    fn register(&mut self, rig: &Rig) {
        self.providers.push(Provider {
            fake: Some(rig.provider()),
            owed: VecDeque::new(),
        });
    }

    fn alive(&self, provider: usize) -> Option<&FakeProvider> {
        self.providers.get(provider)?.fake.as_ref()
    }

    fn commit(&mut self, rig: &Rig, provider: usize) {
        let Some(fake) = self.alive(provider) else {
            return;
        };
        let files = [("a", SIZE)];
        let number = rig.try_commit(fake, &files, Default::default()).unwrap();
        self.promises.push(Promise {
            number,
            provider,
            opens: 0,
            destroyed: false,
        });
    }

    /// Whether reads of the promise reach the engine's tables at all.
    fn exists(&self, promise: &Promise) -> bool {
        !promise.destroyed || promise.opens > 0
    }

    fn read(&mut self, rig: &Rig, promise: usize, offset: u64, length: u32) {
        let Some(promise) = self.promises.get(promise) else {
            return;
        };
        let reader = rig.read(node(promise.number, 1), offset, length);
        let capped = u64::from(length).min(SIZE.saturating_sub(offset)) as u32;
        let at_once = if !self.exists(promise) {
            Some(Err(Errno::NOENT.raw_os_error()))
        } else if capped == 0 {
            Some(Ok(vec![]))
        } else if self.alive(promise.provider).is_none() {
            Some(Err(Errno::IO.raw_os_error()))
        } else {
            None
        };
        match at_once {
            Some(answer) => assert_eq!(reader.answer(), answer),
            None => self.pending.push(Pending {
                reader,
                promise: promise.number,
                provider: promise.provider,
                offset,
                length: capped,
            }),
        }
    }

    /// Takes what lies in the channel; waits only if something must come.
    fn collect(&mut self, provider: usize) {
        let waiting = self.pending.iter().any(|read| read.provider == provider);
        let provider = &mut self.providers[provider];
        let Some(fake) = &provider.fake else { return };
        if !waiting || !provider.owed.is_empty() {
            return;
        }
        while provider.owed.is_empty() {
            if let ToProvider::Read(read) = fake.frame() {
                provider.owed.push_back(read);
            }
        }
    }

    fn answer(&mut self, number: usize, request: usize, how: How) {
        if self.alive(number).is_none() {
            return;
        }
        self.collect(number);
        let provider = &mut self.providers[number];
        if provider.owed.is_empty() {
            return;
        }
        let index = request % provider.owed.len();
        let asked = provider.owed.remove(index).unwrap();
        let fake = provider.fake.as_ref().unwrap();
        match how {
            How::Whole => fake.answer(&asked),
            How::Part(share) => {
                let part = u64::from(asked.length) * u64::from(share) / 256;
                fake.answer_some(&asked, (part as u32).max(1));
            }
            How::Refuse => fake.done(&asked, Status::Permission.code(), 0),
        }
        let length = match how {
            How::Whole => asked.length,
            How::Part(share) => ((u64::from(asked.length) * u64::from(share) / 256) as u32).max(1),
            How::Refuse => 0,
        };
        if length < asked.length && !matches!(how, How::Refuse) {
            return; // The rest is asked for.
        }
        self.settle(number, &asked, how);
    }

    fn settle(&mut self, provider: usize, asked: &ReadFrame, how: How) {
        let begin = asked.offset - u64::from(asked.slot_offset);
        let length = asked.length + asked.slot_offset;
        let expected = match how {
            How::Refuse => Err(Errno::ACCESS.raw_os_error()),
            _ => Ok(bytes(1, begin, length as usize)),
        };
        let same_range = |read: &Pending| {
            read.provider == provider
                && read.promise.0 == asked.promise
                && (read.offset, read.length) == (begin, length)
        };
        let end = std::time::Instant::now() + support::HANG;
        loop {
            // Two readers may wait for the same range; one of them is answered.
            let answered = self.pending.iter().enumerate().find_map(|(index, read)| {
                let answer = same_range(read).then(|| read.reader.peek()).flatten();
                answer.map(|answer| (index, answer))
            });
            if let Some((index, answer)) = answered {
                assert_eq!(answer, expected);
                self.pending.remove(index);
                return;
            }
            assert!(std::time::Instant::now() < end, "the answer reaches nobody");
            std::thread::yield_now();
        }
    }

    fn open(&mut self, rig: &Rig, promise: usize) {
        let Some(found) = self.promises.get(promise) else {
            return;
        };
        let opened = rig.engine.open(node(found.number, 1), false);
        if self.exists(found) && self.alive(found.provider).is_some() {
            opened.unwrap();
            self.promises[promise].opens += 1;
        } else {
            opened.unwrap_err();
        }
    }

    fn release(&mut self, rig: &Rig, promise: usize) {
        let Some(promise) = self.promises.get_mut(promise) else {
            return;
        };
        if promise.opens > 0 {
            promise.opens -= 1;
            rig.engine.release(node(promise.number, 1), 0);
        }
    }

    fn destroy(&mut self, rig: &Rig, promise: usize) {
        let Some(promise) = self.promises.get_mut(promise) else {
            return;
        };
        let destroyed = rig.engine.destroy(promise.number);
        assert_eq!(destroyed.is_ok(), !promise.destroyed);
        promise.destroyed = true;
    }

    fn unregister(&mut self, rig: &Rig, provider: usize) {
        let Some(fake) = self.alive(provider) else {
            return;
        };
        rig.engine.unregister(fake.number, &fake.token).unwrap();
        self.fail_readers(provider);
        self.forget(provider, true);
    }

    fn kill(&mut self, rig: &Rig, provider: usize) {
        let Some(fake) = self.providers.get_mut(provider).and_then(|p| p.fake.take()) else {
            return;
        };
        let number = fake.number;
        drop(fake);
        self.fail_readers(provider);
        rig.settle("the death is not noticed", |_| {
            let snapshot = rig.engine.provider(number);
            snapshot.is_none_or(|now| now.state != fuse_promise_core::words::ProviderState::Live)
        });
        self.forget(provider, false);
    }

    fn fail_readers(&mut self, provider: usize) {
        let (failed, others) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|read| read.provider == provider);
        self.pending = others;
        let failed: Vec<Pending> = failed;
        for read in failed {
            assert_eq!(read.reader.answer(), Err(Errno::IO.raw_os_error()));
        }
    }

    fn forget(&mut self, provider: usize, unlisted: bool) {
        self.providers[provider].fake = None;
        self.providers[provider].owed.clear();
        for promise in &mut self.promises {
            promise.destroyed |= unlisted && promise.provider == provider;
        }
    }

    fn finish(mut self, rig: &Rig) {
        for provider in 0..self.providers.len() {
            while self.pending.iter().any(|read| read.provider == provider) {
                self.answer(provider, 0, How::Whole);
            }
        }
        rig.assert_idle();
        for promise in 0..self.promises.len() {
            while self.promises[promise].opens > 0 {
                self.release(rig, promise);
            }
            self.destroy(rig, promise);
        }
        let gauges = rig.engine.gauges();
        let held = [
            gauges.promises,
            gauges.nodes,
            gauges.image_bytes,
            gauges.opens,
        ];
        assert_eq!(held, [0; 4], "{gauges:?}");
        assert_eq!(gauges.faulty_sessions, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gets_what_the_model_says(steps in prop::collection::vec(step(), 1..120)) {
        let rig = Rig::new();
        let mut world = World::default();
        world.register(&rig);
        world.commit(&rig, 0);
        for step in &steps {
            world.take(&rig, step);
        }
        world.finish(&rig);
    }
}
