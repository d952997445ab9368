//! A time that two processes of one machine understand alike: it never goes back, and it runs on
//! while either of them is stopped.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds.
#[must_use]
pub fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Counted from the machine's start, so neither field is negative and 64 bits last.
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let rest = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward_only() {
        let first = monotonic_nanoseconds();
        assert!(first > 0);
        assert!(monotonic_nanoseconds() >= first);
    }
}
