//! The directory that a copy goes into. It is opened here, so that its path means what the caller
//! meant, and travels to the daemon as a descriptor that can do nothing but lead to it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use fuse_promise_core::{Failure, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Opens the directory, or says what it is instead. The last name decides: symlinks above it are
/// the caller's.
pub(crate) fn open_target(target: &Path) -> Result<OwnedFd> {
    let shown = target.display();
    if !target.is_absolute() {
        return Err(Failure::invalid(format!(
            "target directory {shown} is not absolute"
        )));
    }
    // `components` drops a slash at the end, behind which open would follow a symlink.
    let itself: PathBuf = target.components().collect();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &itself, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT => Failure::not_found(format!("target directory {shown} does not exist")),
        Errno::ACCESS => Failure::permission(format!("target directory {shown}: {errno}")),
        Errno::NOTDIR | Errno::LOOP => no_directory(&itself),
        _ => Failure::io(format!("target directory {shown}: {errno}")),
    })
}

fn no_directory(target: &Path) -> Failure {
    let shown = target.display();
    let found = target.symlink_metadata();
    Failure::invalid(match found.is_ok_and(|found| found.is_symlink()) {
        true => format!("target directory must not be a symlink: {shown}"),
        false => format!("target directory {shown} is not a directory"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use fuse_promise_core::Status;

    use super::*;

    #[test]
    fn a_directory_is_opened_however_its_path_ends() {
        let directory = tempfile::tempdir().unwrap();
        for end in ["", "/", "/."] {
            let path = format!("{}{end}", directory.path().display());
            let opened = open_target(Path::new(&path)).unwrap();
            let found = rustix::fs::fstat(&opened).unwrap();
            let wanted = rustix::fs::stat(directory.path()).unwrap();
            assert_eq!((found.st_dev, found.st_ino), (wanted.st_dev, wanted.st_ino));
        }
    }

    #[test]
    fn everything_else_is_refused_by_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        std::fs::create_dir(path("real")).unwrap();
        symlink("real", path("link")).unwrap();
        symlink("nothing", path("dangling")).unwrap();
        for (target, status, said) in [
            (
                path("link"),
                Status::InvalidArgument,
                "must not be a symlink",
            ),
            (
                path("link/"),
                Status::InvalidArgument,
                "must not be a symlink",
            ),
            (
                path("dangling"),
                Status::InvalidArgument,
                "must not be a symlink",
            ),
            (path("file"), Status::InvalidArgument, "is not a directory"),
            (
                path("file/x"),
                Status::InvalidArgument,
                "is not a directory",
            ),
            (path("missing"), Status::NotFound, "does not exist"),
            (
                PathBuf::from("real"),
                Status::InvalidArgument,
                "is not absolute",
            ),
            (PathBuf::new(), Status::InvalidArgument, "is not absolute"),
        ] {
            let failure = open_target(&target).unwrap_err();
            assert_eq!(failure.status, status, "{target:?}");
            assert!(failure.message.contains(said), "{failure}");
        }
        // A symlink above the last name is the caller's.
        std::fs::create_dir(path("real/below")).unwrap();
        open_target(&path("link/below")).unwrap();
    }
}
