//! A library prints nothing: a panic inside an export, or on one of the library's own threads, is
//! kept as a sentence with its place instead of being written to standard error. Panics of anyone
//! else (a Rust program that links the rlib) go to the hook that was there before.

use std::cell::{Cell, RefCell};
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Names of the client's threads begin with this.
const LIBRARY_THREADS: &str = "fp-";

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static SENTENCE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// While one lives, panics of this thread are the library's.
pub(crate) struct Inside;

impl Inside {
    pub(crate) fn enter() -> Inside {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
    }
}

/// The sentence of this thread's last panic; taken out.
pub(crate) fn take_sentence() -> String {
    SENTENCE
        .try_with(|sentence| sentence.take())
        .unwrap_or_default()
}

fn install() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_ours() {
            let _ = SENTENCE.try_with(|sentence| sentence.replace(describe(panic)));
        } else {
            previous(panic);
        }
    }));
}

fn is_ours() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(true)
        || std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with(LIBRARY_THREADS))
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    match panic.location() {
        Some(place) => format!("{text} ({}:{})", place.file(), place.line()),
        None => text.to_owned(),
    }
}
