//! Asking the daemon what it knows of one promised node.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use fuse_promise_core::Result;
pub use fuse_promise_wire::inspected::{InspectedError, InspectedNode};

use crate::context::Context;
use crate::fork::refuse_in_child;
use crate::route::Start;

impl Context {
    /// What the daemon knows of the node at an absolute path of the mount. It looks the path up in
    /// its own tables: neither this process nor the daemon goes through the mount. A path elsewhere
    /// and the root of the mount are `InvalidArgument`, what is not there is `NotFound`. No daemon
    /// is started; without one it is `Unavailable`.
    pub fn inspect(&self, path: &Path) -> Result<InspectedNode> {
        refuse_in_child()?;
        let path: Arc<[u8]> = path.as_os_str().as_bytes().into();
        let answer = self.control(move |link| async move {
            link.call(Start::Never, |daemon| {
                let path = Arc::clone(&path);
                async move { daemon.manager("Inspect", &(&*path,)).await }
            })
            .await
        })?;
        answer.ok_or_else(|| self.no_daemon())
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::Status;

    use crate::fake_daemon::Place;

    #[test]
    fn no_daemon_is_started_for_it() {
        let place = Place::new();
        let node = place.path().join("fuse-promise/promise-1");
        let refused = place.context().inspect(&node).unwrap_err();
        assert_eq!(refused.status, Status::Unavailable);
        assert!(
            refused
                .message
                .contains(&place.path().display().to_string())
        );
    }
}
