//! What a process holds of the machine's memory, as /proc tells it, in KiB.

use std::fs;

use crate::Outcome;

/// Its share of memory: its own pages, and of those it shares, its part.
pub fn share(process: u32) -> Outcome<f64> {
    figure(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// Its own memory: what it allocated, and nothing that is mapped from anywhere.
pub fn own(process: u32) -> Outcome<f64> {
    figure(&format!("/proc/{process}/smaps_rollup"), "Pss_Anon:")
}

/// What the kernel holds of names and inodes, of every file system.
pub fn of_names() -> Outcome<f64> {
    figure("/proc/meminfo", "SReclaimable:")
}

/// What it holds now, with all that it shares.
pub fn resident(process: u32) -> Outcome<f64> {
    figure(&format!("/proc/{process}/status"), "VmRSS:")
}

/// The most it ever held.
pub fn peak(process: u32) -> Outcome<f64> {
    figure(&format!("/proc/{process}/status"), "VmHWM:")
}

fn figure(path: &str, key: &str) -> Outcome<f64> {
    let text = fs::read_to_string(path)?;
    Ok(kibibytes(&text, key).ok_or_else(|| format!("{path} has no {key}"))?)
}

fn kibibytes(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let text = "Pss_Anon:    5 kB\nPss:     1234 kB\nThreads:\t7\n";
        assert_eq!(kibibytes(text, "Pss:"), Some(1234.0));
        assert_eq!(kibibytes(text, "Threads:"), None);
        assert_eq!(kibibytes(text, "Rss:"), None);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let own = std::process::id();
        for figure in [
            share(own),
            super::own(own),
            resident(own),
            peak(own),
            of_names(),
        ] {
            assert!(figure.unwrap() > 0.0);
        }
    }
}
