//! The thread "fp-bus": one per context, it runs everything that speaks D-Bus.
//!
//! Callers block on a plain channel while their call runs there as a task; so they need no runtime
//! of their own, and may themselves be tasks of some other runtime. Tasks never block.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use fuse_promise_core::{Failure, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::event_loop::descriptors_of;
use crate::fork::Listed;
use crate::threads;

/// Dropping it ends the thread; tasks that still run are dropped with it.
pub(crate) struct Runner {
    handle: Handle,
    /// The runtime's descriptors, which the thread closes.
    listed: Vec<Listed>,
    /// Dropping the sender is the signal to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("fp-bus")
            .build()
            .map_err(|error| {
                Failure::unavailable(format!("cannot start the library's event loop: {error}"))
            })?;
        let handle = runtime.handle().clone();
        let descriptors = descriptors_of(&runtime);
        let listed = descriptors.into_iter().map(Listed::number).collect();
        let (stop, stopped) = oneshot::channel();
        let thread = threads::spawn("fp-bus", move || drive(runtime, stopped))?;
        Ok(Self {
            handle,
            listed,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

fn drive(runtime: Runtime, stopped: oneshot::Receiver<()>) {
    // Ends when the sender is dropped; nothing is ever sent.
    let _ = runtime.block_on(stopped);
    // Waits for no task and no helper thread.
    runtime.shutdown_background();
}

/// Runs the future on the thread behind the handle and waits for its output.
pub(crate) fn run<T: Send + 'static>(
    handle: &Handle,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (send, receive) = sync_channel(1);
    handle.spawn(async move {
        // The caller waits for exactly this.
        let _ = send.send(future.await);
    });
    receive.recv().unwrap_or_else(|_| {
        Err(Failure::unavailable(
            "the context was closed during the call",
        ))
    })
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.listed.clear();
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It panics only if a task of ours does; there is nothing left to save then.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn a_future_runs_on_the_named_thread() {
        let runner = Runner::start().unwrap();
        let name = run(runner.handle(), async {
            Ok(std::thread::current().name().map(str::to_owned))
        });
        assert_eq!(name.unwrap().as_deref(), Some("fp-bus"));
    }

    #[test]
    fn a_call_that_still_runs_when_the_thread_ends_fails() {
        let runner = Runner::start().unwrap();
        let handle = runner.handle().clone();
        let (entered, wait_entered) = sync_channel(1);
        let caller = std::thread::spawn(move || {
            run(&handle, async move {
                entered.send(()).unwrap();
                pending::<Result<()>>().await
            })
        });
        wait_entered.recv().unwrap();
        drop(runner);
        let failure = caller.join().unwrap().unwrap_err();
        assert_eq!(failure.status, fuse_promise_core::Status::Unavailable);
    }
}
