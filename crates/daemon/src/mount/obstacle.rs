//! Why there is no mount, and what the user can do about it. These sentences are all a user gets
//! to see of the matter: in `systemctl status`, in the log, and from every call that is refused.

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::Failure;

/// What stands between the daemon and its mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// No such device, or the kernel has no driver for it.
    NoDevice(PathBuf),
    DeviceDenied(PathBuf),
    /// The program that mounts is not installed.
    NoProgram(PathBuf),
    /// Something else is mounted there, by its file system type.
    Occupied {
        point: PathBuf,
        fs_type: String,
    },
    /// What is at the mount point cannot be mounted on: what it is, and what to do.
    Unsafe {
        point: PathBuf,
        what: String,
        remedy: &'static str,
    },
    /// fusermount3 refused, in its own words.
    Refused(String),
    /// fusermount3 or the kernel did not do what they should.
    Failed(String),
}

impl Obstacle {
    pub fn into_failure(self) -> Failure {
        Failure::unavailable(format!("no mount: {self}"))
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice(device) => write!(
                out,
                "{} is not there; load the kernel's fuse module (modprobe fuse), and in a \
                 container pass the device in",
                device.display()
            ),
            Self::DeviceDenied(device) => write!(
                out,
                "{} may not be opened by this user; its usual mode is 0666",
                device.display()
            ),
            Self::NoProgram(program) => write!(
                out,
                "{} was not found; install it (package fuse3) and see that PATH leads to it",
                program.display()
            ),
            Self::Occupied { point, fs_type } => write!(
                out,
                "a file system of type {fs_type} is mounted on {}; unmount it",
                point.display()
            ),
            Self::Unsafe {
                point,
                what,
                remedy,
            } => {
                write!(out, "{} {what}; {remedy}", point.display())
            }
            Self::Refused(words) => write!(out, "{words}{}", advice(words)),
            Self::Failed(why) => out.write_str(why),
        }
    }
}

/// What the kernel's refusal of the mount itself means in practice.
fn advice(words: &str) -> &'static str {
    if words.contains("Operation not permitted") {
        "; fusermount3 must be setuid root, and nothing above the daemon may set NoNewPrivileges \
         or take the right to mount away, as some containers do"
    } else {
        ""
    }
}

/// After fusermount3 failed: whether the device is the reason. It opens the device with the
/// rights of the user, so the user's own attempt fails in the same way.
pub fn device_obstacle(device: &Path) -> Option<Obstacle> {
    match OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Some(Obstacle::DeviceDenied(device.to_owned()))
        }
        // ENOENT: no node. ENODEV, ENXIO: a node without a driver behind it.
        Err(_) => Some(Obstacle::NoDevice(device.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::status::Status;

    use super::*;

    #[test]
    fn a_device_that_is_missing_or_has_no_driver_is_told_from_one_that_opens() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("fuse");
        assert_eq!(device_obstacle(&missing), Some(Obstacle::NoDevice(missing)));
        assert_eq!(device_obstacle(Path::new("/dev/null")), None);
    }

    #[test]
    fn each_obstacle_names_the_thing_and_what_to_do() {
        let point = PathBuf::from("/run/x/fuse-promise");
        let cases = [
            (
                Obstacle::NoDevice("/dev/fuse".into()),
                "/dev/fuse",
                "modprobe fuse",
            ),
            (
                Obstacle::DeviceDenied("/dev/fuse".into()),
                "/dev/fuse",
                "0666",
            ),
            (
                Obstacle::NoProgram("fusermount3".into()),
                "fusermount3",
                "install",
            ),
            (
                Obstacle::Occupied {
                    point: point.clone(),
                    fs_type: "tmpfs".into(),
                },
                "tmpfs",
                "unmount it",
            ),
            (
                Obstacle::Unsafe {
                    point,
                    what: "is a symbolic link".into(),
                    remedy: "remove it",
                },
                "/run/x/fuse-promise is a symbolic link",
                "remove it",
            ),
            (
                Obstacle::Refused("fusermount3: mount failed: Operation not permitted".into()),
                "mount failed",
                "setuid",
            ),
        ];
        for (obstacle, thing, remedy) in cases {
            let failure = obstacle.into_failure();
            assert_eq!(failure.status, Status::Unavailable);
            let said = failure.message;
            assert!(said.contains(thing) && said.contains(remedy), "{said}");
        }
    }
}
