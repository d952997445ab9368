//! How a case is seen to fail: a panic of any thread, or no end.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::corpus::Corpus;

/// Far above what any case takes.
const HANG: Duration = Duration::from_secs(60);

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The panics of the whole process, as long as this lives: a thread of the code under test takes
/// its panic with it otherwise.
pub struct Panics {
    seen: Arc<Seen>,
    before: Arc<Hook>,
}

#[derive(Default)]
struct Seen {
    count: AtomicU64,
    last: Mutex<String>,
    quiet: AtomicBool,
}

impl Panics {
    pub fn watch() -> Self {
        let seen = Arc::<Seen>::default();
        let before = Arc::new(std::panic::take_hook());
        let (noted, show) = (Arc::clone(&seen), Arc::clone(&before));
        std::panic::set_hook(Box::new(move |panic| {
            *noted.last.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
            noted.count.fetch_add(1, Ordering::SeqCst);
            if !noted.quiet.load(Ordering::SeqCst) {
                show(panic);
            }
        }));
        Self { seen, before }
    }

    /// Does something without showing its panics.
    pub fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        self.seen.quiet.store(true, Ordering::SeqCst);
        let done = work();
        self.seen.quiet.store(false, Ordering::SeqCst);
        done
    }

    fn count(&self) -> u64 {
        self.seen.count.load(Ordering::SeqCst)
    }

    fn last(&self) -> String {
        let last = self.seen.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        // The hook cannot be changed while panicking; then it shows panics as the one before did.
        if !std::thread::panicking() {
            let before = Arc::clone(&self.before);
            std::panic::set_hook(Box::new(move |panic| before(panic)));
        }
    }
}

/// Runs one case; the panic's text if there was one, in whichever thread.
pub fn attempt(panics: &Panics, case: impl FnOnce() -> String) -> Result<String, String> {
    let before = panics.count();
    let ended: Result<String, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(case));
    match ended {
        Ok(outcome) if panics.count() == before => Ok(outcome),
        _ => Err(panics.last()),
    }
}

/// Ends the process when a case does not end: nothing else can be done about it.
#[derive(Debug)]
pub struct HangWatch {
    watched: Arc<Watched>,
}

#[derive(Debug)]
struct Watched {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: Option<(Instant, Vec<u8>)>,
    over: bool,
}

impl HangWatch {
    pub fn start(corpus: Corpus) -> Self {
        let watched = Arc::new(Watched {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watching = Arc::clone(&watched);
        std::thread::spawn(move || watching.watch(&corpus));
        Self { watched }
    }

    pub fn guarding<T>(&self, input: &[u8], case: impl FnOnce() -> T) -> T {
        self.watched.set(Some((Instant::now(), input.to_vec())));
        let done = case();
        self.watched.set(None);
        done
    }
}

impl Drop for HangWatch {
    fn drop(&mut self) {
        self.watched.state.lock().unwrap().over = true;
        self.watched.changed.notify_all();
    }
}

impl Watched {
    fn set(&self, running: Option<(Instant, Vec<u8>)>) {
        self.state.lock().unwrap().running = running;
    }

    fn watch(&self, corpus: &Corpus) {
        let mut state = self.state.lock().unwrap();
        while !state.over {
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap().0;
            if let Some((_, input)) = state
                .running
                .as_ref()
                .filter(|(began, _)| began.elapsed() > HANG)
            {
                let place = corpus.keep("hang", input);
                // Not by eprintln, whose text a test keeps until its end.
                let _ = writeln!(
                    std::io::stderr(),
                    "a case has not ended after {HANG:?}; the input is {place}"
                );
                std::process::exit(101);
            }
        }
    }
}
