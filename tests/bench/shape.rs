//! What the trees of the benchmark hold: names and sizes.

use super::word::word;

pub struct File {
    /// Relative to the tree's own directory.
    pub path: String,
    pub size: u64,
}

pub struct Shape {
    /// Parents first.
    pub directories: Vec<String>,
    pub files: Vec<File>,
}

impl Shape {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mixed" => Some(Self::of(20, 265, mixed_size)),
            "large" => Some(Self::of(0, 1, |_| 1 << 30)),
            "slow" => Some(Self::of(4, 129, slow_size)),
            "small" => Some(Self::of(100, 10_000, |_| 4096)),
            "one" => Some(Self::of(0, 1, |_| 4096)),
            "256m" => Some(Self::of(0, 1, |_| 256 << 20)),
            "32m" => Some(Self::of(0, 1, |_| 32 << 20)),
            "4x8m" => Some(Self::of(0, 4, |_| 8 << 20)),
            "1k" => Some(Self::of(10, 1000, |_| 4096)),
            "10k" => Some(Self::of(100, 10_000, |_| 4096)),
            "100k" => Some(Self::of(1000, 100_000, |_| 4096)),
            "1m" => Some(Self::of(10_000, 1_000_000, |_| 4096)),
            "twenty" => Some(Self::of(0, 20, |_| 4096)),
            "narrow" => Some(Self::of(1, 10, |_| 4096)),
            "wide" => Some(Self::of(1, 200_000, |_| 4096)),
            "4g" => Some(Self::of(0, 1, |_| 4 << 30)),
            _ => None,
        }
    }

    /// Files dealt out to the directories in turn.
    fn of(directories: usize, files: usize, size: fn(u64) -> u64) -> Self {
        let file = |number: usize| {
            let folder = match directories {
                0 => String::new(),
                _ => format!("directory-{}/", number % directories),
            };
            File {
                path: format!("{folder}file-{number}"),
                size: size(number as u64),
            }
        };
        Self {
            directories: (0..directories)
                .map(|number| format!("directory-{number}"))
                .collect(),
            files: (0..files).map(file).collect(),
        }
    }
}

/// From 4 KiB to 8 MiB, as many of each power of two, and no multiples of a page.
fn mixed_size(number: u64) -> u64 {
    let least = 4096 << (number % 11);
    least + word(number) % least
}

/// One file of many reads, then many of one read.
fn slow_size(number: u64) -> u64 {
    if number == 0 { 16 << 20 } else { 64 << 10 }
}
