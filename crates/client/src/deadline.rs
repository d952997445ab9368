//! The time a control call may take, counted in ticks of this process.
//!
//! CLOCK_MONOTONIC runs on while a process is stopped, so a difference of two times would fail a
//! call whose answer came in the meantime. A tick that comes late counts as one tick.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Fine enough that a deadline of seconds is kept to a few percent.
const TICK: Duration = Duration::from_millis(100);

/// The future's output, or `None` once `limit` has passed.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    // Short limits get ticks of their own length.
    let tick = TICK.min(limit).max(Duration::from_millis(1));
    let ticks = limit.as_millis().div_ceil(tick.as_millis());
    within_ticks(ticks, tick, future).await
}

async fn within_ticks<F: Future>(ticks: u128, tick: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut clock = interval(tick);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick of an interval is due at once.
    clock.tick().await;
    let mut left = ticks;
    while left > 0 {
        tokio::select! {
            biased;
            output = &mut future => return Some(output),
            _ = clock.tick() => left -= 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn what_is_ready_is_returned_and_what_never_comes_ends() {
        let limit = Duration::from_millis(20);
        assert_eq!(run(within(limit, ready(7))), Some(7));
        assert_eq!(run(within(limit, pending::<()>())), None);
        // Nothing is awaited when there is no time, and that is an end, not a hang.
        assert_eq!(run(within(Duration::ZERO, pending::<()>())), None);
    }

    #[test]
    fn a_late_tick_counts_as_one() {
        const SHORT: Duration = Duration::from_millis(5);
        let mut polls = 0;
        // Every poll keeps the thread busy for four ticks, as if the process had been stopped. A
        // clock that counts time would allow one poll, ticks allow four.
        let stopped_often = std::future::poll_fn(|_| {
            polls += 1;
            let busy_until = std::time::Instant::now() + 4 * SHORT;
            while std::time::Instant::now() < busy_until {
                std::thread::yield_now();
            }
            std::task::Poll::<()>::Pending
        });
        assert_eq!(run(within_ticks(4, SHORT, stopped_often)), None);
        assert!(polls >= 4, "only {polls} polls");
    }
}
