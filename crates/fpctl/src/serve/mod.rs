//! `fpctl serve DIR`: publishes an existing directory until Ctrl-C.
//!
//! The directory is walked once; what was found becomes one promise. From then on nothing is held
//! but the directory's descriptor: each read opens its file anew and checks that it still is what
//! was published (`source.rs`).

mod identity;
mod publication;
mod scan;
mod source;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use fuse_promise_client::{Context, PromiseBuilder, Provider, ProviderOptions};
use fuse_promise_core::Failure;

use crate::cli;
use crate::exit::Trouble;
use crate::stop::Stop;
use publication::Publication;
use scan::{Skipped, Tree};

/// Directories are never read through the provider, but each node must have an id.
const DIRECTORY_ID: &[u8] = b"directory";

pub fn run(context: &Context, arguments: &cli::Serve) -> Result<(), Trouble> {
    let mut stop = Stop::listen().map_err(|error| Failure::io(format!("signals: {error}")))?;
    let directory = &arguments.directory;
    let mount = context.runtime_dir().mount_path();
    let root = open(directory, &mount)?;
    let tree = scan::scan(root.as_fd(), device_of_mount(&mount))
        .map_err(|errno| failed(directory, errno))?;
    tree.skipped.iter().for_each(report);

    let Tree {
        directories,
        files,
        skipped,
    } = tree;
    let publication = Arc::new(Publication::new(root, files));
    let options = ProviderOptions {
        max_concurrent_reads: Some(arguments.concurrent),
        ..ProviderOptions::default()
    };
    let provider = context.register(publication.clone(), options)?;
    let promise = commit(context, &provider, &directories, &publication)?;
    announce(&promise)?;
    eprintln!(
        "fpctl: serving {} files and {} directories of {directory:?}, {} skipped; Ctrl-C ends it",
        publication.files().len(),
        directories.len(),
        skipped.len(),
    );
    Ok(serve_until(&mut stop, &provider)?)
}

/// Ends at a signal; fails if the daemon ends first.
fn serve_until(stop: &mut Stop, provider: &Provider) -> Result<(), Failure> {
    let handle = stop.handle();
    let asked = std::thread::scope(|scope| {
        scope.spawn(|| {
            provider.wait_until_over();
            handle.close();
        });
        let asked = stop.wait();
        provider.unregister();
        asked
    });
    if asked {
        return Ok(());
    }
    Err(Failure::unavailable(
        "the daemon has ended, and the promise with it; serve the directory again",
    ))
}

/// Opens the directory to publish and refuses the promise mount and what is beneath it: a provider
/// that is asked for its own promises would wait for itself.
fn open(directory: &Path, mount: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, directory, flags, Mode::empty())
        .map_err(|errno| failed(directory, errno))?;
    let device = rustix::fs::fstat(&root)
        .map_err(|errno| failed(directory, errno))?
        .st_dev;
    let beneath = std::fs::canonicalize(directory).is_ok_and(|real| {
        real.starts_with(std::fs::canonicalize(mount).as_deref().unwrap_or(mount))
    });
    if beneath || device_of_mount(mount) == Some(device) {
        return Err(Failure::invalid(format!(
            "{directory:?} lies in the promise mount {mount:?}, which cannot be published through \
             itself; copy it elsewhere first"
        )));
    }
    Ok(root)
}

/// The device number of what is mounted at `mount`; none if nothing is.
fn device_of_mount(mount: &Path) -> Option<u64> {
    let mounted = rustix::fs::stat(mount).ok()?.st_dev;
    let around = rustix::fs::stat(mount.parent()?).ok()?.st_dev;
    (mounted != around).then_some(mounted)
}

fn failed(directory: &Path, errno: Errno) -> Failure {
    match errno {
        Errno::NOENT => Failure::not_found(format!("{directory:?} does not exist")),
        Errno::NOTDIR => Failure::invalid(format!("{directory:?} is not a directory")),
        Errno::ACCESS => Failure::permission(format!("{directory:?} is not readable for you")),
        errno => Failure::io(format!("{directory:?}: {errno}")),
    }
}

fn report(skipped: &Skipped) {
    let path = Path::new(OsStr::from_bytes(&skipped.path));
    eprintln!("fpctl: skipped {path:?}: {}", skipped.why);
}

fn commit(
    context: &Context,
    provider: &Provider,
    directories: &[scan::Directory],
    publication: &Publication,
) -> Result<PathBuf, Failure> {
    let mut builder = PromiseBuilder::new(context, provider)?;
    for directory in directories {
        builder.add_dir(&directory.path, directory.attr, DIRECTORY_ID)?;
    }
    for (number, file) in publication.files().iter().enumerate() {
        let id = Publication::node_id(number);
        builder.add_file(&file.path, file.attr, id.as_bytes())?;
    }
    // The path goes to standard output, which takes one of any length.
    builder.commit(usize::MAX)
}

/// The promise's path on standard output: whoever waits for it may now read.
fn announce(promise: &Path) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(promise.as_os_str().as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}
