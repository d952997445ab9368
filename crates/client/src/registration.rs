//! Registering a provider with the daemon, and taking it away again.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fuse_promise_core::{Failure, ProviderNumber, Token};
use fuse_promise_wire::PROTOCOL_VERSION;
use fuse_promise_wire::bus::{IFACE_PROVIDER, option, provider_path};
use zbus::{OwnedObjectPath, Variant};

use crate::daemon::Daemon;
use crate::fault::Fault;

/// How the daemon treats a provider. The default is what it decides itself.
#[derive(Debug, Clone, Default)]
pub struct ProviderOptions {
    /// Calls of the handler that may run at a time, each on a thread of its own; one by default.
    /// More than the daemon has slots for (128) never do.
    pub max_concurrent_reads: Option<u32>,
    /// How long a read may take.
    pub read_timeout: Option<Duration>,
}

/// The daemon's answer.
pub(crate) struct Registered {
    pub(crate) number: ProviderNumber,
    pub(crate) token: Token,
    pub(crate) channel: OwnedFd,
    pub(crate) arena: OwnedFd,
}

type Reply = (OwnedObjectPath, u64, Vec<u8>, zbus::OwnedFd, zbus::OwnedFd);

pub(crate) async fn register(
    daemon: &Daemon,
    options: &ProviderOptions,
) -> Result<Registered, Fault> {
    let mut arguments = HashMap::from([(option::PROTOCOL, Variant::from(PROTOCOL_VERSION))]);
    if let Some(reads) = options.max_concurrent_reads {
        arguments.insert(option::MAX_CONCURRENT_READS, Variant::from(reads));
    }
    if let Some(timeout) = options.read_timeout {
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        arguments.insert(option::READ_TIMEOUT_MS, Variant::from(milliseconds));
    }
    let (_object, number, token, channel, arena): Reply =
        daemon.manager("RegisterProvider", &(arguments,)).await?;
    let token = Token::from_slice(&token)
        .ok_or_else(|| Failure::io("fuse-promised gave out a token of a wrong length"))?;
    Ok(Registered {
        number: ProviderNumber(number),
        token,
        channel: channel.into(),
        arena: arena.into(),
    })
}

pub(crate) async fn unregister(
    daemon: &Daemon,
    number: ProviderNumber,
    token: &Token,
) -> Result<(), Fault> {
    let object = provider_path(number);
    daemon
        .call(
            &object,
            IFACE_PROVIDER,
            "Unregister",
            &(token.0.as_slice(),),
        )
        .await
}
