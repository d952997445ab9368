//! What is done with the names of a tree, with its time: making them, listing them, asking for
//! their attributes.
//!
//! `bench-names make SHAPE FOLDER` makes the tree's directories and files, the files with their
//! lengths and no bytes.
//! `bench-names list FOLDER` lists every directory, without asking what the entries are.
//! `bench-names list-stat FOLDER` asks for the attributes of each entry too, as the listing goes on.
//! `bench-names stat SHAPE FOLDER` asks for the attributes of every file, by its path.
//! `bench-names sort SHAPE` sorts the paths of the tree and writes them to memory, a memfd.
//! `bench-names missing FOLDER` asks for names that are not in the folder, 20,000 times.
//! `bench-names entries FOLDER` lists the folder, and nothing below it, 20 times.
//! `bench-names verify SHAPE FOLDER` compares names and lengths with what should be there.
//! Each prints one line of `key=value`.

#![forbid(unsafe_code)]

mod shape;
mod word;

use std::collections::HashMap;
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

/// The least that is done to a tree of names before anybody else can have it.
fn sort(shape: &Shape) -> Outcome {
    let all = shape.directories.iter();
    let mut paths: Vec<&str> = all.map(String::as_str).collect();
    paths.extend(shape.files.iter().map(|file| &*file.path));
    paths.sort_unstable();
    let memory = rustix::fs::memfd_create("bench-names", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut out = io::BufWriter::new(File::from(memory));
    for path in &paths {
        out.write_all(path.as_bytes())?;
        out.write_all(&[0])?;
    }
    out.flush()?;
    Ok(shape.files.len())
}

/// Nobody keeps that a name is missing, so each of these is asked of whoever serves the folder.
fn miss(folder: &Path) -> Outcome {
    const TIMES: usize = 20_000;
    // As if it stood in the middle of the others.
    let missing = folder.join("file-5.missing");
    for _ in 0..TIMES {
        if fs::symlink_metadata(&missing).is_ok() {
            return Err(format!("{} is there", missing.display()).into());
        }
    }
    Ok(TIMES)
}

fn entries(folder: &Path) -> Outcome {
    const TIMES: usize = 20;
    let mut names = 0;
    for _ in 0..TIMES {
        names += fs::read_dir(folder)?.count();
    }
    Ok(names)
}

/// What a walk does with each entry beside going into directories.
#[derive(Clone, Copy)]
enum Look {
    Name,
    Attributes,
}

/// Walks through every directory as `find` does: what is a directory, the listing says. Attributes
/// are asked for by name, in the order of the listing.
fn walk(folder: &Path, look: Look) -> Outcome {
    let mut names = 0;
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            names += 1;
            if matches!(look, Look::Attributes) {
                entry.metadata()?;
            }
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

/// Nothing may be missing, be there twice, or be there beside what the shape says.
fn verify(shape: &Shape, folder: &Path) -> Outcome {
    let files = shape
        .files
        .iter()
        .map(|file| (&*file.path, Some(file.size)));
    let directories = shape.directories.iter().map(|path| (&**path, None));
    let mut missing: HashMap<&str, Option<u64>> = files.chain(directories).collect();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(listed) = folders.pop() {
        for entry in fs::read_dir(listed)? {
            let entry = entry?;
            let path = entry.path();
            let metadata = entry.metadata()?;
            let size = metadata.is_file().then_some(metadata.len());
            let name = path.strip_prefix(folder)?.to_str().unwrap_or_default();
            if missing.remove(name) != Some(size) {
                return Err(format!("{} is not as it should be", path.display()).into());
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    match missing.keys().next() {
        Some(path) => Err(format!("{path} is missing").into()),
        None => Ok(shape.files.len()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let shape = words.get(1).and_then(|name| Shape::named(name));
    let started = Instant::now();
    let names = match (&words[..], &shape) {
        (["make", _, folder], Some(shape)) => make(shape, Path::new(folder))?,
        (["stat", _, folder], Some(shape)) => stat(shape, Path::new(folder))?,
        (["verify", _, folder], Some(shape)) => verify(shape, Path::new(folder))?,
        (["sort", _], Some(shape)) => sort(shape)?,
        (["missing", folder], _) => miss(Path::new(folder))?,
        (["entries", folder], _) => entries(Path::new(folder))?,
        (["list", folder], _) => walk(Path::new(folder), Look::Name)?,
        (["list-stat", folder], _) => walk(Path::new(folder), Look::Attributes)?,
        _ => {
            return Err(
                "usage: bench-names make|stat|verify SHAPE FOLDER, sort SHAPE, \
                        or list|list-stat|missing|entries FOLDER; shapes are in shape.rs"
                    .into(),
            );
        }
    };
    let nanoseconds = started.elapsed().as_nanos();
    writeln!(io::stdout(), "names={names} nanoseconds={nanoseconds}")?;
    Ok(())
}
