//! `io.github.fuse_promise.Private1.Manager` at the root object: what the daemon is and does, and
//! the calls by which providers come and promises are made.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::ProviderNumber;
use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_engine::{CommitOptions, EngineEvent, MaterializeOptions, ProviderConfig};
use fuse_promise_wire::PROTOCOL_VERSION;
use fuse_promise_wire::bus::{Options, job_path, option, provider_path};
use fuse_promise_wire::inspected::InspectedNode;
use zbus::message::Header;
use zbus::{Connection, OwnedObjectPath};

use super::arguments::{self, OptionReader};
use super::error::BusError;
use super::inspect::inspected;
use super::listing::Listing;
use super::objects::Context;

pub struct Manager {
    context: Context,
}

impl Manager {
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

/// What the daemon is and does.
#[zbus::interface(name = "io.github.fuse_promise.Private1.Manager")]
impl Manager {
    /// Begins a provider session, which lives as long as the channel and the calling process.
    /// Options: protocol (u, required), max_concurrent_reads (u), read_timeout_ms (u).
    #[zbus(out_args("provider", "id", "token", "channel", "arena"))]
    async fn register_provider(
        &self,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(OwnedObjectPath, u64, Vec<u8>, zbus::OwnedFd, zbus::OwnedFd), BusError> {
        let service = &self.context.service;
        let _call = self.context.begin_unchecked(&call)?;
        let config = provider_config(options)?;
        let client = self.context.caller.client(connection, &call).await?;
        let registration = service
            .run(move |daemon| {
                daemon.mount.require()?;
                daemon.engine.register(client, config)
            })
            .await?;
        let number = registration.provider;
        let added = EngineEvent::ProviderAdded(number);
        service.events.shown(self.context.watch, added).await;
        Ok((
            provider_path(number),
            number.0,
            registration.token.0.to_vec(),
            registration.channel.into(),
            registration.arena.into(),
        ))
    }

    /// Publishes a tree. The image is a sealed memfd, the token that of the provider's session;
    /// path is where the promise is, without a NUL. Options: commit_id (t), cache_policy (s),
    /// path_capacity (t: refuse, with nothing changed, if the path and a NUL do not fit), expires
    /// (t: likewise, if CLOCK_MONOTONIC in nanoseconds has come so far).
    #[zbus(out_args("promise_id", "path"))]
    async fn commit(
        &self,
        provider: u64,
        token: Vec<u8>,
        image: zbus::OwnedFd,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(String, Vec<u8>), BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let token = arguments::token(&token)?;
        let options = commit_options(options)?;
        let promise = service
            .run(move |daemon| {
                daemon.mount.require()?;
                let provider = ProviderNumber(provider);
                daemon
                    .engine
                    .commit(provider, &token, image.into(), options)
            })
            .await?;
        let added = EngineEvent::PromiseAdded(promise);
        service.events.shown(self.context.watch, added).await;
        let path = service.daemon.engine.promise_path(promise);
        Ok((promise.id(), path.into_os_string().into_vec()))
    }

    /// Takes a promise out of the listing, as Destroy of its object does, which a peer on the
    /// socket does not see.
    async fn destroy_promise(
        &self,
        promise_id: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let _call = self.context.begin(connection, &call).await?;
        let number = arguments::promise(promise_id)?;
        Ok(self.context.destroy(number).await?)
    }

    /// Begins to copy a promised file, directory or whole promise, an absolute path below the
    /// mount, into the directory behind target_dir (O_PATH will do). The job ends with its caller's
    /// connection unless detached. Options: policy (s: fail, overwrite, rename, skip or newer;
    /// default fail), sync (b: to disk), detach (b), confirm (b: with everything written wait for
    /// Confirm; not together with detach), expires (t, as for Commit).
    #[zbus(out_args("job"))]
    async fn materialize(
        &self,
        source: Vec<u8>,
        target_dir: zbus::OwnedFd,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<OwnedObjectPath, BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let options = materialize_options(options)?;
        let job = service
            .run(move |daemon| {
                daemon.mount.require()?;
                let target = target_dir.into();
                daemon.engine.materialize(&source, target, options)
            })
            .await?;
        if !options.detach {
            let caller = call.sender().map(|sender| sender.to_owned());
            service.tie(job, connection, caller).await;
        }
        let added = EngineEvent::JobAdded(job);
        service.events.shown(self.context.watch, added).await;
        Ok(job_path(job.0))
    }

    /// Streams everything as lines of key=value into a pipe and closes it: the numbers of
    /// providers and promises, each promise, and below each its nodes. The answer comes when the
    /// streaming begins. Options: nodes (b, default true).
    async fn list(
        &self,
        pipe: zbus::OwnedFd,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let service = &self.context.service;
        let _call = self.context.begin(connection, &call).await?;
        let mut options = OptionReader::new("List", options);
        let nodes = options.take_bool(option::NODES)?.unwrap_or(true);
        options.finish()?;
        // Asking a descriptor what it is takes as long as the file system behind it wants.
        let listing = service.run(move |_| Listing::new(pipe.into(), nodes));
        let listing = listing.await?;
        service.listings.start(listing, &service.daemon.engine)?;
        Ok(())
    }

    /// One node now: what was declared of it, who serves it, what is held of it, who has it open
    /// and what went wrong. The path, bytes without a NUL, is an absolute one below the mount,
    /// that of a promise's own directory included; it is looked up in the daemon's own tables.
    #[zbus(out_args("node"))]
    async fn inspect(
        &self,
        path: Vec<u8>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<InspectedNode, BusError> {
        let _call = self.context.begin(connection, &call).await?;
        let service = &self.context.service;
        let node = service.run(move |daemon| daemon.engine.inspect(&path));
        Ok(inspected(node.await?))
    }

    /// Compared by a client before anything else.
    #[zbus(property(emits_changed_signal = "const"))]
    fn protocol_version(&self) -> u32 {
        PROTOCOL_VERSION
    }

    /// Of the program.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The directory this daemon serves. A client of another one is in the wrong place.
    #[zbus(property(emits_changed_signal = "const"))]
    fn runtime_directory(&self) -> String {
        let directory = self.context.service.daemon.runtime_dir.path();
        directory.to_string_lossy().into_owned()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn mount_path(&self) -> String {
        let path = self.context.service.daemon.runtime_dir.mount_path();
        path.to_string_lossy().into_owned()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn socket_path(&self) -> String {
        let path = self.context.service.daemon.runtime_dir.socket_path();
        path.to_string_lossy().into_owned()
    }

    /// One of: mounted, not-mounted.
    #[zbus(property)]
    fn mount(&self) -> &'static str {
        if self.context.service.daemon.mount.state().mounted {
            "mounted"
        } else {
            "not-mounted"
        }
    }

    /// Why it is not mounted and what to do; empty while it is.
    #[zbus(property)]
    fn mount_reason(&self) -> String {
        self.context.service.daemon.mount.state().reason
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn fuse_adapter(&self) -> &'static str {
        // There is no build without it.
        "enabled"
    }

    /// Of promises whose provider named none. One of: no-cache, read-through.
    #[zbus(property(emits_changed_signal = "const"))]
    fn cache_policy(&self) -> &'static str {
        self.context.service.daemon.options.cache.word()
    }

    /// Whether mount and promises outlive a crash of the daemon, and if not why.
    #[zbus(property(emits_changed_signal = "const"))]
    fn survives(&self) -> &'static str {
        "no (this version keeps no state)"
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn providers(&self) -> u32 {
        count(self.context.service.daemon.engine.providers().len())
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn promises(&self) -> u32 {
        count(self.context.service.daemon.engine.promises().len())
    }

    /// What the daemon holds right now, and what it has done since its start.
    #[zbus(property(emits_changed_signal = "false"))]
    fn gauges(&self) -> BTreeMap<&'static str, u64> {
        let gauges = self.context.service.daemon.engine.gauges();
        gauges.fields().into_iter().collect()
    }
}

fn materialize_options(options: Options) -> Result<MaterializeOptions> {
    let mut options = OptionReader::new("Materialize", options);
    let policy = options.take_text(option::POLICY)?;
    let sync = options.take_bool(option::SYNC)?.unwrap_or(false);
    let detach = options.take_bool(option::DETACH)?.unwrap_or(false);
    let confirm = options.take_bool(option::CONFIRM)?.unwrap_or(false);
    let expires = options.take_u64(option::EXPIRES)?;
    options.finish()?;
    let policy = policy.map(|word| word.parse()).transpose();
    let policy =
        policy.map_err(|failure: Failure| failure.context("option \"policy\" of Materialize"))?;
    Ok(MaterializeOptions {
        policy: policy.unwrap_or(ConflictPolicy::Fail),
        sync,
        detach,
        confirm,
        expires,
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn provider_config(options: Options) -> Result<ProviderConfig> {
    let mut options = OptionReader::new("RegisterProvider", options);
    // First, since another version may well have other options.
    let protocol = options.take_u32(option::PROTOCOL)?;
    check_protocol(protocol)?;
    let defaults = ProviderConfig::default();
    let reads = options.take_u32(option::MAX_CONCURRENT_READS)?;
    let timeout = options.take_u32(option::READ_TIMEOUT_MS)?;
    options.finish()?;
    Ok(ProviderConfig {
        max_concurrent_reads: reads.unwrap_or(defaults.max_concurrent_reads),
        read_timeout: timeout.map(|timeout| Duration::from_millis(timeout.into())),
    })
}

fn check_protocol(spoken: Option<u32>) -> Result<()> {
    match spoken {
        Some(PROTOCOL_VERSION) => Ok(()),
        Some(other) => Err(Failure::version_mismatch(format!(
            "the client speaks protocol version {other}, the daemon version {PROTOCOL_VERSION}; \
             install the same release of both"
        ))),
        None => Err(Failure::invalid(
            "RegisterProvider wants the option \"protocol\"",
        )),
    }
}

fn commit_options(options: Options) -> Result<CommitOptions> {
    let mut options = OptionReader::new("Commit", options);
    let commit_id = options.take_u64(option::COMMIT_ID)?.unwrap_or(0);
    let cache_policy = options.take_text(option::CACHE_POLICY)?;
    let path_capacity = options.take_u64(option::PATH_CAPACITY)?;
    let expires = options.take_u64(option::EXPIRES)?;
    options.finish()?;
    let cache_policy = cache_policy.map(|word| word.parse()).transpose();
    let cache_policy = cache_policy
        .map_err(|failure: Failure| failure.context("option \"cache_policy\" of Commit"))?;
    Ok(CommitOptions {
        commit_id,
        cache_policy,
        path_capacity,
        expires,
    })
}
