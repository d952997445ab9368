//! One connection's queue of what it is to show. What was there when the connection came is not
//! counted; of what is told later only so much may wait, and then the connection is given up: its
//! peer reads nothing, and what it costs us would grow for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuse_promise_core::limits::{NEWS_FOR_PEER_MAX, NEWS_FOR_SESSION_MAX};
use fuse_promise_engine::EngineEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};

use super::events::Scope;

/// What a connection finds in its queue.
pub enum Notice {
    Event(EngineEvent),
    /// Everything before this has been shown.
    Reached(oneshot::Sender<()>),
}

/// Shared by both ends.
struct Backlog {
    waiting: AtomicUsize,
    most: AtomicUsize,
    overflow: Notify,
}

/// The end that tells.
pub struct QueueSender {
    notices: UnboundedSender<Notice>,
    backlog: Arc<Backlog>,
}

/// The end that shows.
pub struct QueueReceiver {
    notices: UnboundedReceiver<Notice>,
    backlog: Arc<Backlog>,
}

/// A queue for a connection that shows this much.
pub fn queue(scope: Scope) -> (QueueSender, QueueReceiver) {
    let most = match scope {
        Scope::Session => NEWS_FOR_SESSION_MAX,
        Scope::Process(_) => NEWS_FOR_PEER_MAX,
    };
    let backlog = Arc::new(Backlog {
        waiting: AtomicUsize::new(0),
        most: AtomicUsize::new(most),
        overflow: Notify::new(),
    });
    let (sender, receiver) = unbounded_channel();
    let tells = QueueSender {
        notices: sender,
        backlog: Arc::clone(&backlog),
    };
    let shows = QueueReceiver {
        notices: receiver,
        backlog,
    };
    (tells, shows)
}

impl QueueSender {
    /// Something that was there before the connection.
    pub fn tell_first(&self, event: EngineEvent) {
        self.backlog.most.fetch_add(1, Ordering::Relaxed);
        self.tell(Notice::Event(event));
    }

    /// What does not fit is dropped, together with the connection.
    pub fn tell(&self, notice: Notice) {
        let waiting = self.backlog.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting >= self.backlog.most.load(Ordering::Relaxed) {
            self.backlog.waiting.fetch_sub(1, Ordering::Relaxed);
            self.backlog.overflow.notify_one();
            return;
        }
        // A closed queue is one whose Unwatch is on its way.
        let _ = self.notices.send(notice);
    }
}

impl QueueReceiver {
    pub async fn next(&mut self) -> Option<Notice> {
        let notice = self.notices.recv().await?;
        self.backlog.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(notice)
    }

    /// Returns once something did not fit.
    pub fn overflows(&self) -> impl Future<Output = ()> + Send + use<> {
        let backlog = Arc::clone(&self.backlog);
        async move { backlog.overflow.notified().await }
    }

    #[cfg(test)]
    pub fn try_next(&mut self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::ids::ProviderNumber;

    use super::*;
    use crate::bus::tests::run;

    #[test]
    fn as_much_as_may_wait_waits_and_one_more_gives_the_connection_up() {
        for (scope, most) in [
            (Scope::Session, NEWS_FOR_SESSION_MAX),
            (Scope::Process(1), NEWS_FOR_PEER_MAX),
        ] {
            run(async move {
                let event = EngineEvent::ProviderAdded(ProviderNumber(1));
                let (tells, mut shows) = queue(scope);
                // What was there before the connection is not counted.
                for _ in 0..3 {
                    tells.tell_first(event);
                }
                for _ in 0..most {
                    tells.tell(Notice::Event(event));
                }
                let overflows = shows.overflows();
                tokio::pin!(overflows);
                let overflowed = tokio::select! {
                    biased;
                    () = &mut overflows => true,
                    () = std::future::ready(()) => false,
                };
                assert!(!overflowed, "as much may wait");
                tells.tell(Notice::Event(event));
                overflows.await;
                let mut waited = 0;
                while shows.try_next().is_some() {
                    waited += 1;
                }
                assert_eq!(waited, most + 3);
            });
        }
    }
}
