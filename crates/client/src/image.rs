//! The provider's own copy of a committed tree: where a read's node id and path come from.
//!
//! Small images are kept on the heap, so that a provider with thousands of promises needs no
//! descriptor for each. Large ones stay in their sealed memory file, mapped, and share their pages
//! with the daemon.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use fuse_promise_core::image::{ImageView, TreeBuilder};
use fuse_promise_core::limits::SHARED_IMAGE_LEN_MAX;
use fuse_promise_core::{Failure, NodeKind, Result, Row};
use fuse_promise_wire::image::MappedImage;

use crate::fork::Listed;

pub(crate) enum PromiseImage {
    Heap(Vec<u8>),
    Mapped {
        // Before the descriptor it lists. The mapping stays in a forked child: a callback that
        // forks goes on there with a node id that points into it, and nobody can write to it.
        _listed: Listed,
        image: MappedImage,
    },
}

impl PromiseImage {
    /// The image that `sealed` holds and `tree` was written to.
    pub(crate) fn of(tree: &TreeBuilder, sealed: &OwnedFd) -> Result<Self> {
        if tree.image_len() <= SHARED_IMAGE_LEN_MAX as u64 {
            let mut bytes = Vec::with_capacity(tree.image_len() as usize);
            tree.write_image(&mut bytes)
                .map_err(|error| Failure::io(format!("image: {error}")))?;
            return Ok(Self::Heap(bytes));
        }
        let own = sealed
            .try_clone()
            .map_err(|error| Failure::unavailable(format!("image: {error}")))?;
        let image = MappedImage::open(own)?;
        Ok(Self::Mapped {
            _listed: Listed::descriptor(&image.fd()),
            image,
        })
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped { image, .. } => image,
        }
    }

    /// The node id of a file, where it lies in the image; `None` if the row is no file.
    pub(crate) fn node_id(&self, row: Row) -> Option<&CStr> {
        let bytes = self.bytes();
        let node = ImageView::trusted(bytes).row(row)?;
        if node.kind != NodeKind::File {
            return None;
        }
        // The view leaves out the NUL that lies behind every id.
        let start = node.node_id.as_ptr().addr() - bytes.as_ptr().addr();
        let with_nul = bytes.get(start..=start + node.node_id.len())?;
        CStr::from_bytes_with_nul(with_nul).ok()
    }
}

/// A place in which paths are put together, one after the other without an allocation.
#[derive(Default)]
pub(crate) struct PathBuffer {
    bytes: Vec<u8>,
}

impl PathBuffer {
    /// The path of a node inside its promise.
    pub(crate) fn path_of(&mut self, image: &PromiseImage, row: Row) -> Option<&CStr> {
        let view = ImageView::trusted(image.bytes());
        // Names come from the last to the first, so they are written backwards, each turned
        // around, and the whole is turned around at the end.
        self.bytes.clear();
        let mut at = row;
        while at != Row::ROOT {
            let node = view.row(at)?;
            if !self.bytes.is_empty() {
                self.bytes.push(b'/');
            }
            self.bytes.extend(node.name.iter().rev());
            // Rows come after their parents, so this ends.
            if node.parent.0 >= at.0 {
                return None;
            }
            at = node.parent;
        }
        self.bytes.reverse();
        self.bytes.push(0);
        CStr::from_bytes_with_nul(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::{NodeAttr, PathRule};

    use super::*;

    const FILE: NodeAttr = NodeAttr {
        mode: 0o644,
        size: 5,
        mtime_nsec: 0,
    };
    const DIRECTORY: NodeAttr = NodeAttr { size: 0, ..FILE };

    fn image_of(tree: &TreeBuilder) -> PromiseImage {
        PromiseImage::of(tree, &fuse_promise_wire::image::seal(tree).unwrap()).unwrap()
    }

    /// Every file's path and node id, as reads are told.
    fn files(image: &PromiseImage) -> Vec<(String, String)> {
        let mut buffer = PathBuffer::default();
        let count = ImageView::trusted(image.bytes()).node_count();
        (0..count)
            .map(Row)
            .filter_map(|row| {
                let id = image.node_id(row)?.to_str().unwrap().to_owned();
                let path = buffer.path_of(image, row).unwrap();
                Some((path.to_str().unwrap().to_owned(), id))
            })
            .collect()
    }

    #[test]
    fn reads_are_told_the_path_and_the_id_of_their_file() {
        let mut tree = TreeBuilder::new(PathRule::Utf8);
        tree.add_dir(b"a", DIRECTORY, b"dir-a").unwrap();
        tree.add_dir(b"a/b", DIRECTORY, b"dir-b").unwrap();
        tree.add_file(b"a/b/deep.txt", FILE, b"id of deep").unwrap();
        tree.add_file(b"top", FILE, b"id of top").unwrap();
        let found = files(&image_of(&tree));
        let pair = |path: &str, id: &str| (path.to_owned(), id.to_owned());
        assert_eq!(
            found,
            [pair("top", "id of top"), pair("a/b/deep.txt", "id of deep")]
        );
    }

    #[test]
    fn rows_that_are_no_file_have_no_id() {
        let image = image_of(&TreeBuilder::new(PathRule::Utf8));
        for row in [0, 1, u32::MAX] {
            assert_eq!(image.node_id(Row(row)), None);
        }
        assert_eq!(PathBuffer::default().path_of(&image, Row(7)), None);
    }

    #[test]
    fn a_large_tree_is_mapped_and_says_the_same() {
        let mut tree = TreeBuilder::new(PathRule::Utf8);
        let mut expected = Vec::new();
        let mut number = 0;
        while tree.image_len() <= SHARED_IMAGE_LEN_MAX as u64 {
            let name = format!("file-{number:06}");
            let id = format!("{name:*<100}");
            tree.add_file(name.as_bytes(), FILE, id.as_bytes()).unwrap();
            expected.push((name, id));
            number += 1;
        }
        let image = image_of(&tree);
        assert!(matches!(image, PromiseImage::Mapped { .. }));
        assert_eq!(files(&image), expected);
    }
}
