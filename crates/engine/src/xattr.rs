//! Extended attributes of promised nodes: what they are and who serves them,
//! computed when asked.

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

    /// The names of a node's attributes, each ended by NUL, as listxattr wants them.
    pub fn xattr_names(&self, inode: Inode) -> Result<Vec<u8>, i32> {
        if inode == Inode::ROOT {
            return Ok(Vec::new());
        }
        self.find(inode)?;
        let mut names = Vec::new();
        for name in [STATE, PROMISE, PROVIDER] {
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        Ok(names)
    }
}
