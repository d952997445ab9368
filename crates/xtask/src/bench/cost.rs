//! What a side's processes have spent so far: processor time and context switches, summed over
//! their threads as /proc tells them. Two samples around a measurement give its cost.

use std::fs;
use std::ops::Sub;

use crate::Outcome;

#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub cpu_nanoseconds: u64,
    pub switches: u64,
}

impl Cost {
    /// Sums the threads that live now. The processes measured here start and end no threads
    /// while they serve, so nothing is lost between two samples.
    pub fn sample(processes: &[u32]) -> Outcome<Self> {
        let mut total = Self::default();
        for process in processes {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let thread = thread?.path();
                let times = fs::read_to_string(thread.join("schedstat"))?;
                let on_cpu = times.split_whitespace().next().unwrap_or_default();
                total.cpu_nanoseconds += on_cpu.parse::<u64>()?;
                total.switches += switches(&fs::read_to_string(thread.join("status"))?);
            }
        }
        Ok(total)
    }
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
