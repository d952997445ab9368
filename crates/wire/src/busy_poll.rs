//! Looking for the other side's next frame a little longer before waiting for it.
//!
//! Whoever waits in the kernel has to be woken, which costs both processes a few microseconds and
//! the reader more than the copy of a page. A side that is likely to hear back sooner than that
//! looks into the ring until then, as the kernel does for idle virtual processors (`halt_poll_ns`)
//! and for sockets (`busy_read`). What it spends in vain is bounded: each look is short, and
//! after several in vain each further one halves how often it is tried, down to one in 64.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Looks between two readings of the clock, which takes about as long as one of them.
const LOOKS: u32 = 8;
/// Looks in vain, one after the other, for which nothing is left out: the first of a reader are, while the
/// other side still has to be woken, and one now and then is whenever the other side is preempted.
const FORGIVEN: u32 = 4;
/// Chances that are left out at most after a look in vain.
const LEFT_OUT_MAX: u32 = 63;

/// How long to look on this machine, of the time that is right where the other side has a processor
/// of its own: with one for both it could not answer meanwhile.
#[must_use]
pub fn longest_here(longest: Duration) -> Duration {
    let processors = available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    if processors > NonZero::<usize>::MIN {
        longest
    } else {
        Duration::ZERO
    }
}

/// One side's habit of looking.
#[derive(Debug)]
pub struct BusyPoll {
    longest: Duration,
    /// Chances still to leave out.
    left_out: u32,
    /// Looks in vain since the last that was not, up to a bound.
    in_vain: u32,
}

impl BusyPoll {
    /// Looks for no longer than this at a time; never if it is zero.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            left_out: 0,
            in_vain: 0,
        }
    }

    /// Whether to look this time. Each chance counts, so it is asked once for each.
    pub fn is_due(&mut self) -> bool {
        if self.longest.is_zero() {
            return false;
        }
        let due = self.left_out == 0;
        self.left_out = self.left_out.saturating_sub(1);
        due
    }

    /// Looks until there is something; false if there was nothing in time.
    pub fn until(&mut self, mut is_there: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if is_there() {
                    self.in_vain = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= self.longest {
                self.note_in_vain();
                return false;
            }
        }
    }

    fn note_in_vain(&mut self) {
        let doublings = self.in_vain.saturating_sub(FORGIVEN - 1);
        self.left_out = (1 << doublings) - 1;
        if self.left_out < LEFT_OUT_MAX {
            self.in_vain += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over after the first looks.
    const SHORT: Duration = Duration::from_nanos(1);

    /// Which of the next chances are taken; each is in vain.
    fn taken_in_vain(poll: &mut BusyPoll, chances: u32) -> Vec<u32> {
        let mut taken = Vec::new();
        for chance in 0..chances {
            if poll.is_due() {
                assert!(!poll.until(|| false));
                taken.push(chance);
            }
        }
        taken
    }

    #[test]
    fn looks_in_vain_become_rare_but_do_not_end() {
        let mut poll = BusyPoll::new(SHORT);
        let taken = taken_in_vain(&mut poll, 400);
        assert_eq!(
            taken,
            [0, 1, 2, 3, 4, 6, 10, 18, 34, 66, 130, 194, 258, 322, 386]
        );
    }

    #[test]
    fn one_that_finds_something_makes_up_for_those_in_vain() {
        let mut poll = BusyPoll::new(SHORT);
        taken_in_vain(&mut poll, 14);
        while !poll.is_due() {}
        assert!(poll.until(|| true));
        assert_eq!(taken_in_vain(&mut poll, 7), [0, 1, 2, 3, 4, 6]);
    }

    #[test]
    fn no_time_is_never() {
        let mut poll = BusyPoll::new(Duration::ZERO);
        assert!((0..200).all(|_| !poll.is_due()));
    }

    #[test]
    fn it_looks_until_it_is_there() {
        let mut poll = BusyPoll::new(Duration::from_secs(60));
        let mut looks = 0;
        let found = poll.until(|| {
            looks += 1;
            looks == 1000
        });
        assert!(found);
        assert_eq!(looks, 1000);
    }
}
