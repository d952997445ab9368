//! What a node says about itself.

use crate::failure::{Failure, Result};
use crate::limits::{FILE_SIZE_MAX, MODE_MAX};
use crate::words::words;

words! {
    /// What kind of file a node is. A symlink has its place in the image format but cannot be
    /// declared yet: builders and image checks refuse it.
    pub enum NodeKind {
        Directory = "directory",
        File = "file",
        Symlink = "symlink",
    }
}

/// The declared attributes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeAttr {
    /// Permission, set-id and sticky bits; no file type bits.
    pub mode: u32,
    /// In bytes; 0 for a directory.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_nsec: i64,
}

impl NodeAttr {
    /// Of a promise's own directory, which nobody declares.
    pub const ROOT: Self = Self {
        mode: 0o755,
        size: 0,
        mtime_nsec: 0,
    };

    /// Refuses what cannot be shown at a file: a mode with type bits, a directory with a size, a
    /// time before 1970, a size the kernel's signed offsets cannot reach.
    pub fn check(&self, kind: NodeKind) -> Result<()> {
        if self.mode > MODE_MAX {
            return Err(Failure::invalid(format!(
                "mode 0{:o} has bits beyond 0{MODE_MAX:o}; give permission bits only",
                self.mode
            )));
        }
        if kind == NodeKind::Directory && self.size != 0 {
            return Err(Failure::invalid(format!(
                "a directory must be declared with size 0, not {}",
                self.size
            )));
        }
        if self.size > FILE_SIZE_MAX {
            return Err(Failure::invalid(format!(
                "size {} is over the largest file size {FILE_SIZE_MAX}",
                self.size
            )));
        }
        if self.mtime_nsec < 0 {
            return Err(Failure::invalid(format!(
                "modification time {} ns lies before 1970",
                self.mtime_nsec
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    const FILE: NodeAttr = NodeAttr {
        mode: 0o644,
        size: 5,
        mtime_nsec: 0,
    };

    #[test]
    fn every_permission_bit_is_accepted_and_no_type_bit() {
        for mode in [0, 0o644, 0o1777, 0o4755, 0o7777] {
            assert_eq!(NodeAttr { mode, ..FILE }.check(NodeKind::File), Ok(()));
        }
        for mode in [0o10000, 0o100_644, 0o040_755, u32::MAX] {
            let refused = NodeAttr { mode, ..FILE }.check(NodeKind::File).unwrap_err();
            assert_eq!(refused.status, Status::InvalidArgument);
            let (value, limit) = (format!("0{mode:o}"), format!("0{MODE_MAX:o}"));
            assert!(refused.message.contains(&value) && refused.message.contains(&limit));
        }
    }

    #[test]
    fn only_a_directory_must_have_size_0() {
        assert_eq!(FILE.check(NodeKind::File), Ok(()));
        let refused = FILE.check(NodeKind::Directory).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        assert_eq!(NodeAttr::ROOT.check(NodeKind::Directory), Ok(()));
    }

    #[test]
    fn sizes_reach_to_the_largest_signed_offset() {
        let largest = NodeAttr {
            size: FILE_SIZE_MAX,
            ..FILE
        };
        assert_eq!(largest.check(NodeKind::File), Ok(()));
        let larger = NodeAttr {
            size: FILE_SIZE_MAX + 1,
            ..FILE
        };
        let refused = larger.check(NodeKind::File).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        let (value, limit) = (larger.size.to_string(), FILE_SIZE_MAX.to_string());
        assert!(refused.message.contains(&value) && refused.message.contains(&limit));
    }

    #[test]
    fn times_before_1970_are_refused() {
        for (mtime_nsec, fine) in [(0, true), (i64::MAX, true), (-1, false), (i64::MIN, false)] {
            let attr = NodeAttr { mtime_nsec, ..FILE };
            assert_eq!(attr.check(NodeKind::File).is_ok(), fine, "{mtime_nsec}");
        }
    }
}
