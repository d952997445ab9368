//! What a side's processes have spent so far: processor time and context switches, summed over
//! their threads as /proc tells them. Two samples around a measurement give its cost.

use std::fs;
use std::ops::Sub;
use std::path::Path;

use crate::Outcome;

#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub cpu_nanoseconds: u64,
    pub switches: u64,
}

impl Cost {
    /// Sums the threads that live now.
    pub fn sample(processes: &[u32]) -> Outcome<Self> {
        let mut total = Self::default();
        for process in processes {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                // One that ends between the listing and the look has done nothing for a read.
                if let Some(cost) = of_thread(&thread?.path()) {
                    total.cpu_nanoseconds += cost.cpu_nanoseconds;
                    total.switches += cost.switches;
                }
            }
        }
        Ok(total)
    }
}

fn of_thread(thread: &Path) -> Option<Cost> {
    let times = fs::read_to_string(thread.join("schedstat")).ok()?;
    let status = fs::read_to_string(thread.join("status")).ok()?;
    Some(Cost {
        cpu_nanoseconds: times.split_whitespace().next()?.parse().ok()?,
        switches: switches(&status),
    })
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds.saturating_sub(earlier.cpu_nanoseconds),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

fn switches(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| line.split_once("_ctxt_switches:"))
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t30\n";
        assert_eq!(switches(status), 42);
    }

    #[test]
    fn a_running_process_has_spent_time() {
        let cost = Cost::sample(&[std::process::id()]).unwrap();
        assert!(cost.cpu_nanoseconds > 0);
    }
}
