//! The life of the daemon, from the first check to the last file removed.
//!
//! The start goes from what can refuse to what can be seen: runtime directory, lock, socket,
//! engine, mount, then the bus objects, the bus name, and last the word to the service manager
//! that the daemon is ready. A daemon without a mount is started all the same: it answers every
//! call with the reason, and gives up after a while.
//!
//! The end takes the mount away first, so that nobody new gets in; then reads that are still in
//! flight are answered with an error. No provider is waited for.

use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_engine::{Engine, EngineOptions};
use fuse_promise_wire::{DaemonLock, RuntimeDir};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::activation::{self, StartedBy};
use crate::bus::{self, Bus};
use crate::control_socket::ControlSocket;
use crate::daemon::Daemon;
use crate::mount::{self, Mount};
use crate::options::Options;
use crate::{notify, process};

/// How long a daemon that never got a mount goes on telling callers why. Long enough for the call
/// that started it, and for the user to try again; a unit must not run for nothing.
const WITHOUT_MOUNT: Duration = Duration::from_secs(30);

/// Runs the daemon to its end.
pub fn run(options: Options) -> ExitCode {
    process::abort_on_panic();
    process::raise_descriptor_limit();
    match start(options) {
        Ok(()) => {
            tracing::info!("ended as asked");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!("{failure}");
            notify::status(&failure.message);
            ExitCode::FAILURE
        }
    }
}

fn start(options: Options) -> Result<()> {
    // Takes variables out of the environment, so it comes before anything that starts a thread.
    let passed = activation::passed_listener()?;
    let runtime_dir = RuntimeDir::from_env()?;
    let Some(lock) = DaemonLock::acquire(&runtime_dir)? else {
        let path = runtime_dir.path().display();
        return Err(Failure::unavailable(format!(
            "another fuse-promised already serves {path}; there is one per runtime directory"
        )));
    };
    let socket = ControlSocket::open(&runtime_dir.socket_path(), passed)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(format!("the event loop: {error}")))?;
    let outcome = runtime.block_on(serve(options, runtime_dir, socket.listener));
    // Work that is still being done for a caller may wait for a provider; it is not waited for.
    runtime.shutdown_background();
    drop(socket.file);
    // Last, so that a successor finds everything gone.
    drop(lock);
    outcome
}

async fn serve(options: Options, runtime_dir: RuntimeDir, listener: UnixListener) -> Result<()> {
    let mut asked_to_end = EndSignals::listen()?;
    let listener = bus::awaitable(listener)?;
    notify::status("Starting");
    let (observer, events) = bus::event_channel();
    let engine = Engine::start(engine_options(&options, &runtime_dir), Arc::new(observer))?;
    let mount = Mount::new(&runtime_dir, Arc::clone(&engine))?;
    // Its failure is logged, kept for the callers, and ends the daemon later.
    let mounted = mount.require();
    let daemon = Arc::new(Daemon {
        engine: Arc::clone(&engine),
        runtime_dir,
        mount: Arc::clone(&mount),
        options,
    });
    let bus = Bus::new(Arc::clone(&daemon), events);
    bus.serve_socket(listener);
    let serving = async {
        take_name(&bus, &daemon).await;
        match mounted {
            Ok(()) => notify::ready("Serving"),
            Err(failure) => notify::ready(&failure.message),
        }
        mount::supervise(Arc::clone(&mount), WITHOUT_MOUNT).await
    };
    let outcome = tokio::select! {
        () = asked_to_end.any() => Ok(()),
        failure = serving => Err(failure),
    };
    notify::stopping();
    mount.close();
    engine.stop();
    bus.stop().await;
    outcome
}

fn engine_options(options: &Options, runtime_dir: &RuntimeDir) -> EngineOptions {
    EngineOptions {
        cache_policy: options.cache,
        read_timeout: options.read_timeout,
        linger: options.linger,
        linger_materialized: options.linger_materialized,
        materialize_memory: options.materialize_memory,
        cache_size: options.cache_size,
        cache_dir: options.cache_dir.clone(),
        readahead: options.readahead,
        ..EngineOptions::new(runtime_dir.clone())
    }
}

/// A daemon that somebody started by hand in a directory of their own inherits the address of the
/// login session's bus. It must not become that session's daemon.
async fn take_name(bus: &Bus, daemon: &Daemon) {
    let started_by = StartedBy::of_process(daemon.options.bus_activated);
    if started_by == StartedBy::Hand && !activation::bus_lies_in(&daemon.runtime_dir) {
        tracing::info!("the session bus is not this directory's; clients come by the socket alone");
        return;
    }
    if let Err(failure) = bus.own_name().await {
        tracing::error!("{failure}; clients come by the socket alone");
    }
}

/// SIGTERM and SIGINT, from the moment they are listened for.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn listen() -> Result<Self> {
        let listen = |kind| {
            let failed = |error| Failure::unavailable(format!("signals cannot be caught: {error}"));
            signal(kind).map_err(failed)
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
