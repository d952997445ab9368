//! What is mounted, read from `/proc/self/mountinfo`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::process::HANG_LIMIT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub point: PathBuf,
    /// Options of this mount, such as `ro,nosuid,nodev`.
    pub options: String,
    /// `fuse.fuse-promise`, `cgroup2`, …
    pub kind: String,
    pub source: String,
    /// Options of the file system behind it.
    pub super_options: String,
}

/// Every mount this process can see.
pub fn all() -> Vec<Mount> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
    table.lines().filter_map(parse).collect()
}

/// The uppermost mount at exactly this path.
pub fn at(point: &Path) -> Option<Mount> {
    all().into_iter().rev().find(|mount| mount.point == point)
}

/// Every mount at or below this path, the innermost first.
pub fn beneath(folder: &Path) -> Vec<Mount> {
    let mut found: Vec<Mount> = all()
        .into_iter()
        .filter(|mount| mount.point.starts_with(folder))
        .collect();
    found.reverse();
    found
}

/// Waits until something is mounted at this path, or nothing is. The kernel
/// tells of every change of the table.
#[track_caller]
pub fn wait_until(point: &Path, mounted: bool) {
    let table = File::open("/proc/self/mountinfo").expect("the mount table");
    let limit = Instant::now() + HANG_LIMIT;
    while at(point).is_some() != mounted {
        let shown = point.display();
        assert!(
            Instant::now() < limit,
            "{shown} does not become mounted={mounted}"
        );
        let mut changes = [PollFd::new(&table, PollFlags::PRI)];
        let patience = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        // An interruption is as good a reason to look again.
        let _ = poll(&mut changes, Some(&patience));
    }
}

/// Takes a mount away even while files in it are open.
pub fn unmount_lazily(point: &Path) {
    // A failure means that somebody else was faster, which is as good.
    let _ = Command::new("fusermount3")
        .args(["-u", "-z", "--"])
        .arg(point)
        .stderr(Stdio::null())
        .status();
}

fn parse(line: &str) -> Option<Mount> {
    let (fixed, rest) = line.split_once(" - ")?;
    let mut fixed = fixed.split(' ').skip(4);
    let point = unescape(fixed.next()?);
    let options = fixed.next()?.to_owned();
    let mut rest = rest.split(' ');
    Some(Mount {
        point,
        options,
        kind: rest.next()?.to_owned(),
        source: rest.next()?.to_owned(),
        super_options: rest.next().unwrap_or_default().to_owned(),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut plain = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4).unwrap_or_default();
        match u8::from_str_radix(digits, 8) {
            Ok(byte) => plain.push(byte as char),
            Err(_) => return PathBuf::from(field),
        }
        rest = &rest[at + 4..];
    }
    plain.push_str(rest);
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_understood() {
        let line = r"61 23 0:52 / /tmp/a\040b/fuse-promise ro,nosuid,nodev shared:9 - fuse.fuse-promise fuse-promise ro,user_id=1000";
        let mount = parse(line).unwrap();
        assert_eq!(mount.point, Path::new("/tmp/a b/fuse-promise"));
        assert_eq!(mount.options, "ro,nosuid,nodev");
        assert_eq!(mount.kind, "fuse.fuse-promise");
        assert_eq!(mount.super_options, "ro,user_id=1000");
    }

    #[test]
    fn the_root_is_mounted() {
        assert!(at(Path::new("/")).is_some());
        assert!(at(Path::new("/no/such/mount")).is_none());
    }
}
