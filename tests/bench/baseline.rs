//! The baseline of the benchmark: one process that mounts a file system and answers everything
//! out of its own memory, on one thread. What it reaches is what FUSE through fuser costs on this
//! machine; a promise is measured as a share of that.
//!
//! `bench-baseline MOUNTPOINT BYTES direct|keep-cache` has any number of files, all with the same
//! content, and opens them for direct I/O or for the kernel's page cache. For each line of its
//! standard input it prints the path of one that nobody has opened.
//! `bench-baseline MOUNTPOINT SHAPE names` has the names of a tree (shape.rs). For each line it
//! mounts anew, so that the kernel knows none of them, and prints where.
//! Both say `FILES BYTES 0 PATH`, and end unmounted when their input does.
//! `bench-baseline MOUNTPOINT BYTES first` mounts, opens a file itself and prints how many
//! nanoseconds after its own start it had the first byte.

#![forbid(unsafe_code)]

mod attributes;
mod content;
mod memory;
mod served_files;
mod served_names;
mod shape;
mod table;
mod word;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, Filesystem, FopenFlags, MountOption};

use attributes::Owner;
use served_files::{FILE_PREFIX, FIRST_FILE, Files};
use served_names::Names;
use shape::Shape;
use table::Table;

/// How long the kernel keeps names and attributes: nothing here ever changes.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

fn mount<F>(files: F, mount_point: &Path) -> io::Result<BackgroundSession>
where
    F: Filesystem + Send + 'static,
{
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::DefaultPermissions,
        MountOption::FSName("bench-baseline".into()),
    ];
    config.n_threads = Some(1);
    fuser::Session::new(files, mount_point, &config)?.spawn()
}

fn mount_files(mount_point: &Path, size: u64, open: FopenFlags) -> io::Result<BackgroundSession> {
    let files = Files {
        memory: memory::Memory::new(),
        owner: Owner::of_process(),
        size,
        open,
    };
    mount(files, mount_point)
}

fn serve_files(mount_point: &Path, size: u64, open: FopenFlags) -> io::Result<()> {
    let session = mount_files(mount_point, size, open)?;
    for (number, line) in (FIRST_FILE..).zip(io::stdin().lock().lines()) {
        line?;
        let path = mount_point.join(format!("{FILE_PREFIX}{number}"));
        writeln!(io::stdout(), "1 {size} 0 {}", path.display())?;
    }
    session.umount_and_join()
}

fn serve_names(mount_point: &Path, shape: &Shape) -> io::Result<()> {
    let table = Arc::new(Table::new(shape));
    let files = shape.files.len();
    let bytes: u64 = shape.files.iter().map(|file| file.size).sum();
    let mut present: Option<BackgroundSession> = None;
    for line in io::stdin().lock().lines() {
        line?;
        present.take().map_or(Ok(()), unmount)?;
        let names = Names {
            table: Arc::clone(&table),
            owner: Owner::of_process(),
        };
        present = Some(mount(names, mount_point)?);
        writeln!(io::stdout(), "{files} {bytes} 0 {}", mount_point.display())?;
    }
    present.map_or(Ok(()), unmount)
}

fn unmount(session: BackgroundSession) -> io::Result<()> {
    session.umount_and_join()
}

fn first_byte(mount_point: &Path, size: u64, started: Instant) -> io::Result<()> {
    let session = mount_files(mount_point, size, FopenFlags::FOPEN_DIRECT_IO)?;
    let path = mount_point.join(format!("{FILE_PREFIX}{FIRST_FILE}"));
    File::open(path)?.read_exact_at(&mut [0], 0)?;
    writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
    session.umount_and_join()
}

fn main() -> io::Result<()> {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let usage = || {
        io::Error::other(
            "usage: bench-baseline MOUNTPOINT BYTES direct|keep-cache|first, \
             or MOUNTPOINT SHAPE names; shapes are in shape.rs",
        )
    };
    let [mount_point, what, mode] = words[..] else {
        return Err(usage());
    };
    let mount_point = Path::new(mount_point);
    let size = || what.parse().map_err(|_| usage());
    match mode {
        "direct" => serve_files(mount_point, size()?, FopenFlags::FOPEN_DIRECT_IO),
        "keep-cache" => serve_files(mount_point, size()?, FopenFlags::FOPEN_KEEP_CACHE),
        "first" => first_byte(mount_point, size()?, started),
        "names" => serve_names(mount_point, &Shape::named(what).ok_or_else(usage)?),
        _ => Err(usage()),
    }
}
