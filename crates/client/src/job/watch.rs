//! Hearing that a job has news. A task takes every signal of the job off the connection at once,
//! so that whoever is slow to ask holds nobody else's answers up, and remembers only that there
//! was one.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use zbus::MessageStream;
use zbus::export::futures_core::Stream;

/// Without any signal it is asked this often: a daemon that died on the bus tells nobody.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    heard: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Must be called inside the runtime.
    pub(super) fn of(mut signals: MessageStream) -> Self {
        let heard = Arc::new(Notify::new());
        let telling = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while poll_fn(|task| Pin::new(&mut signals).poll_next(task))
                .await
                .is_some()
            {
                telling.notify_one();
            }
            // The connection has ended, which is news.
            telling.notify_one();
        });
        Self { heard, task }
    }

    /// Returns at a signal that came since the last time, or after a while, of `left` at most.
    pub(super) fn news(&self, left: Option<Duration>) -> impl Future<Output = ()> + Send + 'static {
        let heard = Arc::clone(&self.heard);
        let patience = left.map_or(PATIENCE, |left| left.min(PATIENCE));
        async move {
            // Running out of patience is news enough.
            let _ = tokio::time::timeout(patience, heard.notified()).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
