//! What the trees of the materialize cases hold: names, sizes, and where each file's content
//! begins in one block of memory that all of them repeat.

use super::content;

/// Every file is made of this many bytes of content, over and over. It is small enough to stay in
/// memory beside copies of a GiB.
pub const BLOCK: usize = 8 << 20;
/// Contents of neighbouring files begin this many pages apart in the block, so that files that
/// were mixed up are noticed.
const PAGES_APART: usize = 37;
const PAGE: usize = 4096;

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

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// From 4 KiB to 8 MiB, as many of each power of two, and no multiples of a page.
fn mixed_size(number: u64) -> u64 {
    let least = 4096 << (number % 11);
    least + content::word(number) % least
}

/// One file of many reads, then many of one read.
fn slow_size(number: u64) -> u64 {
    if number == 0 { 16 << 20 } else { 64 << 10 }
}

/// Where in the block the byte at `offset` of a file is.
pub fn position(file: usize, offset: u64) -> usize {
    let first = file * PAGES_APART * PAGE;
    // The remainder is below the block's length.
    ((first as u64 + offset) % BLOCK as u64) as usize
}
