//! The reader of the benchmark: preads one file, on one or more threads, for a given time, and
//! prints what it saw as one line of `key=value`. Each thread has its own descriptor and buffer
//! and reads with plain `pread`: whether pages are cached is the mount's choice, not the reader's.
//!
//! `bench-reader sequential|random PATH BLOCK_BYTES THREADS MILLISECONDS`
//! `bench-reader pass forward|again|video|pair PATH BYTES` makes one pass (pass.rs).
//! `bench-reader saturate PATH BLOCK_BYTES THREADS` keeps a provider busy (saturate.rs).
//! `bench-reader verify PATH BYTES` reads so much of the file, or all of it, and compares it with
//! what should be there.

#![forbid(unsafe_code)]

mod content;
mod memory;
mod pass;
mod saturate;
mod word;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Read before the clock starts, so that first-touch costs of slots and buffers are not measured.
const WARM_UP: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum Order {
    Sequential,
    Random,
}

struct Load {
    order: Order,
    path: PathBuf,
    block: usize,
    threads: usize,
    time: Duration,
}

/// What one thread saw: the time each read took, in nanoseconds.
struct Seen {
    latencies: Vec<u64>,
    bytes: u64,
    /// How many reads it made before the clock started.
    warm_up_reads: usize,
}

/// The offsets one thread reads at: block after block, or a fixed pseudo-random order that is the
/// same in every run.
struct Offsets {
    order: Order,
    block: u64,
    blocks: u64,
    next: u64,
}

impl Offsets {
    fn next(&mut self) -> u64 {
        let position = match self.order {
            Order::Sequential => self.next,
            Order::Random => word::word(self.next),
        };
        self.next += 1;
        position % self.blocks * self.block
    }
}

fn read_for(
    file: &File,
    buffer: &mut [u8],
    offsets: &mut Offsets,
    time: Duration,
) -> io::Result<Seen> {
    let mut seen = Seen {
        latencies: Vec::with_capacity(1 << 18),
        bytes: 0,
        warm_up_reads: 0,
    };
    let started = Instant::now();
    let mut before = started;
    while before - started < time {
        let offset = offsets.next();
        let length = file.read_at(buffer, offset)?;
        let after = Instant::now();
        if length != buffer.len() {
            return Err(io::Error::other(format!(
                "short read: {length} of {} bytes at {offset}",
                buffer.len()
            )));
        }
        seen.latencies.push((after - before).as_nanos() as u64);
        seen.bytes += length as u64;
        before = after;
    }
    Ok(seen)
}

fn run_thread(load: &Load, thread: usize, start: &Barrier) -> io::Result<Seen> {
    let opened = File::open(&load.path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let mut buffer = content::Aligned::new(load.block);
    let prepared = opened.and_then(|(size, file)| {
        let mut offsets = Offsets {
            order: load.order,
            block: load.block as u64,
            blocks: size / load.block as u64,
            // Far apart, so that no two threads read the same blocks in step.
            next: (thread as u64) << 32,
        };
        let warm_up = read_for(&file, &mut buffer, &mut offsets, WARM_UP)?;
        Ok((file, offsets, warm_up.latencies.len()))
    });
    // A thread that failed must still let the others go.
    start.wait();
    let (file, mut offsets, warm_up_reads) = prepared?;
    let seen = read_for(&file, &mut buffer, &mut offsets, load.time)?;
    Ok(Seen {
        warm_up_reads,
        ..seen
    })
}

fn cpu_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn measure(load: &Load) -> io::Result<()> {
    let start = Barrier::new(load.threads + 1);
    let (seen, nanoseconds, cpu) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..load.threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || run_thread(load, thread, start))
            })
            .collect();
        start.wait();
        let (started, cpu) = (Instant::now(), cpu_nanoseconds());
        let seen: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        (seen, started.elapsed().as_nanos(), cpu_nanoseconds() - cpu)
    });
    let mut latencies = Vec::new();
    let (mut bytes, mut warm_up_reads) = (0, 0);
    for thread in seen {
        let thread = thread.map_err(|_| io::Error::other("a reader thread panicked"))??;
        latencies.extend(thread.latencies);
        bytes += thread.bytes;
        warm_up_reads += thread.warm_up_reads;
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    writeln!(
        io::stdout(),
        "reads={} all_reads={} bytes={bytes} nanoseconds={nanoseconds} p50={} p99={} cpu={cpu}",
        latencies.len(),
        latencies.len() + warm_up_reads,
        percentile(50),
        percentile(99),
    )
}

fn verify(path: &Path, size: u64) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len().min(size);
    if size == 0 {
        return Err(io::Error::other(format!("{} is empty", path.display())));
    }
    let memory = memory::Memory::new();
    let mut found = vec![0; memory::PIECE];
    let mut offset = 0;
    while offset < size {
        let length = (size - offset).min(memory::PIECE as u64) as usize;
        file.read_exact_at(&mut found[..length], offset)?;
        if found[..length] != *memory.piece(0, offset, length) {
            return Err(io::Error::other(format!(
                "wrong bytes in the {length} at offset {offset} of {}",
                path.display()
            )));
        }
        offset += length as u64;
    }
    writeln!(io::stdout(), "bytes={size}")
}

fn load_from(order: Order, arguments: &[String]) -> Option<Load> {
    let [path, block, threads, milliseconds] = arguments else {
        return None;
    };
    Some(Load {
        order,
        path: PathBuf::from(path),
        block: block.parse().ok()?,
        threads: threads.parse().ok()?,
        time: Duration::from_millis(milliseconds.parse().ok()?),
    })
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let usage = || {
        io::Error::other(
            "usage: bench-reader sequential|random PATH BLOCK THREADS MILLISECONDS, \
             saturate PATH BLOCK THREADS, pass PATTERN PATH BYTES, or verify PATH BYTES",
        )
    };
    let number = |text: &str| text.parse().map_err(|_| usage());
    let load = match &words[..] {
        ["verify", path, size] => return verify(Path::new(path), number(size)?),
        ["pass", pattern, path, size] => {
            return pass::measure(pattern, Path::new(path), number(size)?);
        }
        ["saturate", path, block, threads] => {
            return saturate::read(Path::new(path), number(block)?, number(threads)?);
        }
        ["sequential", ..] => load_from(Order::Sequential, &arguments[1..]),
        ["random", ..] => load_from(Order::Random, &arguments[1..]),
        _ => None,
    };
    measure(&load.ok_or_else(usage)?)
}
