//! Attributes as the kernel wants them.

use std::time::UNIX_EPOCH;

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::ids::Inode;
use fuse_promise_engine::{Attr, Totals};
use fuser::{FileAttr, FileType, INodeNo, ReplyStatfs};

/// `st_blksize`: how much programs read at once. As much as the kernel's readahead, because each
/// read may cost a trip to the provider; not more, because a program that buffers asks for a whole
/// block even if it wants a line.
const BLOCK_LEN: u32 = 128 << 10;

/// Unit of the sizes `df` shows. Programs disagree on which of two fields gives the unit, so both
/// have this value.
const UNIT_LEN: u32 = 512;

/// The longest name, for programs that ask before they make one.
const NAME_LEN_MAX: u32 = fuse_promise_core::limits::NAME_LEN_MAX as u32;

/// Whose files all files are: the daemon's user.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    pub fn of_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    /// A node's attributes. What was never read or changed has the times of its last change.
    pub fn show(self, attr: &Attr) -> FileAttr {
        FileAttr {
            ino: INodeNo(attr.inode.0),
            size: attr.size,
            blocks: attr.blocks,
            atime: attr.mtime,
            mtime: attr.mtime,
            ctime: attr.mtime,
            crtime: attr.mtime,
            kind: file_type(attr.kind),
            perm: attr.mode,
            nlink: attr.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: BLOCK_LEN,
            flags: 0,
        }
    }

    /// The answer "there is no such name", in the form the kernel may remember: inode 0.
    pub fn show_absence(self) -> FileAttr {
        self.show(&Attr {
            inode: Inode(0),
            kind: NodeKind::File,
            mode: 0,
            nlink: 0,
            size: 0,
            blocks: 0,
            mtime: UNIX_EPOCH,
        })
    }
}

pub fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File => FileType::RegularFile,
        NodeKind::Symlink => FileType::Symlink,
    }
}

/// `df`: full to the brim with what is published, since nothing can be added.
pub fn reply_totals(totals: Totals, reply: ReplyStatfs) {
    let blocks = totals.bytes.div_ceil(u64::from(UNIT_LEN));
    let (free, available, free_nodes) = (0, 0, 0);
    reply.statfs(
        blocks,
        free,
        available,
        totals.nodes,
        free_nodes,
        UNIT_LEN,
        NAME_LEN_MAX,
        UNIT_LEN,
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_node_is_shown_as_it_is_with_our_owner() {
        let owner = Owner { uid: 7, gid: 8 };
        let mtime = UNIX_EPOCH + Duration::from_nanos(1_500_000_001);
        let shown = owner.show(&Attr {
            inode: Inode(1 << 32 | 5),
            kind: NodeKind::Directory,
            mode: 0o2751,
            nlink: 4,
            size: 1025,
            blocks: 3,
            mtime,
        });
        assert_eq!(shown.ino, INodeNo(1 << 32 | 5));
        assert_eq!(
            (shown.size, shown.blocks, shown.blksize),
            (1025, 3, 131_072)
        );
        assert_eq!(
            (shown.kind, shown.perm, shown.nlink),
            (FileType::Directory, 0o2751, 4)
        );
        assert_eq!((shown.uid, shown.gid), (7, 8));
        assert_eq!([shown.atime, shown.mtime, shown.ctime], [mtime; 3]);
        // The kernel keeps the block size as a power of two.
        assert!(shown.blksize.is_power_of_two());
    }

    #[test]
    fn each_kind_has_its_file_type() {
        let types = [NodeKind::Directory, NodeKind::File, NodeKind::Symlink].map(file_type);
        assert_eq!(
            types,
            [
                FileType::Directory,
                FileType::RegularFile,
                FileType::Symlink
            ]
        );
    }
}
