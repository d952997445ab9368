//! What processes have spent so far, as /proc tells it: processor time, in the kernel's ticks of
//! mostly 10 ms, and context switches. Two samples around a measurement give its cost.

use std::fs;
use std::ops::{Add, Sub};

use crate::Outcome;

#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub cpu_nanoseconds: u64,
    /// Of the threads that live now; the kernel forgets those of threads that have ended.
    pub switches: u64,
}

impl Cost {
    pub fn sample(processes: &[u32]) -> Outcome<Self> {
        let mut total = Self::default();
        for process in processes {
            total = total
                + Self {
                    cpu_nanoseconds: Times::of(&process.to_string())?.own,
                    switches: switches_of(*process)?,
                };
        }
        Ok(total)
    }

    /// What the programs have spent that this process started and waited for. Their context
    /// switches are not told.
    pub fn of_ended_children() -> Outcome<Self> {
        Ok(Self {
            cpu_nanoseconds: Times::of("self")?.children,
            switches: 0,
        })
    }
}

/// Processor time in nanoseconds.
struct Times {
    /// All threads of the process, those that have ended included.
    own: u64,
    /// The children it has waited for.
    children: u64,
}

impl Times {
    fn of(process: &str) -> Outcome<Self> {
        let path = format!("/proc/{process}/stat");
        let ticks = ticks(&fs::read_to_string(&path)?);
        let [user, system, users, systems] = ticks.ok_or(format!("{path} is not understood"))?;
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        Ok(Self {
            own: (user + system) * tick,
            children: (users + systems) * tick,
        })
    }
}

/// The fields utime, stime, cutime and cstime. The name before them may hold spaces and
/// parentheses.
fn ticks(stat: &str) -> Option<[u64; 4]> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields = behind_name.split_whitespace().skip(11).take(4);
    let fields: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    fields.try_into().ok()
}

fn switches_of(process: u32) -> Outcome<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // One may end between the listing and the look.
        if let Ok(status) = fs::read_to_string(thread?.path().join("status")) {
            total += switches(&status);
        }
    }
    Ok(total)
}

fn switches(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| line.split_once("_ctxt_switches:"))
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds + other.cpu_nanoseconds,
            switches: self.switches + other.switches,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t30\n";
        assert_eq!(switches(status), 42);
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 50 60 30 4 20 0 1";
        assert_eq!(ticks(stat), Some([50, 60, 30, 4]));
        assert_eq!(ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_can_be_sampled() {
        assert!(Cost::sample(&[std::process::id()]).unwrap().switches > 0);
        assert!(Cost::of_ended_children().is_ok());
    }
}
