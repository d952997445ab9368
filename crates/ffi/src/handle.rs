//! Ownership of the handles. Each is a box that the library gives to C when it is opened and takes
//! back when it is closed; in between C lends it to every call. All of it happens in the three
//! functions below.
//!
//! What a handle shares with the library's threads lies behind the client's own reference counts,
//! so closing a handle from inside a callback frees nothing that the callback's thread still uses.

use fuse_promise_core::{Failure, Result};

/// A type that C holds by pointer.
pub(crate) trait Handle {
    /// What the header calls its argument, for messages.
    const NAME: &'static str;
}

/// Where an opened handle goes: C's variable, NULL until there is a handle to own.
pub(crate) struct HandleOut<'a, T>(&'a mut *mut T);

impl<T: Handle> HandleOut<'_, T> {
    /// # Safety
    /// `out` is NULL or points to a writable handle variable.
    pub(crate) unsafe fn cleared<'a>(out: *mut *mut T) -> Result<HandleOut<'a, T>> {
        // SAFETY: the caller passes NULL or a pointer to a variable of its own.
        let out = unsafe { out.as_mut() }.ok_or_else(|| {
            Failure::invalid(format!("the place for the new {} is NULL", T::NAME))
        })?;
        *out = std::ptr::null_mut();
        Ok(HandleOut(out))
    }

    /// C owns the handle from here on.
    pub(crate) fn give(self, handle: T) {
        *self.0 = Box::into_raw(Box::new(handle));
    }
}

/// The handle, for the length of one call.
///
/// # Safety
/// `handle` is NULL or came from `HandleOut::give` and has not been taken back.
pub(crate) unsafe fn lent<'a, T: Handle>(handle: *mut T) -> Result<&'a T> {
    // SAFETY: a live handle, by the caller's contract. It is only ever lent shared.
    unsafe { handle.as_ref() }.ok_or_else(|| Failure::invalid(format!("{} is NULL", T::NAME)))
}

/// The handle, back from C, or `None` for NULL.
///
/// # Safety
/// As for `lent`; C does not use the handle again.
pub(crate) unsafe fn taken_back<T: Handle>(handle: *mut T) -> Option<Box<T>> {
    // SAFETY: the pointer came from Box::into_raw in `give`, and this is the only place that takes
    // it back.
    (!handle.is_null()).then(|| unsafe { Box::from_raw(handle) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(u8);

    impl Handle for Thing {
        const NAME: &'static str = "thing";
    }

    #[test]
    fn goes_to_c_and_comes_back() {
        let mut raw = std::ptr::dangling_mut();
        // SAFETY: `raw` is a variable of this test.
        let out = unsafe { HandleOut::cleared(&mut raw) }.unwrap();
        out.give(Thing(7));
        // SAFETY: given just now and not taken back.
        assert_eq!(unsafe { lent(raw) }.unwrap().0, 7);
        // SAFETY: the same; it is not used after this.
        assert_eq!(unsafe { taken_back(raw) }.unwrap().0, 7);
    }

    #[test]
    fn the_variable_is_null_until_there_is_a_handle() {
        let mut raw: *mut Thing = std::ptr::dangling_mut();
        // SAFETY: `raw` is a variable of this test.
        let cleared = unsafe { HandleOut::cleared(&mut raw) }.is_ok();
        assert!(cleared && raw.is_null());
    }

    #[test]
    fn null_is_refused_by_name_and_ignored_when_closed() {
        // SAFETY: NULL is allowed.
        let failure = unsafe { lent::<Thing>(std::ptr::null_mut()) }
            .err()
            .unwrap();
        assert_eq!(failure.message, "thing is NULL");
        // SAFETY: NULL is allowed.
        assert!(unsafe { taken_back::<Thing>(std::ptr::null_mut()) }.is_none());
        // SAFETY: NULL is allowed.
        assert!(unsafe { HandleOut::<Thing>::cleared(std::ptr::null_mut()) }.is_err());
    }
}
