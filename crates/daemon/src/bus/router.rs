//! Which connections an event concerns: those to the session bus hear everything, those by the
//! socket hear of the providers of the process behind them and of the jobs they began. A promise
//! so costs the same with any number of peers.

use std::collections::HashMap;
use std::sync::Arc;

use fuse_promise_core::ids::{JobNumber, ProviderNumber};
use fuse_promise_engine::{Engine, EngineEvent};

use super::events::{Item, Scope, WatchNumber};
use super::queue::{Notice, QueueSender};

struct Watcher {
    scope: Scope,
    queue: QueueSender,
}

/// The table of connections.
pub struct Router {
    engine: Arc<Engine>,
    watchers: HashMap<WatchNumber, Watcher>,
    session: Vec<WatchNumber>,
    of_process: HashMap<u32, Vec<WatchNumber>>,
    /// Kept because a provider that was removed can no longer be asked.
    process_of: HashMap<ProviderNumber, u32>,
    /// The connections by the socket that began a job.
    beginner_of: HashMap<JobNumber, WatchNumber>,
}

impl Router {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            watchers: HashMap::new(),
            session: Vec::new(),
            of_process: HashMap::new(),
            process_of: HashMap::new(),
            beginner_of: HashMap::new(),
        }
    }

    pub fn take(&mut self, item: Item) {
        match item {
            Item::Engine(event) => self.route(event),
            Item::Watch(number, scope, queue) => self.join(number, Watcher { scope, queue }),
            Item::Unwatch(number) => self.leave(number),
            Item::Show(number, event, reached) => {
                let Some(scope) = self.watchers.get(&number).map(|watcher| watcher.scope) else {
                    return;
                };
                if let Some(event) = event.filter(|event| scope.shows(event)) {
                    self.learn_beginner(number, scope, event);
                    self.tell(number, event);
                }
                self.put(number, Notice::Reached(reached));
            }
        }
    }

    fn route(&mut self, event: EngineEvent) {
        for number in &self.session {
            self.tell(*number, event);
        }
        let process = match event {
            EngineEvent::ProviderAdded(provider) => self.learn_process(provider),
            EngineEvent::ProviderChanged(provider) => self.process_of.get(&provider).copied(),
            EngineEvent::ProviderRemoved(provider) => self.process_of.remove(&provider),
            EngineEvent::PromiseAdded(_)
            | EngineEvent::PromiseChanged(_)
            | EngineEvent::PromiseRemoved(_) => None,
            // Its beginner is told by the answer to the call.
            EngineEvent::JobAdded(_) => None,
            EngineEvent::JobProgress(job) | EngineEvent::JobFinished(job) => {
                return self.tell_beginner(self.beginner_of.get(&job).copied(), event);
            }
            EngineEvent::JobRemoved(job) => {
                let beginner = self.beginner_of.remove(&job);
                return self.tell_beginner(beginner, event);
            }
        };
        let peers = process.and_then(|process| self.of_process.get(&process));
        for number in peers.into_iter().flatten() {
            self.tell(*number, event);
        }
    }

    fn learn_process(&mut self, provider: ProviderNumber) -> Option<u32> {
        let pid = self.engine.provider(provider)?.pid;
        self.process_of.insert(provider, pid);
        Some(pid)
    }

    /// A connection by the socket shows the jobs it began, and no other connection can say so.
    fn learn_beginner(&mut self, number: WatchNumber, scope: Scope, event: EngineEvent) {
        let EngineEvent::JobAdded(job) = event else {
            return;
        };
        if scope != Scope::Session && self.engine.job(job).is_some() {
            self.beginner_of.insert(job, number);
        }
    }

    fn tell_beginner(&self, beginner: Option<WatchNumber>, event: EngineEvent) {
        if let Some(beginner) = beginner {
            self.tell(beginner, event);
        }
    }

    fn tell(&self, number: WatchNumber, event: EngineEvent) {
        self.put(number, Notice::Event(event));
    }

    fn put(&self, number: WatchNumber, notice: Notice) {
        if let Some(watcher) = self.watchers.get(&number) {
            watcher.queue.tell(notice);
        }
    }

    fn join(&mut self, number: WatchNumber, watcher: Watcher) {
        let providers = self.engine.providers();
        match watcher.scope {
            Scope::Session => {
                self.session.push(number);
                let providers = providers.into_iter().map(EngineEvent::ProviderAdded);
                let promises = self.engine.promises().into_iter();
                let jobs = self.engine.jobs().into_iter().map(EngineEvent::JobAdded);
                let all = providers.chain(promises.map(EngineEvent::PromiseAdded));
                all.chain(jobs)
                    .for_each(|event| watcher.queue.tell_first(event));
            }
            Scope::Process(pid) => {
                self.of_process.entry(pid).or_default().push(number);
                for provider in providers {
                    if self.learn_process(provider) == Some(pid) {
                        let added = EngineEvent::ProviderAdded(provider);
                        watcher.queue.tell_first(added);
                    }
                }
            }
        }
        self.watchers.insert(number, watcher);
    }

    fn leave(&mut self, number: WatchNumber) {
        let Some(watcher) = self.watchers.remove(&number) else {
            return;
        };
        self.beginner_of.retain(|_, beginner| *beginner != number);
        match watcher.scope {
            Scope::Session => self.session.retain(|known| *known != number),
            Scope::Process(pid) => {
                let peers = self.of_process.entry(pid).or_default();
                peers.retain(|known| *known != number);
                if peers.is_empty() {
                    self.of_process.remove(&pid);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_engine::{Client, EngineOptions, ProviderConfig, Registration};

    use super::*;
    use crate::bus::events::event_channel;
    use crate::bus::queue::{QueueReceiver, queue};
    use crate::private_directory::PrivateDirectory;

    /// A router, and a provider of process 1 and one of process 2.
    fn router() -> (Router, [Registration; 2]) {
        let directory = PrivateDirectory::new();
        let options = EngineOptions::new(directory.runtime_dir());
        let engine = Engine::start(options, Arc::new(event_channel().0)).unwrap();
        let providers = [1, 2].map(|pid| {
            let client = Client {
                pid,
                uid: 0,
                program: String::new(),
                process: None,
            };
            let registered = engine.register(client, ProviderConfig::default());
            registered.unwrap()
        });
        (Router::new(engine), providers)
    }

    fn join(router: &mut Router, number: u64, scope: Scope) -> QueueReceiver {
        let (queue, notices) = queue(scope);
        router.take(Item::Watch(WatchNumber(number), scope, queue));
        notices
    }

    fn told(notices: &mut QueueReceiver) -> Vec<EngineEvent> {
        let mut told = Vec::new();
        while let Some(Notice::Event(event)) = notices.try_next() {
            told.push(event);
        }
        told
    }

    #[test]
    fn each_connection_hears_what_it_shows() {
        let (mut router, providers) = router();
        let [first, second] = [0, 1].map(|place: usize| providers[place].provider);
        let mut session = join(&mut router, 0, Scope::Session);
        let mut peer = join(&mut router, 1, Scope::Process(2));
        let (added, other) = (
            EngineEvent::ProviderAdded(first),
            EngineEvent::ProviderAdded(second),
        );
        assert_eq!(told(&mut session), [added, other]);
        assert_eq!(told(&mut peer), [other]);
        let promise = fuse_promise_core::ids::PromiseNumber(1);
        let events = [
            EngineEvent::PromiseAdded(promise),
            EngineEvent::ProviderChanged(first),
            EngineEvent::ProviderChanged(second),
            EngineEvent::ProviderRemoved(second),
            EngineEvent::ProviderRemoved(first),
        ];
        for event in events {
            router.take(Item::Engine(event));
        }
        assert_eq!(told(&mut session), events);
        assert_eq!(told(&mut peer), events[2..4]);
        router.engine.stop();
    }

    #[test]
    fn connections_and_providers_that_went_leave_nothing() {
        let (mut router, providers) = router();
        let scopes = [
            Scope::Session,
            Scope::Process(1),
            Scope::Process(1),
            Scope::Process(9),
        ];
        let queues: Vec<_> = (0..).zip(scopes).collect();
        for (number, scope) in &queues {
            join(&mut router, *number, *scope);
        }
        assert_eq!((router.session.len(), router.of_process.len()), (1, 2));
        for (number, _) in &queues {
            // Twice does no harm.
            router.take(Item::Unwatch(WatchNumber(*number)));
            router.take(Item::Unwatch(WatchNumber(*number)));
        }
        for registered in &providers {
            let removed = EngineEvent::ProviderRemoved(registered.provider);
            router.take(Item::Engine(removed));
        }
        assert!(router.watchers.is_empty() && router.session.is_empty());
        assert!(router.of_process.is_empty() && router.process_of.is_empty());
        assert!(router.beginner_of.is_empty());
        router.engine.stop();
    }
}
