//! One pass over a file, as programs make them, with its time. All read 128 KiB at a time through
//! whatever the mount chose: page cache or not.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{Advice, fadvise};

use super::content::Aligned;
use super::cpu_nanoseconds;

const BLOCK: u64 = 128 << 10;
/// What a player looks at before it begins: the index at the end of the file.
const INDEX: u64 = 256 << 10;
/// A player's reader jumps after so many bytes,
const SCENE: u64 = 4 << 20;
/// so far ahead, and every second time half as far back.
const JUMP: u64 = 2 << 20;

#[derive(Clone, Copy)]
enum Pattern {
    /// From the beginning to the end.
    Forward,
    /// The same for the second time; the first is not measured.
    Again,
    /// A look at the end, then scenes of the film.
    Video,
    /// Two readers with a half each.
    Pair,
}

impl Pattern {
    fn named(name: &str) -> Option<Self> {
        match name {
            "forward" => Some(Self::Forward),
            "again" => Some(Self::Again),
            "video" => Some(Self::Video),
            "pair" => Some(Self::Pair),
            _ => None,
        }
    }

    /// What each reader reads, in order.
    fn readers(self, size: u64) -> Vec<Vec<Range<u64>>> {
        match self {
            Self::Forward | Self::Again => vec![vec![0..size]],
            Self::Video => vec![scenes(size)],
            Self::Pair => vec![vec![0..size / 2], vec![size / 2..size]],
        }
    }
}

fn scenes(size: u64) -> Vec<Range<u64>> {
    let index = size.saturating_sub(INDEX)..size;
    let mut scenes = Vec::from([index]);
    let mut start = 0;
    while start < size {
        let end = (start + SCENE).min(size);
        scenes.push(start..end);
        start = match scenes.len() % 2 {
            0 => end + JUMP,
            _ => end - JUMP / 2,
        };
    }
    scenes
}

/// Opens the file and reads the ranges; how many bytes it got.
fn read(path: &Path, ranges: &[Range<u64>]) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut buffer = Aligned::new(BLOCK as usize);
    let mut bytes = 0;
    for range in ranges {
        let mut offset = range.start;
        while offset < range.end {
            let length = (range.end - offset).min(BLOCK);
            file.read_exact_at(&mut buffer[..length as usize], offset)?;
            offset += length;
            bytes += length;
        }
    }
    Ok(bytes)
}

fn read_all<'a>(path: &'a Path, readers: &'a [Vec<Range<u64>>]) -> io::Result<u64> {
    std::thread::scope(|scope| {
        let one = |ranges: &'a Vec<Range<u64>>| scope.spawn(move || read(path, ranges));
        let threads: Vec<_> = readers.iter().map(one).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|read| read.map_err(|_| io::Error::other("a reader panicked"))?)
            .sum()
    })
}

/// Makes a pass over the first `size` bytes of a file, or all of it if it is shorter, and prints
/// what it took. The kernel's pages of the file go afterwards: nobody reads it again.
pub fn measure(pattern: &str, path: &Path, size: u64) -> io::Result<()> {
    let pattern = Pattern::named(pattern).ok_or_else(|| io::Error::other("no such pattern"))?;
    let size = path.metadata()?.len().min(size);
    let readers = pattern.readers(size);
    if matches!(pattern, Pattern::Again) {
        read_all(path, &readers)?;
    }
    let (started, cpu) = (Instant::now(), cpu_nanoseconds());
    let bytes = read_all(path, &readers)?;
    let (nanoseconds, cpu) = (started.elapsed().as_nanos(), cpu_nanoseconds() - cpu);
    writeln!(
        io::stdout(),
        "bytes={bytes} nanoseconds={nanoseconds} cpu={cpu}"
    )?;
    fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
    Ok(())
}
