//! How far the copy is, on standard error: one line that changes on a terminal, a line for each
//! change elsewhere.

use std::io::{self, IsTerminal, Write};

use fuse_promise_client::JobStatus;
use fuse_promise_core::Record;

use super::facts;

pub enum Meter {
    /// On a terminal, whether asked for or not.
    Line {
        shown: bool,
    },
    Records,
    Nothing,
}

impl Meter {
    /// `asked` is whether the user wants to see it where it is not shown by itself.
    pub fn new(asked: bool) -> Self {
        match (io::stderr().is_terminal(), asked) {
            (true, _) => Self::Line { shown: false },
            (false, true) => Self::Records,
            (false, false) => Self::Nothing,
        }
    }

    pub fn show(&mut self, now: &JobStatus) {
        let mut out = io::stderr().lock();
        // Nobody can be told that standard error is closed.
        let _ = match self {
            Self::Line { shown } => {
                *shown = true;
                write!(out, "\r\x1b[K{}", line(now)).and_then(|()| out.flush())
            }
            Self::Records => writeln!(out, "{}", facts(Record::new("progress"), now)),
            Self::Nothing => Ok(()),
        };
    }

    /// Shows the end, and leaves the terminal's line empty for what follows.
    pub fn finish(&mut self, now: Option<&JobStatus>) {
        match self {
            Self::Line { shown: true } => {
                let _ = write!(io::stderr(), "\r\x1b[K");
            }
            Self::Records => now.into_iter().for_each(|now| self.show(now)),
            Self::Line { shown: false } | Self::Nothing => {}
        }
    }
}

/// Well below 80 columns, which every terminal has.
const BAR_WIDTH: u64 = 20;

fn line(now: &JobStatus) -> String {
    let per = |whole: u64| now.bytes_written.saturating_mul(whole) / now.bytes_total.max(1);
    let (percent, filled) = (per(100), per(BAR_WIDTH).min(BAR_WIDTH) as usize);
    let bar = format!(
        "{}{}",
        "#".repeat(filled),
        "-".repeat(BAR_WIDTH as usize - filled)
    );
    let amounts = format!(
        "{} of {}",
        amount(now.bytes_written),
        amount(now.bytes_total)
    );
    let left = now.bytes_total.saturating_sub(now.bytes_written);
    let left = match left.checked_div(now.rate) {
        Some(seconds) => format!(", {} left", duration(seconds)),
        None => String::new(),
    };
    format!(
        "[{bar}] {percent:3}% {amounts}, {}/s{left}",
        amount(now.rate)
    )
}

fn amount(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let value = bytes as f64 / 1024f64.powi(power as i32);
    format!("{value:.1} {}", UNITS[power as usize - 1])
}

fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::words::JobState;

    use super::*;

    fn at(written: u64, total: u64, rate: u64) -> JobStatus {
        JobStatus {
            state: JobState::Running,
            detached: false,
            entries_done: 0,
            entries_total: 1,
            bytes_written: written,
            bytes_total: total,
            files_written: 0,
            files_total: 1,
            directories_created: 0,
            directories_total: 0,
            target_path: b"/t/a".to_vec(),
            rate,
            end: None,
        }
    }

    #[test]
    fn the_line_tells_share_rate_and_time_left() {
        assert_eq!(
            line(&at(50 << 20, 200 << 20, 10 << 20)),
            "[#####---------------]  25% 50.0 MiB of 200.0 MiB, 10.0 MiB/s, 0:15 left"
        );
        assert_eq!(
            line(&at(0, 0, 0)),
            "[--------------------]   0% 0 B of 0 B, 0 B/s"
        );
        let long = line(&at(900 << 30, 90 << 40, 900 << 20));
        assert!(long.len() < 80, "{long}");
    }

    #[test]
    fn amounts_and_durations_are_for_people() {
        assert_eq!(amount(1023), "1023 B");
        assert_eq!(amount(1536), "1.5 KiB");
        assert_eq!(amount(3 << 30), "3.0 GiB");
        assert_eq!(duration(59), "0:59");
        assert_eq!(duration(3600 + 61), "1:01:01");
    }
}
