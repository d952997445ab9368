//! Nothing in the mount can be changed.

use std::path::Path;

use fuse_promise_core::NodeAttr;
use fuse_promise_testkit::fixture::check::assert_content;
use fuse_promise_testkit::{Tree, both_shapes};
use rustix::fs::{
    self, Access, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timestamps, XattrFlags,
};
use rustix::io::{Errno, Result};

const RIGHTS: Mode = Mode::RWXU;

const NOW: Timestamps = Timestamps {
    last_access: fs::Timespec {
        tv_sec: 0,
        tv_nsec: fs::UTIME_NOW,
    },
    last_modification: fs::Timespec {
        tv_sec: 0,
        tv_nsec: fs::UTIME_NOW,
    },
};

fn open(path: &Path, flags: OFlags) -> Result<()> {
    fs::open(path, flags | OFlags::CLOEXEC, RIGHTS).map(drop)
}

/// What would change the file `path`.
fn changes_of_a_file(path: &Path) -> Vec<(&'static str, Result<()>)> {
    let beside = path.with_file_name("new");
    let no_flags = XattrFlags::empty();
    vec![
        ("open to write", open(path, OFlags::WRONLY)),
        ("open to read and write", open(path, OFlags::RDWR)),
        (
            "open to append",
            open(path, OFlags::WRONLY | OFlags::APPEND),
        ),
        (
            "open to truncate",
            open(path, OFlags::RDONLY | OFlags::TRUNC),
        ),
        (
            "open to replace",
            open(path, OFlags::WRONLY | OFlags::CREATE),
        ),
        ("access to write", fs::access(path, Access::WRITE_OK)),
        ("unlink", fs::unlink(path)),
        ("rename", fs::rename(path, &beside)),
        (
            "rename without replacing",
            fs::renameat_with(CWD, path, CWD, &beside, RenameFlags::NOREPLACE),
        ),
        ("link", fs::link(path, &beside)),
        ("chmod", fs::chmod(path, RIGHTS)),
        (
            "chown",
            fs::chown(path, Some(rustix::process::getuid()), None),
        ),
        ("touch", fs::utimensat(CWD, path, &NOW, AtFlags::empty())),
        ("setxattr", fs::setxattr(path, "user.new", b"1", no_flags)),
        (
            "removexattr",
            fs::removexattr(path, "user.fuse-promise.state"),
        ),
    ]
}

/// What would change the directory `path` or what is in it.
fn changes_of_a_directory(path: &Path) -> Vec<(&'static str, Result<()>)> {
    let new = path.join("new");
    vec![
        (
            "create",
            open(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL),
        ),
        (
            "create without a name",
            open(path, OFlags::WRONLY | OFlags::TMPFILE),
        ),
        ("mkdir", fs::mkdir(&new, RIGHTS)),
        ("symlink", fs::symlink("target", &new)),
        ("mknod", fs::mknodat(CWD, &new, FileType::Fifo, RIGHTS, 0)),
        ("access to write", fs::access(path, Access::WRITE_OK)),
        ("chmod", fs::chmod(path, RIGHTS)),
        ("touch", fs::utimensat(CWD, path, &NOW, AtFlags::empty())),
        (
            "setxattr",
            fs::setxattr(path, "user.new", b"1", XattrFlags::empty()),
        ),
    ]
}

#[track_caller]
fn assert_refused(path: &Path, changes: Vec<(&'static str, Result<()>)>) {
    for (change, outcome) in changes {
        assert_eq!(outcome, Err(Errno::ROFS), "{change} {}", path.display());
    }
}

both_shapes! {
    /// > The mount is read-only: whatever would change it fails with EROFS.
    fn whatever_would_change_it_is_refused(session) {
        let no_rights = NodeAttr { mode: 0, size: 10, mtime_nsec: 0 };
        let tree = Tree::new()
            .file("dir/a", 100)
            .file("b", 10)
            .dir("empty")
            .file_with("nobody's", no_rights, "n");
        let mut provider = session.provider();
        let promise = provider.publish(&tree);
        for file in ["dir/a", "b", "nobody's"] {
            let path = promise.join(file);
            assert_refused(&path, changes_of_a_file(&path));
        }
        for directory in [session.mount(), promise.path.clone(), promise.join("dir")] {
            assert_refused(&directory, changes_of_a_directory(&directory));
        }
        for directory in [promise.join("empty"), promise.path.clone()] {
            assert_eq!(fs::rmdir(&directory), Err(Errno::ROFS));
            let renamed = fs::rename(&directory, directory.with_file_name("new"));
            assert_eq!(renamed, Err(Errno::ROFS));
        }
        let open = fs::open(promise.join("b"), OFlags::RDONLY, Mode::empty()).unwrap();
        assert_eq!(fs::fchmod(&open, RIGHTS), Err(Errno::ROFS));
        assert_eq!(fs::futimens(&open, &NOW), Err(Errno::ROFS));
        // Not for the mount, but for how it was opened.
        assert_eq!(rustix::io::write(&open, b"x"), Err(Errno::BADF));
        for file in tree.file_nodes().filter(|file| file.attr.mode != 0) {
            assert_content(&promise.join(&file.path), file);
        }
    }
}
