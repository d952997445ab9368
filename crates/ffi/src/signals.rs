//! The library's threads take no signals: a handler of the program must not run on a thread it
//! knows nothing of, and a signal that the program waits for must not end there. A new thread
//! inherits its maker's mask, so the maker blocks everything while it makes one.

use std::mem::MaybeUninit;

use fuse_promise_client::threads;

/// Every thread the client makes after this blocks all signals.
pub(crate) fn block_in_library_threads() {
    threads::set_spawn_hook(with_all_blocked);
}

fn with_all_blocked(make_thread: &mut dyn FnMut()) {
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset fills `all`, pthread_sigmask fills `before`; with these arguments neither
    // can fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    make_thread();
    // SAFETY: `before` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: libc::c_int) -> bool {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: without a new mask the call only fills in the current one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), signal) == 1
        }
    }

    #[test]
    fn threads_made_under_the_hook_block_signals_and_their_maker_does_not() {
        let mut made = None;
        with_all_blocked(&mut || {
            made = Some(std::thread::spawn(|| {
                is_blocked(libc::SIGTERM) && is_blocked(libc::SIGCHLD)
            }));
        });
        assert!(made.unwrap().join().unwrap());
        assert!(!is_blocked(libc::SIGTERM));
    }
}
