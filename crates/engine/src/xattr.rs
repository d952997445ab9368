//! Extended attributes of promised nodes: what they are and who serves them,
//! computed when asked. They answer to their names and are not listed, or every
//! `cp -a` would write the state of a promise onto an ordinary file.

use fuse_promise_core::ids::Inode;
use rustix::io::Errno;

use crate::engine::Engine;

const STATE: &str = "user.fuse-promise.state";
const PROMISE: &str = "user.fuse-promise.promise";
const PROVIDER: &str = "user.fuse-promise.provider";

impl Engine {
    /// The value of an attribute; ENODATA if the node has none of that name.
    pub fn xattr(&self, inode: Inode, name: &[u8]) -> Result<Vec<u8>, i32> {
        if inode == Inode::ROOT {
            return Err(Errno::NODATA.raw_os_error());
        }
        let (promise, row) = self.find(inode)?;
        let value = match str::from_utf8(name) {
            Ok(STATE) => promise.node_state(row).word().to_owned(),
            Ok(PROMISE) => promise.number.id(),
            Ok(PROVIDER) => promise.session.number().0.to_string(),
            _ => return Err(Errno::NODATA.raw_os_error()),
        };
        Ok(value.into_bytes())
    }

    /// The names of the attributes that a copy of the node should have too, each
    /// ended by NUL, as listxattr wants them: those its provider gave it.
    pub fn xattr_names(&self, inode: Inode) -> Result<Vec<u8>, i32> {
        if inode != Inode::ROOT {
            self.find(inode)?;
        }
        Ok(Vec::new())
    }
}
