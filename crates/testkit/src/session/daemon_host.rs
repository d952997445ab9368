//! What every shape can do with its daemon.

use crate::session_dirs::SessionDirs;

/// The file in the session's log folder that gets the daemon's words.
pub(super) const DAEMON_LOG: &str = "fuse-promised";

pub(super) trait DaemonHost {
    /// Starts the daemon and returns when it has said that it is ready.
    fn start_daemon(&mut self, dirs: &SessionDirs);

    /// Asks it to stop; returns the exit code it chose.
    fn stop_daemon(&mut self, dirs: &SessionDirs) -> Option<i32>;

    /// Waits until it ends without being asked; returns its exit code.
    fn wait_daemon_end(&mut self, dirs: &SessionDirs) -> Option<i32>;

    fn daemon_pid(&mut self, dirs: &SessionDirs) -> Option<u32>;

    /// Stops the daemon and everything that was started around it.
    fn end(&mut self, dirs: &SessionDirs);
}
