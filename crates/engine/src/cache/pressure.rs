//! Whether the machine is short of memory, by the kernel's own account: in
//! `/proc/pressure/memory` it says for how much of the last ten seconds some
//! program stood still because its memory was being fetched back.
//!
//! The file is looked at once a second at most, by whichever thread happens to
//! ask; all others are told what was seen then. A kernel that keeps no such
//! account is never short of memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ACCOUNT: &str = "/proc/pressure/memory";

/// Percent of the last ten seconds. A machine that only drops clean pages stays
/// near 0; over 10 a person feels it, and bytes kept ahead make it worse.
const HIGH: f64 = 10.0;

/// The kernel brings its averages up to date every two seconds.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Pressure {
    account: Option<File>,
    started: Instant,
    /// Milliseconds after `started` from which on somebody has to look again.
    next_look: AtomicU64,
    high: AtomicBool,
}

impl Pressure {
    pub(crate) fn new() -> Self {
        Self::from_account(Path::new(ACCOUNT))
    }

    fn from_account(path: &Path) -> Self {
        Self {
            account: File::open(path).ok(),
            started: Instant::now(),
            next_look: AtomicU64::new(0),
            high: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_high(&self) -> bool {
        self.is_high_at(self.started.elapsed())
    }

    fn is_high_at(&self, elapsed: Duration) -> bool {
        let Some(account) = &self.account else {
            return false;
        };
        let now = elapsed.as_millis() as u64;
        let due = self.next_look.load(Ordering::Relaxed);
        let next = now + EVERY.as_millis() as u64;
        // Only the thread that moves the time on looks; the others go on with
        // what is known.
        let looks = now >= due
            && self
                .next_look
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !looks {
            return self.high.load(Ordering::Relaxed);
        }
        let high = look(account).is_some_and(|percent| percent > HIGH);
        self.high.store(high, Ordering::Relaxed);
        high
    }
}

fn look(account: &File) -> Option<f64> {
    // Two lines of some 60 bytes.
    let mut text = [0; 256];
    let length = account.read_at(&mut text, 0).ok()?;
    some_avg10(std::str::from_utf8(&text[..length]).ok()?)
}

/// The percentage of the line `some avg10=0.12 avg60=…`.
fn some_avg10(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent = some
        .split_ascii_whitespace()
        .find_map(|field| field.strip_prefix("avg10="))?;
    percent
        .parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    const SHORT: &str = "some avg10=12.34 avg60=5.00 avg300=1.00 total=123456\n\
                         full avg10=3.00 avg60=1.00 avg300=0.00 total=2345\n";

    fn account(text: &str) -> (tempfile::NamedTempFile, Pressure) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let pressure = Pressure::from_account(file.path());
        (file, pressure)
    }

    #[test]
    fn the_ten_second_average_of_some_is_taken() {
        assert_eq!(some_avg10(NONE), Some(0.0));
        assert_eq!(some_avg10(SHORT), Some(12.34));
        let turned = "full avg10=99.00 total=1\nsome total=7 avg10=100.00";
        assert_eq!(some_avg10(turned), Some(100.0));
    }

    #[test]
    fn anything_else_is_no_account() {
        for text in [
            "",
            "some",
            "some \n",
            "full avg10=50.00 avg60=0.00",
            "some avg60=50.00 avg300=50.00",
            "some avg10= avg60=50.00",
            "some avg10=lots",
            "some avg10=-1.00",
            "some avg10=100.01",
            "some avg10=nan",
            "some avg10=inf",
            "awesome avg10=50.00",
        ] {
            assert_eq!(some_avg10(text), None, "{text:?}");
        }
    }

    #[test]
    fn more_than_ten_percent_is_high() {
        for (text, high) in [
            (NONE, false),
            ("some avg10=10.00\n", false),
            ("some avg10=10.01\n", true),
            (SHORT, true),
            ("some avg10=\u{fffd}", false),
        ] {
            assert_eq!(account(text).1.is_high(), high, "{text:?}");
        }
    }

    #[test]
    fn the_account_is_looked_at_once_a_second() {
        let (file, pressure) = account(NONE);
        let at = |millis| pressure.is_high_at(Duration::from_millis(millis));
        assert!(!at(500));
        std::fs::write(&file, SHORT).unwrap();
        assert!(!at(500));
        assert!(!at(1499));
        assert!(at(1500));
        std::fs::write(&file, NONE).unwrap();
        assert!(at(2499));
        assert!(!at(9000));
        // A thread that measured its time before another one looked.
        std::fs::write(&file, SHORT).unwrap();
        assert!(!at(8000));
    }

    #[test]
    fn a_kernel_without_the_account_is_never_short() {
        let folder = tempfile::tempdir().unwrap();
        let pressure = Pressure::from_account(&folder.path().join("memory"));
        assert!(!pressure.is_high());
        // What can be opened but not read, as a kernel started with psi=0.
        assert!(!Pressure::from_account(folder.path()).is_high());
    }

    #[test]
    fn this_machine_can_be_asked() {
        let pressure = Pressure::new();
        let first = pressure.is_high_at(Duration::ZERO);
        assert_eq!(pressure.is_high_at(Duration::from_millis(1)), first);
    }
}
