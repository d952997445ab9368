//! The library's own threads: they have names, they block every signal, and they print nothing.
//!
//! A thread inherits the signal mask of the one that makes it, so the mask has to be set around
//! the making; a thread that set its own would run with signals open for a moment. Setting a mask
//! is unsafe code, which this crate has none of: the crate that embeds it installs a hook.

use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

use fuse_promise_core::{Failure, Result};

/// Calls its argument exactly once, with every signal blocked in the calling thread, and restores
/// the mask afterwards.
pub type SpawnHook = fn(&mut dyn FnMut());

static HOOK: OnceLock<SpawnHook> = OnceLock::new();

/// Installs the hook that every later thread is made under. The first one stays: there is one
/// signal mask to set, whoever sets it.
pub fn set_spawn_hook(hook: SpawnHook) {
    let _ = HOOK.set(hook);
}

/// Starts a library thread.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    spawn_under(HOOK.get().copied(), name, body)
}

fn spawn_under(
    hook: Option<SpawnHook>,
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let mut body = Some(body);
    let mut outcome = None;
    let mut make = || {
        if let Some(body) = body.take() {
            outcome = Some(Builder::new().name(name.to_owned()).spawn(body));
        }
    };
    match hook {
        Some(hook) => hook(&mut make),
        None => make(),
    }
    match outcome {
        Some(Ok(handle)) => Ok(handle),
        Some(Err(error)) => Err(Failure::unavailable(format!(
            "cannot start the library thread {name}: {error}"
        ))),
        None => Err(Failure::unavailable(format!(
            "the hook for library threads did not let {name} start"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static INSIDE: Cell<u32> = const { Cell::new(0) };
    }

    fn counting(make: &mut dyn FnMut()) {
        INSIDE.set(INSIDE.get() + 1);
        make();
    }

    #[test]
    fn a_thread_is_made_inside_the_hook_and_has_its_name() {
        let (send, receive) = std::sync::mpsc::channel();
        let body = move || {
            let name = std::thread::current().name().map(str::to_owned);
            send.send(name).unwrap();
        };
        let handle = spawn_under(Some(counting), "fp-trial", body).unwrap();
        assert_eq!(INSIDE.get(), 1);
        assert_eq!(receive.recv().unwrap().as_deref(), Some("fp-trial"));
        handle.join().unwrap();
    }

    #[test]
    fn a_hook_that_makes_no_thread_is_an_error() {
        fn idle(_make: &mut dyn FnMut()) {}
        let failure = spawn_under(Some(idle), "fp-trial", || {}).unwrap_err();
        assert!(failure.message.contains("fp-trial"), "{failure}");
    }
}
