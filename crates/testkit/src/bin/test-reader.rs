//! A reader that never believes what it reads: `test-reader SEED SIZE NODE FILE`
//! reads ranges of a published file at random, and compares every byte with
//! what the node contains, until a read fails or it is killed.
//!
//! It ends with 0 and `ended errno=…` when it is told that the provider or the
//! file is gone, with 1 and the place for a wrong byte or an end of the file
//! where there is none, with 3 for any other error.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use fuse_promise_testkit::{Content, Random};
use rustix::io::Errno;

/// The largest range read at once: larger than what the kernel asks for in one
/// request.
const LENGTH_MAX: u64 = 1_500_000;

/// Reads of one open file before it is opened anew.
const READS_PER_OPEN: u64 = 8;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [seed, size, node, file] = words.as_slice() else {
        eprintln!("usage: test-reader SEED SIZE NODE FILE");
        return ExitCode::from(2);
    };
    let (Ok(seed), Ok(size)) = (seed.parse(), size.parse()) else {
        eprintln!("test-reader: SEED and SIZE are numbers");
        return ExitCode::from(2);
    };
    let mut random = Random::new(seed);
    let content = Content::of(node.as_bytes());
    loop {
        match read_some(&mut random, Path::new(file), size, content) {
            Ok(None) => {}
            Ok(Some(wrong)) => {
                println!("wrong {wrong}");
                return ExitCode::from(1);
            }
            Err(error) => return ended(&error),
        }
    }
}

/// What was wrong, if anything.
fn read_some(
    random: &mut Random,
    path: &Path,
    size: u64,
    content: Content,
) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    for _ in 0..READS_PER_OPEN {
        let offset = random.below(size);
        let length = random.below(LENGTH_MAX.min(size - offset)) + 1;
        let wrong = read_range(&file, offset, length as usize, content)?;
        if wrong.is_some() {
            return Ok(wrong);
        }
    }
    Ok(None)
}

/// A read is short when one of the requests into which the kernel divided it
/// has failed; the next one then tells the error.
fn read_range(
    file: &File,
    mut offset: u64,
    mut length: usize,
    content: Content,
) -> io::Result<Option<String>> {
    let mut buffer = vec![0; length];
    while length > 0 {
        let read = file.read_at(&mut buffer[..length], offset)?;
        if read == 0 {
            return Ok(Some(format!("end of the file at {offset}")));
        }
        if let Some(at) = content.first_wrong(offset, &buffer[..read]) {
            return Ok(Some(format!("byte at {at} of a read at {offset}")));
        }
        offset += read as u64;
        length -= read;
    }
    Ok(None)
}

fn ended(error: &io::Error) -> ExitCode {
    let errno = Errno::from_io_error(error);
    println!("ended errno={errno:?}");
    match errno {
        Some(Errno::IO | Errno::NOENT) => ExitCode::SUCCESS,
        _ => ExitCode::from(3),
    }
}
