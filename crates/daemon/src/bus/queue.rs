//! One connection's queue of what it is to show. What was there when the connection came is not
//! counted; of what is told later only so much may wait, and then the connection is given up: its
//! peer reads nothing, and what it costs us would grow for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuse_promise_engine::EngineEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};

use super::events::Scope;

/// Waiting for a peer of the socket, which hears of its own providers and jobs only.
const WAITING_FOR_PEER_MAX: usize = 16 << 10;

/// Waiting for the session bus, which hears of every promise: the ends of sixteen providers with
/// all the promises they may have come at once.
const WAITING_FOR_SESSION_MAX: usize = 1 << 20;

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
        Scope::Session => WAITING_FOR_SESSION_MAX,
        Scope::Process(_) => WAITING_FOR_PEER_MAX,
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
