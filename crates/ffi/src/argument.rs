//! Arguments that C passes by pointer: texts, and structs that begin with their own size.

use std::ffi::{CStr, c_char};

use fuse_promise_core::{Failure, Result};

/// A struct whose first member is `uint32_t struct_size`. Those of 1.0 are frozen: the only right
/// size is ours.
///
/// # Safety
/// The type is `repr(C)`, its first member is the `u32` size, and it is `Copy` data that any bytes
/// from C may fill.
pub(crate) unsafe trait SizedStruct: Copy {
    const NAME: &'static str;
    const INIT: &'static str;
}

/// The struct, of which no more than the size is read before the size is known to be right.
///
/// # Safety
/// `pointer` is NULL or points to as many readable bytes as its first member says, and to that
/// member at least.
pub(crate) unsafe fn sized<T: SizedStruct>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Failure::invalid(format!("{} is NULL", T::NAME)));
    }
    // SAFETY: not NULL; the size is the first member, which is always there.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() };
    if usize::try_from(size) != Ok(size_of::<T>()) {
        return Err(Failure::invalid(format!(
            "{}.struct_size is {size} and not {}; initialise the struct with {}",
            T::NAME,
            size_of::<T>(),
            T::INIT
        )));
    }
    // SAFETY: the caller vouches for as many bytes as the struct says, which is the whole struct.
    Ok(unsafe { pointer.read_unaligned() })
}

/// A NUL-terminated text, for the length of the call.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated text that does not change during the call.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a CStr> {
    if pointer.is_null() {
        return Err(Failure::invalid(format!("{name} is NULL")));
    }
    // SAFETY: not NULL, so a NUL-terminated text by the caller's contract.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A member that is 0 or 1; other values are kept for later.
pub(crate) fn flag(value: u32, name: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::invalid(format!(
            "{name} is {value} and neither 0 nor 1"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    struct Pair {
        struct_size: u32,
        value: u32,
    }

    // SAFETY: repr(C), the size comes first, plain integers.
    unsafe impl SizedStruct for Pair {
        const NAME: &'static str = "pair";
        const INIT: &'static str = "PAIR_INIT";
    }

    #[test]
    fn reads_a_struct_of_the_right_size() {
        let pair = Pair {
            struct_size: 8,
            value: 7,
        };
        // SAFETY: a whole Pair.
        assert_eq!(unsafe { sized(&raw const pair) }.unwrap().value, 7);
    }

    #[test]
    fn reads_nothing_past_a_wrong_size() {
        for size in [0u32, 4, 7, 9, u32::MAX] {
            // Only the size itself is there: reading more would be out of bounds.
            let only_size = Box::new(size);
            // SAFETY: the first member is there.
            let failure = unsafe { sized::<Pair>((&raw const *only_size).cast()) }.unwrap_err();
            assert!(failure.message.contains("PAIR_INIT"), "{failure}");
        }
    }

    #[test]
    fn null_is_refused_by_name() {
        // SAFETY: NULL is allowed.
        let failure = unsafe { text(std::ptr::null(), "promise_path") }.unwrap_err();
        assert_eq!(failure.message, "promise_path is NULL");
        // SAFETY: NULL is allowed.
        assert!(unsafe { sized::<Pair>(std::ptr::null()) }.is_err());
    }
}
