//! When a daemon without a mount gives up.

use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::Failure;

use super::{Mount, MountState};

/// Returns when there is no use in going on: no mount was possible for `patience`, or the mount
/// was taken away and could not be made again, or was taken away a second time. Returns the reason.
pub async fn supervise(mount: Arc<Mount>, patience: Duration) -> Failure {
    let mut states = mount.subscribe();
    let is_mounted = |state: &MountState| state.mounted;
    // The sender lives in the mount, so the only way to fail is the time limit.
    if tokio::time::timeout(patience, states.wait_for(is_mounted))
        .await
        .is_err()
    {
        let reason = mount.state().reason;
        return Failure::unavailable(format!("no mount was possible in {patience:?}: {reason}"));
    }
    lost(&mut states).await;
    // Mounting waits for a program; calls are answered meanwhile, and the loss is announced.
    let again = Arc::clone(&mount);
    match tokio::task::spawn_blocking(move || again.remount()).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            let reason = mount.state().reason;
            return Failure::unavailable(format!(
                "the mount was taken away and cannot be made again: {reason}"
            ));
        }
        Err(error) => return Failure::unavailable(format!("mounting again: {error}")),
    }
    lost(&mut states).await;
    Failure::unavailable("the mount was taken away twice; whoever does that does not want it")
}

async fn lost(states: &mut tokio::sync::watch::Receiver<MountState>) {
    // As above: the sender lives as long as the mount.
    let _ = states.wait_for(|state| !state.mounted).await;
}
