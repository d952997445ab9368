//! What the daemon says of itself, in one call.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::properties::Properties;

/// The state of the daemon as a whole; `fpctl status` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonStatus {
    pub protocol_version: u32,
    /// Of the program.
    pub version: String,
    pub runtime_dir: PathBuf,
    pub mount_path: PathBuf,
    pub socket_path: PathBuf,
    /// `mounted` or `not-mounted`.
    pub mount: String,
    /// Why it is not mounted and what to do; empty while it is.
    pub mount_reason: String,
    pub fuse_adapter: String,
    pub cache_policy: String,
    /// Whether mount and promises outlive a crash of the daemon; `no` is followed by the reason.
    pub survives: String,
    pub providers: u32,
    pub promises: u32,
    /// What the daemon holds and has done, by name.
    pub gauges: BTreeMap<String, u64>,
}

pub(crate) async fn status(daemon: &Daemon) -> Result<DaemonStatus, Fault> {
    let mut properties = Properties(daemon.manager_properties().await?);
    Ok(DaemonStatus {
        protocol_version: properties.take("ProtocolVersion")?,
        version: properties.take("Version")?,
        runtime_dir: properties.take_path("RuntimeDirectory")?,
        mount_path: properties.take_path("MountPath")?,
        socket_path: properties.take_path("SocketPath")?,
        mount: properties.take("Mount")?,
        mount_reason: properties.take("MountReason")?,
        fuse_adapter: properties.take("FuseAdapter")?,
        cache_policy: properties.take("CachePolicy")?,
        survives: properties.take("Survives")?,
        providers: properties.take("Providers")?,
        promises: properties.take("Promises")?,
        gauges: properties.take("Gauges")?,
    })
}
