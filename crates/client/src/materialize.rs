//! Beginning a materialize: what can be refused without a daemon is, then the daemon is asked for
//! a job.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_core::{Failure, PromiseNumber, Result};
use fuse_promise_wire::bus::option;
use fuse_promise_wire::clock::monotonic_nanoseconds;
use zbus::{Fd, OwnedObjectPath, Variant};

use crate::context::Context;
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::fork::refuse_in_child;
use crate::job::Job;
use crate::session::is_serving;
use crate::target::open_target;

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct MaterializeOptions {
    /// About something that is there already.
    pub policy: ConflictPolicy,
    /// Bring everything to disk before it counts as written.
    pub sync: bool,
    /// Go on when this process ends or closes its context.
    pub detach: bool,
    /// Whether whoever waits for the job has the last word: until it has looked at the complete
    /// copy, that can still be taken back.
    pub confirm: bool,
}

impl Default for MaterializeOptions {
    fn default() -> Self {
        Self {
            policy: ConflictPolicy::Fail,
            sync: false,
            detach: false,
            confirm: false,
        }
    }
}

impl Context {
    /// Begins to copy a promised file or directory, by its path in the mount, into a directory.
    ///
    /// A relative path, a target that is no directory or a symlink, and, from inside a read
    /// callback, a promise of that callback's provider are `InvalidArgument`, a missing target
    /// `NotFound`, before any daemon is asked.
    pub fn materialize(
        &self,
        source: &Path,
        target: &Path,
        options: MaterializeOptions,
    ) -> Result<Job> {
        refuse_in_child()?;
        self.check_source(source)?;
        let target = Arc::new(open_target(target)?);
        let limit = u64::try_from(self.limit().as_nanos()).unwrap_or(u64::MAX);
        let expires = monotonic_nanoseconds().saturating_add(limit);
        let source: Arc<[u8]> = source.as_os_str().as_bytes().into();
        let (daemon, object) = self.control(move |link| async move {
            link.call_started(|daemon| {
                let (target, source) = (Arc::clone(&target), Arc::clone(&source));
                async move {
                    let asked = Asked {
                        source: &source,
                        target: &target,
                        options,
                        expires,
                    };
                    let object = asked.of(&daemon).await?;
                    Ok((daemon, object))
                }
            })
            .await
        })?;
        self.watch_over(Job::new(self, daemon, object, options.confirm))
    }

    fn check_source(&self, source: &Path) -> Result<()> {
        let shown = source.display();
        if !source.is_absolute() {
            return Err(Failure::invalid(format!(
                "promise path {shown} is not absolute"
            )));
        }
        let mount = self.runtime_dir().mount_path();
        let inside = source.strip_prefix(mount).ok();
        let first = inside.and_then(|inside| inside.components().next());
        let id = match first {
            Some(Component::Normal(id)) => id.to_str(),
            _ => None,
        };
        if id.and_then(PromiseNumber::parse).is_some_and(is_serving) {
            return Err(Failure::invalid(format!(
                "{shown} is promised by the very provider whose read callback this is; the copy \
                 would wait for the callback, and the callback for the copy"
            )));
        }
        Ok(())
    }
}

/// The call as it travels.
struct Asked<'a> {
    source: &'a [u8],
    target: &'a std::os::fd::OwnedFd,
    options: MaterializeOptions,
    expires: u64,
}

impl Asked<'_> {
    async fn of(&self, daemon: &Daemon) -> Result<OwnedObjectPath, Fault> {
        let options = HashMap::from([
            (option::POLICY, Variant::from(self.options.policy.word())),
            (option::SYNC, Variant::from(self.options.sync)),
            (option::DETACH, Variant::from(self.options.detach)),
            (option::CONFIRM, Variant::from(self.options.confirm)),
            (option::EXPIRES, Variant::from(self.expires)),
        ]);
        let arguments = (self.source, Fd::from(self.target), options);
        daemon.manager("Materialize", &arguments).await
    }
}
