//! A panic on demand, in builds with the feature `test-panics`: the export that `FP_TEST_PANIC`
//! names panics where the guard has just been entered, so that a test can see each of them caught.

#[cfg(feature = "test-panics")]
pub(crate) fn check(export: &str) {
    if std::env::var_os("FP_TEST_PANIC").is_some_and(|name| name == export) {
        panic!("FP_TEST_PANIC names {export}");
    }
}

#[cfg(not(feature = "test-panics"))]
pub(crate) fn check(_export: &str) {}
