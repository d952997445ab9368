//! The promised trees of the benchmark: a provider that answers from memory, and the check of what
//! was copied.
//!
//! `bench-tree serve SHAPE MILLISECONDS CONCURRENT` takes that long for each read, and lets itself
//! be asked for that many at a time. For each line of its standard input it publishes the tree
//! anew, through a new provider, and prints `FILES BYTES NANOSECONDS PATH`: of that promise nothing
//! has been read and nothing materialized, and building and committing it took so long. The one
//! before goes. It ends when its input does.
//! `bench-tree first` does the same once, with one small file, opens that and prints how many
//! nanoseconds after its own start it had the first byte.
//! `bench-tree sessions COUNT` has so many providers (sessions.rs), until its input ends.
//! `bench-tree promises COUNT` has so many promises, until its input ends; `bench-tree churn COUNT`
//! makes and destroys so many one after the other (promises.rs).
//! `bench-tree write SHAPE FOLDER` makes the tree of ordinary files.
//! `bench-tree verify SHAPE FOLDER` compares a copy with what should be there.

#![forbid(unsafe_code)]

mod content;
mod memory;
mod promises;
mod sessions;
mod shape;
mod word;

use std::error::Error;
use std::ffi::CStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuse_promise_client::{
    Context, ContextOptions, PromiseBuilder, Provider, ProviderOptions, ReadHandler, ReadRequest,
};
use fuse_promise_core::{NodeAttr, Status};

use memory::{Memory, PIECE};
use shape::Shape;

const PATH_LEN_MAX: usize = 4096;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Answers reads of a tree.
struct Answers {
    memory: Memory,
    sizes: Vec<u64>,
    delay: Duration,
}

impl ReadHandler for Answers {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        let file = number(request.node_id).ok_or(Status::NotFound)?;
        let size = *self.sizes.get(file).ok_or(Status::NotFound)?;
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        let left = size.saturating_sub(request.offset);
        let length = buffer.len().min(PIECE).min(left as usize);
        buffer[..length].copy_from_slice(self.memory.piece(file, request.offset, length));
        Ok(length)
    }
}

fn number(node_id: &CStr) -> Option<usize> {
    node_id.to_str().ok()?.parse().ok()
}

fn publish(context: &Context, provider: &Provider, shape: &Shape) -> Outcome<PathBuf> {
    let attr = |mode, size| NodeAttr {
        mode,
        size,
        mtime_nsec: 0,
    };
    let mut builder = PromiseBuilder::new(context, provider)?;
    for directory in &shape.directories {
        builder.add_dir(directory.as_bytes(), attr(0o755, 0), b"directory")?;
    }
    let mut node_id = String::new();
    for (number, file) in shape.files.iter().enumerate() {
        node_id.clear();
        write!(node_id, "{number}")?;
        builder.add_file(
            file.path.as_bytes(),
            attr(0o644, file.size),
            node_id.as_bytes(),
        )?;
    }
    Ok(builder.commit(PATH_LEN_MAX)?)
}

impl Answers {
    fn of(shape: &Shape, delay: Duration) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(),
            sizes: shape.files.iter().map(|file| file.size).collect(),
            delay,
        })
    }
}

fn serve(shape: &Shape, delay: Duration, concurrent: u32) -> Outcome {
    let answers = Answers::of(shape, delay);
    let (files, bytes) = (shape.files.len(), answers.sizes.iter().sum::<u64>());
    let options = ProviderOptions {
        max_concurrent_reads: Some(concurrent),
        ..ProviderOptions::default()
    };
    let context = Context::open(ContextOptions::default())?;
    let mut present: Option<Provider> = None;
    for line in io::stdin().lock().lines() {
        line?;
        drop(present.take());
        let provider = context.register(answers.clone(), options.clone())?;
        let started = Instant::now();
        let path = publish(&context, &provider, shape)?;
        let nanoseconds = started.elapsed().as_nanos();
        let path = path.display();
        writeln!(io::stdout(), "{files} {bytes} {nanoseconds} {path}")?;
        present = Some(provider);
    }
    drop(present);
    context.close();
    Ok(())
}

fn first_byte(started: Instant) -> Outcome {
    let shape = Shape::named("one").ok_or("a shape is missing")?;
    let context = Context::open(ContextOptions::default())?;
    let answers = Answers::of(&shape, Duration::ZERO);
    let provider = context.register(answers, ProviderOptions::default())?;
    let path = publish(&context, &provider, &shape)?.join(&shape.files[0].path);
    File::open(path)?.read_exact_at(&mut [0], 0)?;
    writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
    drop(provider);
    context.close();
    Ok(())
}

/// Calls `each` for every piece of every file, with the file's path and the piece's offset.
fn for_pieces(
    shape: &Shape,
    folder: &Path,
    mut each: impl FnMut(&Path, u64, &[u8]) -> Outcome,
) -> Outcome {
    let memory = Memory::new();
    for (number, file) in shape.files.iter().enumerate() {
        let path = folder.join(&file.path);
        for offset in (0..file.size).step_by(PIECE) {
            let length = (file.size - offset).min(PIECE as u64) as usize;
            each(&path, offset, memory.piece(number, offset, length))?;
        }
    }
    Ok(())
}

fn write(shape: &Shape, folder: &Path) -> Outcome {
    for directory in &shape.directories {
        fs::create_dir(folder.join(directory))?;
    }
    for_pieces(shape, folder, |path, offset, bytes| {
        let out = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(out.write_all_at(bytes, offset)?)
    })
}

fn verify(shape: &Shape, folder: &Path) -> Outcome {
    for file in &shape.files {
        let path = folder.join(&file.path);
        let size = fs::metadata(&path)?.len();
        if size != file.size {
            return Err(format!("{}: {size} of {} bytes", path.display(), file.size).into());
        }
    }
    let mut found = vec![0; PIECE];
    for_pieces(shape, folder, |path, offset, wanted| {
        let found = &mut found[..wanted.len()];
        File::open(path)?.read_exact_at(found, offset)?;
        if found != wanted {
            return Err(format!("{}: wrong bytes behind {offset}", path.display()).into());
        }
        Ok(())
    })
}

fn main() -> Outcome {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let shape = words.get(1).and_then(|name| Shape::named(name));
    match (&words[..], shape) {
        (["serve", _, milliseconds, concurrent], Some(shape)) => {
            let delay = Duration::from_millis(milliseconds.parse()?);
            serve(&shape, delay, concurrent.parse()?)
        }
        (["write", _, folder], Some(shape)) => write(&shape, Path::new(folder)),
        (["verify", _, folder], Some(shape)) => verify(&shape, Path::new(folder)),
        (["sessions", count], None) => sessions::hold(count.parse()?),
        (["promises", count], None) => promises::hold(count.parse()?),
        (["churn", count], None) => promises::churn(count.parse()?),
        (["first"], None) => first_byte(started),
        _ => Err("usage: bench-tree serve SHAPE MILLISECONDS CONCURRENT, \
                  write|verify SHAPE FOLDER, sessions|promises|churn COUNT, or first; shapes are in shape.rs"
            .into()),
    }
}
