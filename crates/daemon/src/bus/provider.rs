//! `io.github.fuse_promise.Private1.Provider` at `provider/N`: one provider session as people and
//! tools see it, and the calls that concern it alone.

use std::os::fd::OwnedFd;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::ProviderNumber;
use fuse_promise_engine::{EngineEvent, ProviderSnapshot};
use fuse_promise_wire::bus::{Options, option};
use zbus::Connection;
use zbus::message::Header;

use super::arguments::{self, OptionReader};
use super::error::BusError;
use super::objects::Context;
use crate::daemon::Daemon;

pub struct Provider {
    context: Context,
    number: ProviderNumber,
}

impl Provider {
    pub fn new(context: Context, number: ProviderNumber) -> Self {
        Self { context, number }
    }

    fn snapshot(&self) -> Result<ProviderSnapshot> {
        let snapshot = self.context.service.daemon.engine.provider(self.number);
        snapshot.ok_or_else(|| Failure::not_found(format!("provider {} is gone", self.number)))
    }
}

/// One provider session.
#[zbus::interface(name = "io.github.fuse_promise.Private1.Provider")]
impl Provider {
    /// Ends the session. Its promises leave the listing at once. The token is the one that
    /// RegisterProvider gave out.
    async fn unregister(
        &self,
        token: Vec<u8>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let token = arguments::token(&token)?;
        let number = self.number;
        service
            .run(move |daemon| daemon.engine.unregister(number, &token))
            .await?;
        let removed = EngineEvent::ProviderRemoved(number);
        service.events.shown(self.context.watch, removed).await;
        Ok(())
    }

    /// The sealed image of one of this provider's promises.
    #[zbus(out_args("image"))]
    async fn get_image(
        &self,
        promise_id: String,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<zbus::OwnedFd, BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let promise = arguments::promise(&promise_id)?;
        let number = self.number;
        let image: OwnedFd = service
            .run(move |daemon| match daemon.engine.promise(promise) {
                Some(snapshot) if snapshot.provider == number => daemon.engine.image(promise),
                _ => Err(Failure::not_found(format!(
                    "provider {number} has no {promise}"
                ))),
            })
            .await?;
        Ok(image.into())
    }

    /// Drops what is held of the bytes of one of this provider's promises, here and in the kernel;
    /// the next read asks the provider again. The token is the one that RegisterProvider gave out.
    /// Options: node_id (ay: of the nodes with this id, without a NUL; of all if it is not there).
    async fn invalidate(
        &self,
        token: Vec<u8>,
        promise_id: String,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let token = arguments::token(&token)?;
        let promise = arguments::promise(&promise_id)?;
        let mut options = OptionReader::new("Invalidate", options);
        let node_id = options.take_bytes(option::NODE_ID)?;
        options.finish()?;
        let number = self.number;
        let work = move |daemon: &Daemon| {
            let engine = &daemon.engine;
            engine.invalidate(number, &token, promise, node_id.as_deref())
        };
        Ok(service.run(work).await?)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn number(&self) -> u64 {
        self.number.0
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn pid(&self) -> Result<u32, BusError> {
        Ok(self.snapshot()?.pid)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn uid(&self) -> Result<u32, BusError> {
        Ok(self.snapshot()?.uid)
    }

    /// The file the process runs, or its name.
    #[zbus(property(emits_changed_signal = "const"))]
    fn program(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.program)
    }

    /// One of: live, disconnected, stalled.
    #[zbus(property)]
    fn state(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.state.word().to_owned())
    }

    /// Requests the provider owes an answer for.
    #[zbus(property(emits_changed_signal = "false"))]
    fn in_flight(&self) -> Result<u32, BusError> {
        Ok(self.snapshot()?.in_flight)
    }

    /// Reads that wait for a slot.
    #[zbus(property(emits_changed_signal = "false"))]
    fn queued(&self) -> Result<u32, BusError> {
        Ok(self.snapshot()?.queued)
    }

    /// Reads answered with data since the session began.
    #[zbus(property(emits_changed_signal = "false"))]
    fn reads(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.reads)
    }

    /// Bytes those reads returned.
    #[zbus(property(emits_changed_signal = "false"))]
    fn served_bytes(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.served_bytes)
    }

    /// Reads that ended in an error.
    #[zbus(property(emits_changed_signal = "false"))]
    fn errors(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.errors)
    }

    /// Promises listed for it.
    #[zbus(property(emits_changed_signal = "false"))]
    fn promises(&self) -> Result<u32, BusError> {
        Ok(self.snapshot()?.promises)
    }
}
