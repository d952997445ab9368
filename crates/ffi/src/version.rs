//! The version of the library that a program happens to run with.

use std::ffi::{CStr, c_char};

use crate::guard::guard_value;

const LIBRARY_VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("the package version holds a NUL"),
    };

/// The version of the library that is running, for instance "1.1.0". Never NULL. The text is
/// static.
#[unsafe(no_mangle)]
pub extern "C" fn fp_library_version() -> *const c_char {
    guard_value("fp_library_version", LIBRARY_VERSION.as_ptr(), || {
        LIBRARY_VERSION.as_ptr()
    })
}
