//! Which node of the mount a path of the command line means.
//!
//! The daemon knows only paths of its mount. So symbolic links are followed here, name by name,
//! and only outside of the mount: once the way leads into it, what is left of the path is taken as
//! it stands. Nothing is asked of the mount itself, so that a daemon that does not answer there
//! can still be asked about it; and a link to a promised file leads to that file.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use fuse_promise_core::Failure;

use crate::path::absolute;

/// As many as the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// The path below `mount` that a path means; one that leads elsewhere comes back as it was given,
/// absolute, for the daemon to refuse.
pub fn in_mount(path: &Path, mount: &Path) -> Result<PathBuf, Failure> {
    let given = absolute(path)?;
    let real_mount = real(mount);
    let reached = follow(&given, &real_mount)?;
    match reached.strip_prefix(&real_mount) {
        Ok(below) => Ok(mount.join(below)),
        Err(_) => Ok(given),
    }
}

/// The mount by the real path of the directory that it is in.
fn real(mount: &Path) -> PathBuf {
    let parent = mount.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, mount.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => mount.to_owned(),
    }
}

fn follow(path: &Path, mount: &Path) -> Result<PathBuf, Failure> {
    let mut reached = PathBuf::from("/");
    // The last name first.
    let mut left = names(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == ".." {
            reached.pop();
            continue;
        }
        reached.push(name);
        if reached.starts_with(mount) {
            continue;
        }
        // What is no link, or is not there, stays as it is.
        let Ok(target) = std::fs::read_link(&reached) else {
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Err(Failure::invalid(format!(
                "{path:?} leads through more than {LINKS_MAX} symbolic links"
            )));
        }
        if target.is_absolute() {
            reached = PathBuf::from("/");
        } else {
            reached.pop();
        }
        left.extend(names(&target));
    }
    Ok(reached)
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.rev().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use fuse_promise_core::Status;

    use super::*;

    /// A directory with `run/fuse-promise`, which is never there.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("run")).unwrap();
        let mount = place.path().join("run/fuse-promise");
        (place, mount)
    }

    #[test]
    fn paths_of_the_mount_are_taken_as_they_stand() {
        let (place, mount) = place();
        let node = mount.join("promise-1/a");
        for path in [
            "run/fuse-promise/promise-1/a",
            "run/fuse-promise/promise-1/a/",
            "run/../run//fuse-promise/./promise-1/b/../a",
        ] {
            assert_eq!(in_mount(&place.path().join(path), &mount).unwrap(), node);
        }
        assert_eq!(in_mount(&mount, &mount).unwrap(), mount);
    }

    #[test]
    fn links_into_the_mount_are_followed_wherever_they_stand() {
        let (place, mount) = place();
        let at = |name: &str| place.path().join(name);
        symlink("run/fuse-promise/promise-1/a", at("file")).unwrap();
        symlink(mount.join("promise-1"), at("directory")).unwrap();
        symlink("file", at("again")).unwrap();
        symlink("run", at("other-run")).unwrap();
        let node = mount.join("promise-1/a");
        for path in [
            "file",
            "again",
            "directory/a",
            "directory/b/../a/",
            "other-run/fuse-promise/promise-1/a",
        ] {
            assert_eq!(in_mount(&at(path), &mount).unwrap(), node, "{path}");
        }
        // The mount may be spelled through a link too.
        let spelled = at("other-run/fuse-promise");
        assert_eq!(
            in_mount(&at("file"), &spelled).unwrap(),
            spelled.join("promise-1/a")
        );
    }

    #[test]
    fn a_path_elsewhere_is_left_to_the_daemon_and_an_endless_one_is_refused() {
        let (place, mount) = place();
        let elsewhere = place.path().join("run/../elsewhere");
        assert_eq!(in_mount(&elsewhere, &mount).unwrap(), elsewhere);
        let out = mount.join("../other");
        assert_eq!(in_mount(&out, &mount).unwrap(), out);
        let endless = place.path().join("endless");
        symlink("endless", &endless).unwrap();
        let refused = in_mount(&endless, &mount).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
    }
}
