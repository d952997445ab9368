//! What a materialize is asked to copy, and where to: checked before anything
//! happens.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, Row};
use fuse_promise_core::path::{PathRule, normalize};
use fuse_promise_core::status::Status;
use rustix::fd::OwnedFd;
use rustix::fs::StatVfsMountFlags;

use crate::engine::Engine;
use crate::promise::Promise;

/// What statfs says of a FUSE file system (`FUSE_SUPER_MAGIC` of linux/magic.h).
const FUSE_MAGIC: u32 = 0x6573_5546;

impl Engine {
    /// The node behind an absolute path of the mount.
    pub(crate) fn resolve_source(&self, source: &[u8]) -> Result<(Arc<Promise>, Row)> {
        let shown = String::from_utf8_lossy(source).into_owned();
        let path = Path::new(OsStr::from_bytes(source));
        if !path.is_absolute() {
            return Err(Failure::invalid(format!("{shown:?} is no absolute path")));
        }
        let mount = self.options.runtime_dir.mount_path();
        let Ok(below) = path.strip_prefix(&mount) else {
            return Err(Failure::not_found(format!(
                "{shown:?} is not below the mount {}",
                mount.display()
            )));
        };
        let mut parts = below.components();
        let id = parts.next().and_then(|part| part.as_os_str().to_str());
        let number = id
            .and_then(PromiseNumber::parse)
            .ok_or_else(|| Failure::invalid(format!("{shown:?} names no promise")))?;
        let promise = self.catalog.listed(number);
        let missing = || Failure::not_found(format!("{shown:?} does not exist"));
        let promise = promise.ok_or_else(missing)?;
        let inside = parts.as_path().as_os_str().as_bytes();
        if inside.is_empty() {
            return Ok((promise, Row(0)));
        }
        let inside = normalize(inside, PathRule::Bytes)?;
        let row = promise.view().resolve(inside.as_bytes());
        let row = row.ok_or_else(missing)?;
        Ok((promise, row))
    }

    /// A target that cannot take files is refused before anything is written.
    pub(super) fn check_target(&self, target: &OwnedFd) -> Result<()> {
        let broken = |errno: rustix::io::Errno| {
            let why = std::io::Error::from(errno);
            Failure::new(Status::Io, format!("the target directory: {why}"))
        };
        let stat = rustix::fs::fstat(target).map_err(broken)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory {
            return Err(Failure::invalid("the target is no directory"));
        }
        let system = rustix::fs::fstatfs(target).map_err(broken)?;
        if system.f_type as u32 == FUSE_MAGIC && self.is_below_mount(target) {
            return Err(Failure::invalid(
                "the target lies in the promise mount itself, which takes no files",
            ));
        }
        let flags = rustix::fs::fstatvfs(target).map_err(broken)?.f_flag;
        if flags.contains(StatVfsMountFlags::RDONLY) {
            return Err(Failure::permission(
                "the target lies on a read-only file system",
            ));
        }
        Ok(())
    }

    fn is_below_mount(&self, target: &OwnedFd) -> bool {
        use rustix::fd::AsRawFd;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", target.as_raw_fd()));
        path.is_ok_and(|path| path.starts_with(self.options.runtime_dir.mount_path()))
    }
}
