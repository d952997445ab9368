//! What is done with the names of a tree, with its time: making them, listing them, asking for
//! their attributes.
//!
//! `bench-names make SHAPE FOLDER` makes the tree's directories and files, the files with their lengths and no bytes.
//! `bench-names list FOLDER` lists every directory, without asking what the entries are.
//! `bench-names stat SHAPE FOLDER` asks for the attributes of every file, by its path.
//! Each prints one line of `key=value`.

#![forbid(unsafe_code)]

mod shape;
mod word;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use shape::Shape;

/// How many names were handled.
type Outcome = Result<usize, Box<dyn Error>>;

fn make(shape: &Shape, folder: &Path) -> Outcome {
    for directory in &shape.directories {
        fs::create_dir(folder.join(directory))?;
    }
    for file in &shape.files {
        File::create_new(folder.join(&file.path))?.set_len(file.size)?;
    }
    Ok(shape.files.len())
}

fn list(folder: &Path) -> Outcome {
    let mut names = 0;
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            names += 1;
            // Of the entry itself: both file systems tell it along with the name.
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(names)
}

fn stat(shape: &Shape, folder: &Path) -> Outcome {
    for file in &shape.files {
        if fs::symlink_metadata(folder.join(&file.path))?.len() != file.size {
            return Err(format!("{} has another size", file.path).into());
        }
    }
    Ok(shape.files.len())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let shape = words.get(1).and_then(|name| Shape::named(name));
    let started = Instant::now();
    let names = match (&words[..], &shape) {
        (["make", _, folder], Some(shape)) => make(shape, Path::new(folder))?,
        (["stat", _, folder], Some(shape)) => stat(shape, Path::new(folder))?,
        (["list", folder], _) => list(Path::new(folder))?,
        _ => return Err("usage: bench-names make|stat SHAPE FOLDER, or list FOLDER".into()),
    };
    let nanoseconds = started.elapsed().as_nanos();
    writeln!(io::stdout(), "names={names} nanoseconds={nanoseconds}")?;
    Ok(())
}
