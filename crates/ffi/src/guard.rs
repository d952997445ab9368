//! What every export runs inside. A panic must not unwind into C: it becomes `FP_ERR_IO`. In a
//! forked child the client's threads do not exist and its locks may be held for ever, so no call
//! gets past the guard there. A failure's sentence is kept for `fp_last_error` here and nowhere
//! else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuse_promise_core::{Failure, Result, Status};

use crate::panic_hook::{self, Inside};
use crate::status::fp_status_t;
use crate::{fork, last_error, test_panic};

/// For exports that return a status.
pub(crate) fn guard(export: &'static str, call: impl FnOnce() -> Result<()>) -> fp_status_t {
    match attempt(export, call) {
        Ok(()) => Status::Ok.code(),
        Err(failure) => {
            last_error::set(&failure);
            failure.status.code()
        }
    }
}

/// For exports whose status may be somebody else's, a callback's for instance, and of a kind that
/// the table does not know; a sentence about it comes with it.
pub(crate) fn guard_status(
    export: &'static str,
    call: impl FnOnce() -> Result<(fp_status_t, Option<Failure>)>,
) -> fp_status_t {
    let mut own = Status::Ok.code();
    let status = guard(export, || {
        let (status, why) = call()?;
        own = status;
        why.map_or(Ok(()), Err)
    });
    if own == Status::Ok.code() {
        status
    } else {
        own
    }
}

/// For exports that return nothing: close, unregister, free.
pub(crate) fn guard_void(export: &'static str, call: impl FnOnce()) {
    let closed = attempt(export, || {
        call();
        Ok(())
    });
    if let Err(failure) = closed {
        last_error::set(&failure);
    }
}

/// For exports that return a fixed text. They use nothing of the client and therefore work in a
/// forked child.
pub(crate) fn guard_value<T>(export: &'static str, otherwise: T, call: impl FnOnce() -> T) -> T {
    catch(export, || Ok(call())).unwrap_or(otherwise)
}

fn attempt(export: &'static str, call: impl FnOnce() -> Result<()>) -> Result<()> {
    if fork::in_child() {
        return Err(Failure::unavailable(format!(
            "{export} was called in a fork of the process that opened the library; \
             fork before the first fp_context_open, or exec"
        )));
    }
    catch(export, call)
}

fn catch<T>(export: &'static str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let _inside = Inside::enter();
    // A panic leaves behind what a failed call may leave behind; the client's own locks report
    // poison.
    catch_unwind(AssertUnwindSafe(|| {
        test_panic::check(export);
        call()
    }))
    .unwrap_or_else(|_payload| {
        Err(Failure::io(format!(
            "internal error in {export}: {}",
            panic_hook::take_sentence()
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> String {
        // SAFETY: fp_last_error returns a NUL-terminated text that lives until this thread's next
        // call.
        unsafe { std::ffi::CStr::from_ptr(last_error::fp_last_error()) }
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_status_goes_out_and_its_sentence_is_kept() {
        assert_eq!(guard("fp_x", || Ok(())), 0);
        assert_eq!(
            guard("fp_x", || Err(Failure::not_found("no such thing"))),
            4
        );
        assert_eq!(last_error(), "no such thing");
    }

    #[test]
    fn a_status_that_the_table_does_not_know_goes_out_as_it_is() {
        let stopped = || Ok((77, Some(Failure::cancelled("stopped with 77"))));
        assert_eq!(guard_status("fp_x", stopped), 77);
        assert_eq!(last_error(), "stopped with 77");
        assert_eq!(guard_status("fp_x", || Ok((0, None))), 0);
        assert_eq!(guard_status("fp_x", || Err(Failure::io("no"))), 7);
    }

    #[test]
    fn a_panic_becomes_an_io_error_with_its_text_and_place() {
        assert_eq!(guard("fp_x", || panic!("seven {}", 7)), Status::Io.code());
        let sentence = last_error();
        assert!(
            sentence.starts_with("internal error in fp_x: seven 7 ("),
            "{sentence}"
        );
        assert!(sentence.contains("guard.rs:"), "{sentence}");
    }

    #[test]
    fn a_panic_in_a_void_call_just_returns() {
        guard_void("fp_y", || panic!("closing"));
        assert!(last_error().starts_with("internal error in fp_y: closing"));
    }

    #[test]
    fn a_panic_behind_a_text_gives_the_other_text() {
        assert_eq!(guard_value("fp_z", 1, || 2), 2);
        assert_eq!(guard_value("fp_z", 1, || panic!("text")), 1);
    }
}
