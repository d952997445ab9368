//! The directory that is mounted on: made for the mount, private, and gone after it.
//!
//! It is looked at relative to the runtime directory and without following a symbolic link, and
//! only when nothing is mounted there: looking at a dead mount fails, at a busy one may wait.

use std::io;
use std::path::{Path, PathBuf};

use fuse_promise_wire::RuntimeDir;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::obstacle::Obstacle;

/// The place of the mount.
#[derive(Debug, Clone)]
pub struct MountPoint {
    /// As the users of the runtime directory write it.
    path: PathBuf,
    /// As the kernel's list of mounts writes it: no link on the way.
    resolved: PathBuf,
}

impl MountPoint {
    /// # Errors
    /// A runtime directory that cannot be resolved.
    pub fn of(runtime_dir: &RuntimeDir) -> io::Result<Self> {
        Self::new(&runtime_dir.mount_path())
    }

    fn new(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(Self {
            path: path.to_owned(),
            resolved: folder.canonicalize()?.join(name),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path to compare with what the kernel lists.
    pub fn resolved(&self) -> &Path {
        &self.resolved
    }

    /// Makes the directory, or checks the one that is there: ours, private and empty.
    pub fn prepare(&self) -> Result<(), Obstacle> {
        match mkdirat(CWD, &self.resolved, Mode::RWXU) {
            // The umask may have taken bits away, so a new one is checked as well.
            Ok(()) | Err(Errno::EXIST) => self.check(),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn check(&self) -> Result<(), Obstacle> {
        let found = statat(CWD, &self.resolved, AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(|error| self.unusable(error))?;
        let us = rustix::process::geteuid().as_raw();
        let permissions = found.st_mode & 0o7777;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => Err(self.unsafe_for("is a symbolic link".into(), "remove it")),
            FileType::Directory if found.st_uid != us => {
                let what = format!("belongs to uid {}, not to uid {us}", found.st_uid);
                Err(self.unsafe_for(what, "remove it"))
            }
            FileType::Directory if permissions != 0o700 => {
                let what = format!("has mode {permissions:04o}, not 0700");
                Err(self.unsafe_for(what, "remove it, or set the mode"))
            }
            FileType::Directory if !self.is_empty()? => {
                Err(self.unsafe_for("is not empty".into(), "move its files away"))
            }
            FileType::Directory => Ok(()),
            _ => Err(self.unsafe_for("is not a directory".into(), "remove it")),
        }
    }

    fn is_empty(&self) -> Result<bool, Obstacle> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let names = openat(CWD, &self.resolved, flags, Mode::empty())
            .and_then(|directory| Dir::read_from(&directory))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| self.unusable(error))?;
        let is_dot = |name: &[u8]| name == b"." || name == b"..";
        Ok(names
            .iter()
            .all(|entry| is_dot(entry.file_name().to_bytes())))
    }

    /// Removes the directory, if it is still there and empty.
    pub fn remove(&self) {
        match unlinkat(CWD, &self.resolved, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!("{} stays behind: {error}", self.path.display()),
        }
    }

    fn unusable(&self, error: Errno) -> Obstacle {
        let what = format!("cannot be used as mount point: {error}");
        self.unsafe_for(what, "see to it that the runtime directory is writable")
    }

    fn unsafe_for(&self, what: String, remedy: &'static str) -> Obstacle {
        Obstacle::Unsafe {
            point: self.path.clone(),
            what,
            remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn at(folder: &tempfile::TempDir) -> MountPoint {
        MountPoint::new(&folder.path().join("fuse-promise")).unwrap()
    }

    fn refusal(point: &MountPoint) -> String {
        point.prepare().unwrap_err().to_string()
    }

    #[test]
    fn it_is_made_private_and_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        let point = at(&folder);
        point.prepare().unwrap();
        let mode = fs::symlink_metadata(point.path())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700);
        point.prepare().unwrap();
        point.remove();
        assert!(!point.path().exists());
        point.remove();
    }

    #[test]
    fn what_is_no_private_empty_directory_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let point = at(&folder);

        fs::write(point.path(), "").unwrap();
        assert!(refusal(&point).contains("is not a directory"));
        fs::remove_file(point.path()).unwrap();

        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, point.path()).unwrap();
        assert!(refusal(&point).contains("is a symbolic link"));
        fs::remove_file(point.path()).unwrap();

        fs::create_dir(point.path()).unwrap();
        fs::set_permissions(point.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(refusal(&point).contains("has mode 0750"));
        fs::set_permissions(point.path(), fs::Permissions::from_mode(0o700)).unwrap();

        fs::write(point.path().join("letter"), "").unwrap();
        assert!(refusal(&point).contains("is not empty"));
        point.remove();
        assert!(point.path().join("letter").exists());
    }

    #[test]
    fn the_kernel_path_has_no_link_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let folder_path = folder.path().canonicalize().unwrap();
        fs::create_dir(folder_path.join("real")).unwrap();
        symlink("real", folder_path.join("link")).unwrap();
        let point = MountPoint::new(&folder_path.join("link/fuse-promise")).unwrap();
        assert_eq!(point.path(), folder_path.join("link/fuse-promise"));
        assert_eq!(point.resolved(), folder_path.join("real/fuse-promise"));
    }

    #[test]
    fn a_runtime_directory_that_is_gone_is_an_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let point = at(&folder);
        fs::remove_dir(folder.path()).unwrap();
        assert!(refusal(&point).contains("cannot be used"));
    }
}
