//! How a file is known again: what fstat said about it when it was published.
//!
//! The status-change time is compared too, because a program can put the modification time back
//! but not that one. The price is that a mere chmod, or a new hard link, counts as a change: an
//! error too many is better than a wrong byte.

use rustix::fs::{FileType, Stat};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    modified: Time,
    status_changed: Time,
}

/// Seconds and nanoseconds.
type Time = (i64, i64);

impl Identity {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the kernel's types differ between architectures"
    )]
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            status_changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// What has become of the file, as the end of a sentence that begins with its path; none if
    /// it is what it was.
    pub fn change(&self, now: &Stat) -> Option<String> {
        if FileType::from_raw_mode(now.st_mode) != FileType::RegularFile {
            return Some("is no regular file any more".into());
        }
        let now = Self::of(now);
        if *self == now {
            return None;
        }
        Some(if (self.device, self.inode) != (now.device, now.inode) {
            "was replaced by another file".into()
        } else if self.size != now.size {
            format!("changed from {} to {} bytes", self.size, now.size)
        } else if self.modified != now.modified {
            "was written to".into()
        } else {
            "was written to, renamed, linked or had its permissions changed".into()
        })
    }
}
