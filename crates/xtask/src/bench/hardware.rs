//! Which machine the figures are from, and what it has left.

use std::fs;

use crate::Outcome;

/// One line: kernel, number of processors and their kind.
pub fn describe() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {processors} x {}",
        kernel.trim_end(),
        processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
    )
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Bytes that could be used without swapping.
pub fn available_memory() -> Outcome<u64> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let available = info
        .lines()
        .filter_map(|line| line.strip_prefix("MemAvailable:"))
        .find_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(available.ok_or("/proc/meminfo does not tell what is available")? << 10)
}
