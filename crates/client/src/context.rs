//! A context: one runtime directory, and the way to its daemon.
//!
//! Opening one looks at the directory and nothing else. The first call that needs the daemon starts
//! the thread that speaks D-Bus, and that call connects or starts the daemon.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fuse_promise_core::{Failure, Result};
use fuse_promise_wire::RuntimeDir;
use tokio::runtime::Handle;

use crate::bus_address::session_bus;
use crate::connect::Site;
use crate::fork::{ParentOnly, claim_process, in_child, refuse_in_child};
use crate::handler::ReadHandler;
use crate::job::{Job, JobConnection};
use crate::link::Link;
use crate::list::list;
use crate::provider::{Farewell, Provider, Shared};
use crate::registration::ProviderOptions;
use crate::route::{Directory, Start};
use crate::runner::{Runner, run};
use crate::status::{DaemonStatus, status};

/// The time for one control call, starting the daemon included: well over what a busy machine
/// needs, well under what a person waits for.
const CALL_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default)]
pub struct ContextOptions {
    /// `None` for `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

/// Cheap to clone; all clones are one context. It is closed with the last of them.
#[derive(Clone)]
pub struct Context {
    inner: Arc<ParentOnly<Inner>>,
}

struct Inner {
    link: Arc<Link>,
    state: Mutex<State>,
}

/// How far closing has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Providers are being ended, which takes calls; nothing new is adopted.
    Closing,
    Closed,
}

struct State {
    phase: Phase,
    runner: Option<Runner>,
    providers: Vec<Weak<ParentOnly<Shared>>>,
    jobs: Vec<Weak<JobConnection>>,
}

impl Context {
    /// Needs no daemon. A relative or empty runtime directory, or one that is none, is
    /// `InvalidArgument`; a missing one `Unavailable`; one that others can use `Permission`.
    pub fn open(options: ContextOptions) -> Result<Self> {
        refuse_in_child()?;
        let runtime_dir = match &options.runtime_dir {
            Some(path) => RuntimeDir::open(path)?,
            None => RuntimeDir::from_env()?,
        };
        let site = Site {
            directory: whose(&runtime_dir),
            bus: session_bus(
                std::env::var_os("DBUS_SESSION_BUS_ADDRESS").as_deref(),
                runtime_dir.path(),
            ),
            runtime_dir,
            limit: CALL_LIMIT,
        };
        Ok(Self::at(site))
    }

    pub(crate) fn at(site: Site) -> Self {
        claim_process();
        let state = State {
            phase: Phase::Open,
            runner: None,
            providers: Vec::new(),
            jobs: Vec::new(),
        };
        Self {
            inner: Arc::new(ParentOnly::new(Inner {
                link: Arc::new(Link::new(site)),
                state: Mutex::new(state),
            })),
        }
    }

    /// Ends the providers of the context and its connection. Calls through it fail from then on.
    pub fn close(&self) {
        if !in_child() {
            self.inner.close();
        }
    }

    #[must_use]
    pub fn runtime_dir(&self) -> &RuntimeDir {
        &self.inner.link.site().runtime_dir
    }

    /// What a call says that starts no daemon and found none.
    pub(crate) fn no_daemon(&self) -> Failure {
        let directory = self.runtime_dir().path().display();
        Failure::unavailable(format!("no fuse-promised runs for {directory}"))
    }

    /// Registers a provider; starts the daemon if need be.
    pub fn register(
        &self,
        handler: Arc<dyn ReadHandler>,
        options: ProviderOptions,
    ) -> Result<Provider> {
        refuse_in_child()?;
        Provider::register(self, handler, options)
    }

    /// What the daemon says of itself; `None` if none runs and none may be started.
    pub fn status(&self, start: Start) -> Result<Option<DaemonStatus>> {
        refuse_in_child()?;
        self.control(move |link| async move {
            link.call(start, |daemon| async move { status(&daemon).await })
                .await
        })
    }

    /// Writes what the daemon holds as lines of key=value: the numbers of providers and promises,
    /// each promise and, if wanted, its nodes. Holds no more of it at a time than a pipe does. No
    /// daemon is started; without one it is `Unavailable`.
    pub fn list(&self, nodes: bool, lines: &mut dyn Write) -> Result<()> {
        refuse_in_child()?;
        list(self, nodes, lines)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn limit(&self) -> Duration {
        self.inner.link.site().limit
    }

    /// Runs a call on the thread that speaks D-Bus and waits for it.
    pub(crate) fn control<T, C, F>(&self, call: C) -> Result<T>
    where
        T: Send + 'static,
        C: FnOnce(Arc<Link>) -> F,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        run(&self.handle()?, call(Arc::clone(&self.inner.link)))
    }

    /// The next call makes a connection of its own.
    pub(crate) fn disconnect(&self) {
        if !in_child() {
            self.inner.link.disconnect();
        }
    }

    /// The event loop, started by the first call.
    pub(crate) fn handle(&self) -> Result<Handle> {
        let mut state = self.inner.lock();
        if state.phase == Phase::Closed {
            return Err(closed());
        }
        if let Some(runner) = &state.runner {
            return Ok(runner.handle().clone());
        }
        let runner = Runner::start()?;
        let handle = runner.handle().clone();
        state.runner = Some(runner);
        Ok(handle)
    }

    /// The context ends the provider when it is closed.
    pub(crate) fn adopt(&self, provider: &Arc<ParentOnly<Shared>>) -> Result<()> {
        let mut state = self.inner.lock();
        if state.phase != Phase::Open {
            return Err(closed());
        }
        state.providers.retain(|known| known.strong_count() > 0);
        state.providers.push(Arc::downgrade(provider));
        Ok(())
    }

    /// The context ends the job's connection when it is closed, and so the job unless it is
    /// detached.
    pub(crate) fn watch_over(&self, job: Job) -> Result<Job> {
        let mut state = self.inner.lock();
        if state.phase != Phase::Open {
            return Err(closed());
        }
        state.jobs.retain(|known| known.strong_count() > 0);
        state.jobs.push(Arc::downgrade(job.connection()));
        Ok(job)
    }
}

impl Inner {
    fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        let providers = std::mem::take(&mut state.providers);
        drop(state);
        let mut farewell = Farewell::default();
        for provider in providers.iter().filter_map(Weak::upgrade) {
            provider.unregister(&mut farewell);
        }
        let mut state = self.lock();
        state.phase = Phase::Closed;
        let runner = state.runner.take();
        for job in state.jobs.iter().filter_map(Weak::upgrade) {
            job.let_go();
        }
        // Joins the thread, which no lock may be held for.
        drop(state);
        drop(runner);
        self.link.disconnect();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Ours only if it is what the environment says; otherwise no bus is asked.
fn whose(runtime_dir: &RuntimeDir) -> Directory {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(session) if runtime_dir.is_same(session.as_ref()) => Directory::Session,
        _ => Directory::Other,
    }
}

fn closed() -> Failure {
    Failure::unavailable("the context is closed")
}

#[cfg(test)]
mod tests;
