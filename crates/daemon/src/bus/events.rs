//! From the engine's events to the objects on each connection.
//!
//! The engine drops an event into a queue and goes on. One task takes them out and passes each to
//! the connections it concerns (the router says which). Each connection works off a queue of its
//! own, so a peer that reads nothing keeps no other waiting, and is given up when too much waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_engine::{Engine, EngineEvent, Observer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::queue::{Notice, QueueReceiver, QueueSender, queue};
use super::router::Router;
use super::ties::Ties;

/// The engine's end.
pub struct EventSender(UnboundedSender<Item>);

/// The bus's end.
pub struct EventReceiver {
    events: Events,
    items: UnboundedReceiver<Item>,
}

/// The queue between engine and bus; engine events wait in it until there is a bus.
pub fn event_channel() -> (EventSender, EventReceiver) {
    let (sender, items) = unbounded_channel();
    let events = Events {
        items: sender.clone(),
        next_watch: Arc::new(AtomicU64::new(0)),
        ties: Ties::default(),
    };
    (EventSender(sender), EventReceiver { events, items })
}

impl Observer for EventSender {
    fn event(&self, event: EngineEvent) {
        // Fails only when the bus has ended, and then nobody watches.
        let _ = self.0.send(Item::Engine(event));
    }
}

/// Which part of the tree a connection shows below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All providers, promises and jobs.
    Session,
    /// The providers of one process, by its number, and the jobs that the connection began.
    Process(u32),
}

impl Scope {
    /// Whether the event is about a kind of object that is shown at all.
    pub fn shows(self, event: &EngineEvent) -> bool {
        match event {
            EngineEvent::ProviderAdded(_)
            | EngineEvent::ProviderChanged(_)
            | EngineEvent::ProviderRemoved(_)
            | EngineEvent::JobAdded(_)
            | EngineEvent::JobProgress(_)
            | EngineEvent::JobFinished(_)
            | EngineEvent::JobRemoved(_) => true,
            EngineEvent::PromiseAdded(_)
            | EngineEvent::PromiseChanged(_)
            | EngineEvent::PromiseRemoved(_) => self == Self::Session,
        }
    }
}

/// One connection among those that are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchNumber(pub u64);

/// A connection's queue. Dropping it ends the telling.
pub struct Watch {
    pub number: WatchNumber,
    queue: QueueReceiver,
    events: Events,
}

impl Watch {
    pub async fn next(&mut self) -> Option<Notice> {
        self.queue.next().await
    }

    /// Returns once the connection has fallen too far behind.
    pub fn overflows(&self) -> impl Future<Output = ()> + Send + use<> {
        self.queue.overflows()
    }

    /// Takes out what has been told so far, beginning with all that was there at the start.
    pub async fn so_far(&mut self) -> Vec<EngineEvent> {
        // Nobody waits for it; it marks the place in the queue.
        let (mark, _) = oneshot::channel();
        self.events.send(Item::Show(self.number, None, mark));
        let mut told = Vec::new();
        while let Some(Notice::Event(event)) = self.next().await {
            told.push(event);
        }
        told
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.events.send(Item::Unwatch(self.number));
    }
}

/// The way to the task that passes events on.
#[derive(Clone)]
pub struct Events {
    items: UnboundedSender<Item>,
    next_watch: Arc<AtomicU64>,
    ties: Ties,
}

/// What the task finds in its queue.
pub enum Item {
    Engine(EngineEvent),
    Watch(WatchNumber, Scope, QueueSender),
    Unwatch(WatchNumber),
    /// For one connection: this event, if any, and then the word that it was shown.
    Show(WatchNumber, Option<EngineEvent>, oneshot::Sender<()>),
}

impl Events {
    /// Joins those that are told, beginning with all that is there already.
    pub fn watch(&self, scope: Scope) -> Watch {
        let number = WatchNumber(self.next_watch.fetch_add(1, Ordering::Relaxed));
        let (sender, queue) = queue(scope);
        self.send(Item::Watch(number, scope, sender));
        Watch {
            number,
            queue,
            events: self.clone(),
        }
    }

    /// The jobs that end with their callers.
    pub fn ties(&self) -> Ties {
        self.ties.clone()
    }

    /// Returns when this connection shows the outcome of `event`, so that a caller finds the
    /// object that its call has made, and no longer one that its call has removed.
    pub async fn shown(&self, watch: WatchNumber, event: EngineEvent) {
        let (sender, reached) = oneshot::channel();
        self.send(Item::Show(watch, Some(event), sender));
        // A connection that went away meanwhile drops the sender; nobody is left to show it to.
        let _ = reached.await;
    }

    fn send(&self, item: Item) {
        // Fails only when the bus has ended, and then nobody watches.
        let _ = self.items.send(item);
    }
}

impl EventReceiver {
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Passes events on; ends with the task that runs it.
    pub async fn pass_on(mut self, engine: Arc<Engine>) {
        let mut router = Router::new(engine);
        while let Some(item) = self.items.recv().await {
            if let Item::Engine(EngineEvent::JobFinished(job)) = item {
                self.events.ties.release(job);
            }
            router.take(item);
        }
    }
}
