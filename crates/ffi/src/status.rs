//! Statuses as C sees them. The values and texts are core's table; only the NUL at the end is added
//! here, at compile time, so that the texts need no lock and no allocation.

use std::ffi::{CStr, c_char};

use fuse_promise_core::Status;

use crate::guard::guard_value;

/// The outcome of a call: one of the FP_OK and FP_ERR_ constants. Values this header does not know
/// may be added.
pub type fp_status_t = u32;

const UNKNOWN: &CStr = c"unknown status";

/// Room for the longest text and its NUL; a longer one does not compile.
const ROOM: usize = 24;

static TEXTS: [[u8; ROOM]; Status::ALL.len()] = {
    let mut texts = [[0; ROOM]; Status::ALL.len()];
    let mut index = 0;
    while index < texts.len() {
        // The table is in the order of the codes, which the lookup below relies on.
        assert!(Status::ALL[index].code() as usize == index);
        let text = Status::ALL[index].text().as_bytes();
        assert!(text.len() < ROOM);
        let mut at = 0;
        while at < text.len() {
            texts[index][at] = text[at];
            at += 1;
        }
        index += 1;
    }
    texts
};

/// The status as a short lower-case text, for instance "not found"; "unknown status" for any other
/// number. Never NULL. The text is static. fp_last_error() has the sentence that tells what
/// happened.
#[unsafe(no_mangle)]
pub extern "C" fn fp_status_string(status: fp_status_t) -> *const c_char {
    guard_value("fp_status_string", UNKNOWN.as_ptr(), || {
        let text = usize::try_from(status)
            .ok()
            .and_then(|code| TEXTS.get(code));
        text.map_or(UNKNOWN.as_ptr(), |text| text.as_ptr().cast())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: fp_status_t) -> &'static str {
        // SAFETY: fp_status_string returns a static NUL-terminated text.
        unsafe { CStr::from_ptr(fp_status_string(status)) }
            .to_str()
            .unwrap()
    }

    #[test]
    fn texts_are_those_of_the_table() {
        for status in Status::ALL {
            assert_eq!(text(status.code()), status.text());
        }
    }

    #[test]
    fn other_numbers_are_unknown() {
        for status in [11, 12, u32::MAX] {
            assert_eq!(text(status), "unknown status");
        }
    }
}
