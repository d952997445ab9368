//! The sentence that `fp_last_error` returns: one per thread, replaced by the thread's next
//! failure. A success leaves it alone, as errno does, so that a caller may clean up before it
//! prints.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use fuse_promise_core::Failure;

use crate::guard::guard_value;

const NONE: &CStr = c"";

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps the failure's sentence for this thread.
pub(crate) fn set(failure: &Failure) {
    // C ends a string at NUL, and no message needs one.
    let bytes: Vec<u8> = failure.message.bytes().filter(|&byte| byte != 0).collect();
    let text = CString::new(bytes).unwrap_or_default();
    // A thread that is being torn down has no slot any more, and nobody to read it.
    let _ = LAST.try_with(|last| last.replace(text));
}

/// The calling thread's last failure as a sentence for a person: what was wrong, with which path or
/// id. Never NULL; an empty string if no call of this thread has failed. A call that succeeds
/// leaves it as it is.
///
/// The text belongs to the library and is valid until the thread's next call of an fp_ function.
/// Works in every thread, in callbacks, and in a forked child.
#[unsafe(no_mangle)]
pub extern "C" fn fp_last_error() -> *const c_char {
    guard_value("fp_last_error", NONE.as_ptr(), || {
        LAST.try_with(|last| last.borrow().as_ptr())
            .unwrap_or(NONE.as_ptr())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: fp_last_error returns a NUL-terminated text that lives until this thread's next
        // call.
        unsafe { CStr::from_ptr(fp_last_error()) }
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn starts_empty_and_keeps_the_latest_of_its_own_thread() {
        assert_eq!(last(), "");
        set(&Failure::invalid("first"));
        set(&Failure::io("second"));
        assert_eq!(last(), "second");
        std::thread::spawn(|| assert_eq!(last(), ""))
            .join()
            .unwrap();
        assert_eq!(last(), "second");
    }

    #[test]
    fn drops_nul_bytes() {
        set(&Failure::invalid("a\0b"));
        assert_eq!(last(), "ab");
    }
}
