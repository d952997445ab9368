//! Bounded fuzzing with what the stable toolchain has.
//!
//! A target is a function of bytes that must hold for any of them. It is given every file of its
//! corpus first, so that each past finding stays a test, and then changed copies of them until the
//! time is over. There is no instrumented build to tell which copy reached something new; instead
//! the target says in a word what came of each, and a copy with an outcome not seen before joins
//! those that are changed further. Refusals of ours name the rule that was broken, so this leads
//! from rule to rule.
//!
//! A case fails when any thread panics, and when it does not end. Its bytes are made as short as
//! they can be, written to the corpus and named.
//!
//! `FUSE_PROMISE_FUZZ_SECONDS` is how long to go on; without it there are a few hundred cases.
//! `FUSE_PROMISE_TEST_SEED` repeats a run.

mod corpus;
mod failure;
mod mutation;
mod script;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fixture::random::Random;
use corpus::Corpus;
use failure::{HangWatch, Panics, attempt};

pub use script::Script;

/// Campaigns see the panics of the whole process, so there is one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Cases when no time is given: some seconds for the slowest target.
const CASES: u64 = 300;

/// Outcomes that carry text of the input would let it grow without end.
const POOL_MAX: usize = 2048;

/// How long a failing input may be shortened, each time with a fixture of its own.
const SHORTENING: Duration = Duration::from_secs(20);

/// One target.
#[derive(Debug)]
pub struct Campaign {
    name: &'static str,
    corpus: Corpus,
    mend: fn(&mut [u8]),
}

/// What the campaign changes, and what it has seen.
struct Pool {
    inputs: Vec<Vec<u8>>,
    outcomes: HashSet<String>,
}

impl Campaign {
    /// The corpus of the target is `tests/fuzz/corpus/NAME`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            corpus: Corpus::open(name),
            mend: |_| (),
        }
    }

    /// Every second changed input is put right by this before it is tried, so that sums and
    /// lengths do not keep all of them from getting anywhere.
    #[must_use]
    pub fn mended(self, mend: fn(&mut [u8])) -> Self {
        Self { mend, ..self }
    }

    /// Runs the corpus and then changed inputs. `make` makes what cases work on; it is made anew
    /// only when a case has failed. `case` returns what came of the input.
    ///
    /// # Panics
    /// A case failed.
    pub fn run<F>(
        &self,
        mut make: impl FnMut() -> F,
        mut case: impl FnMut(&mut F, &[u8]) -> String,
    ) {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let corpus = &self.corpus;
        let panics = Panics::watch();
        let hang = HangWatch::start(corpus.clone());
        let mut fixture = make();
        let mut pool = Pool {
            inputs: corpus.inputs(),
            outcomes: HashSet::new(),
        };
        assert!(!pool.inputs.is_empty(), "{} has no corpus", self.name);
        let mut try_one = |input: &[u8], pool: &mut Pool| {
            let tried = hang.guarding(input, || attempt(&panics, || case(&mut fixture, input)));
            match tried {
                Ok(outcome) => pool.saw(&outcome, input),
                Err(why) => {
                    // Whatever state it is in, nothing more is asked of it.
                    std::mem::forget(std::mem::replace(&mut fixture, make()));
                    let again = |input: &[u8]| {
                        let mut fixture = make();
                        let failed = attempt(&panics, || case(&mut fixture, input)).is_err();
                        std::mem::forget(fixture);
                        failed
                    };
                    let (short, repeats) = panics.quietly(|| shorten(input, again));
                    let place = corpus.keep("crash", &short);
                    let note = if repeats {
                        ""
                    } else {
                        " (only after other cases)"
                    };
                    panic!("{}{note}: {why}; the input is {place}", self.name);
                }
            }
        };
        for input in corpus.inputs() {
            try_one(&input, &mut pool);
        }
        let mut random = Random::from_environment();
        let (began, mut cases) = (Instant::now(), 0);
        while goes_on(began, cases) {
            let mut input = pool.changed(&mut random);
            if random.below(2) == 0 {
                (self.mend)(&mut input);
            }
            try_one(&input, &mut pool);
            cases += 1;
        }
        let (name, outcomes) = (self.name, pool.outcomes.len());
        println!("{name}: {cases} cases, {outcomes} different outcomes");
    }
}

fn goes_on(began: Instant, cases: u64) -> bool {
    match std::env::var("FUSE_PROMISE_FUZZ_SECONDS") {
        Ok(seconds) => {
            let seconds = seconds.parse().expect("FUSE_PROMISE_FUZZ_SECONDS counts");
            began.elapsed() < Duration::from_secs(seconds)
        }
        Err(_) => cases < CASES,
    }
}

impl Pool {
    fn saw(&mut self, outcome: &str, input: &[u8]) {
        // Numbers and what is quoted say where, not what.
        let unquoted: String = outcome.split('"').step_by(2).collect();
        let word = unquoted.replace(|letter: char| letter.is_ascii_digit(), "");
        if self.inputs.len() < POOL_MAX && self.outcomes.insert(word) {
            self.inputs.push(input.to_vec());
        }
    }

    fn changed(&self, random: &mut Random) -> Vec<u8> {
        let mut pick = || &self.inputs[random.below(self.inputs.len() as u64) as usize];
        let (input, other) = (pick().clone(), pick());
        mutation::mutate(input, other, random)
    }
}

/// The shortest input found that still fails, and whether the one given does with a new fixture.
fn shorten(input: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> (Vec<u8>, bool) {
    let mut shortest = input.to_vec();
    if !fails(input) {
        return (shortest, false);
    }
    let end = Instant::now() + SHORTENING;
    let mut piece = input.len().div_ceil(2);
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        while at < shortest.len() && Instant::now() < end {
            let mut without = shortest.clone();
            without.drain(at..(at + piece).min(shortest.len()));
            if fails(&without) {
                shortest = without;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    (shortest, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_shortened_to_what_makes_it_fail() {
        let fails = |input: &[u8]| input.contains(&7) && input.contains(&9);
        let input: Vec<u8> = (0..=255).collect();
        assert_eq!(shorten(&input, fails), (vec![7, 9], true));
    }

    #[test]
    fn a_panic_of_another_thread_is_found_and_its_input_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seed"), [1; 40]).unwrap();
        let campaign = Campaign {
            corpus: Corpus::at(folder.path()),
            ..Campaign::new("thread")
        };
        let found = std::panic::catch_unwind(|| {
            let case = |(): &mut (), input: &[u8]| {
                let odd = input.contains(&0xff);
                // Nobody but the watch sees how the thread ends.
                let ended = std::thread::spawn(move || assert!(!odd, "an odd byte")).join();
                drop(ended);
                String::new()
            };
            campaign.run(|| (), case);
        });
        let message = found.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("an odd byte"), "{message}");
        let kept = message.rsplit(' ').next().unwrap();
        assert_eq!(std::fs::read(kept).unwrap(), [0xff]);
    }

    #[test]
    fn an_input_that_fails_only_once_is_kept_whole() {
        assert_eq!(shorten(b"abc", |_| false), (b"abc".to_vec(), false));
    }
}
