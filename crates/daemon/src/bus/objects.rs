//! The objects of one connection. What there is when the peer connects is there for its first
//! message; from then on providers, promises and jobs come and go as this connection's queue says, in
//! the order in which they came and went.
//!
//! An event is only a hint: what is shown is what the engine has when the event is worked off.
//! So an object is never added for something that is already gone, and an event that comes twice
//! does nothing the second time.

use std::sync::Arc;

use fuse_promise_core::failure::Result;
use fuse_promise_core::ids::{JobNumber, PromiseNumber, ProviderNumber};
use fuse_promise_engine::EngineEvent;
use fuse_promise_wire::bus::{ROOT_PATH, job_path, promise_path, provider_path};
use zbus::connection::Builder;
use zbus::message::Header;
use zbus::object_server::{Interface, InterfaceRef};
use zbus::{Connection, OwnedObjectPath};

use super::caller::Caller;
use super::calls::{Asker, Call};
use super::events::{Scope, Watch, WatchNumber};
use super::job::Job;
use super::manager::Manager;
use super::promise::Promise;
use super::provider::Provider;
use super::queue::Notice;
use super::service::{Service, Stage};

/// What every object of a connection knows.
#[derive(Clone)]
pub struct Context {
    pub service: Arc<Service>,
    pub caller: Caller,
    pub watch: WatchNumber,
}

impl Context {
    /// Begins a call of our own user's; see [`Service::begin`].
    pub async fn begin(&self, connection: &Connection, call: &Header<'_>) -> Result<Call<'_>> {
        let begun = self.begin_unchecked(call)?;
        self.caller.check(connection, call).await?;
        Ok(begun)
    }

    /// Begins a call whose user is looked at afterwards.
    pub fn begin_unchecked(&self, call: &Header<'_>) -> Result<Call<'_>> {
        let sender = match self.caller {
            Caller::Bus => call.sender().map(|sender| sender.to_owned()),
            // On the socket a peer may say what it likes about its name.
            Caller::Peer(_) => None,
        };
        let connection = self.watch;
        self.service.begin(Asker { connection, sender })
    }

    /// Destroys a promise; its object is gone from this connection when this returns.
    pub async fn destroy(&self, number: PromiseNumber) -> Result<()> {
        let service = &self.service;
        service
            .run(move |daemon| daemon.engine.destroy(number))
            .await?;
        let removed = EngineEvent::PromiseRemoved(number);
        service.events.shown(self.watch, removed).await;
        Ok(())
    }

    /// Serves what was added and is still there. What else happened concerns nothing that is
    /// served yet: a removal that is on its way comes through the queue.
    fn add<'a>(&self, builder: Builder<'a>, event: EngineEvent) -> Builder<'a> {
        match event {
            EngineEvent::ProviderAdded(number) => match self.provider(number) {
                Some(object) => builder.serve_at(provider_path(number), object),
                None => builder,
            },
            EngineEvent::PromiseAdded(number) => match self.promise(number) {
                Some(object) => builder.serve_at(promise_path(number), object),
                None => builder,
            },
            EngineEvent::JobAdded(number) => match self.job(number) {
                Some(object) => builder.serve_at(job_path(number.0), object),
                None => builder,
            },
            _ => builder,
        }
    }

    /// The object of a provider that is there.
    fn provider(&self, number: ProviderNumber) -> Option<Provider> {
        self.service.daemon.engine.provider(number)?;
        Some(Provider::new(self.clone(), number))
    }

    /// The object of a promise that is there.
    fn promise(&self, number: PromiseNumber) -> Option<Promise> {
        self.service.daemon.engine.promise(number)?;
        Some(Promise::new(self.clone(), number))
    }

    /// The object of a job that runs or is remembered.
    fn job(&self, number: JobNumber) -> Option<Job> {
        self.service.daemon.engine.job(number)?;
        Some(Job::new(self.clone(), number))
    }
}

/// A connection's tree and the queue that changes it.
pub struct Objects {
    context: Context,
    connection: Connection,
    watch: Watch,
}

impl Objects {
    /// Builds the connection with all that there is; what changes from now on is shown while
    /// [`serve`](Self::serve) runs.
    pub async fn connect(
        service: Arc<Service>,
        caller: Caller,
        scope: Scope,
        builder: Builder<'_>,
    ) -> zbus::Result<Self> {
        let mut watch = service.events.watch(scope);
        let context = Context {
            service,
            caller,
            watch: watch.number,
        };
        let mut builder = builder.serve_at(ROOT_PATH, Manager::new(context.clone()));
        if scope == Scope::Session {
            builder = builder.serve_at(ROOT_PATH, zbus::fdo::ObjectManager);
        }
        for event in watch.so_far().await {
            builder = context.add(builder, event);
        }
        let connection = builder.build().await?;
        Ok(Self {
            context,
            connection,
            watch,
        })
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps the tree true until the peer goes or the service closes.
    pub async fn serve(mut self) {
        let connection = self.connection.clone();
        let service = Arc::clone(&self.context.service);
        let caller = self.context.caller.clone();
        let overflows = self.watch.overflows();
        tokio::select! {
            () = self.follow() => {}
            () = overflows => caller.cut(),
            () = connection.closed() => {}
            () = service.reaches(Stage::Closing) => {}
        }
        // Fails if the peer was first.
        let _ = connection.close().await;
    }

    async fn follow(&mut self) {
        let mut mount = self.context.service.daemon.mount.subscribe();
        loop {
            let outcome = tokio::select! {
                notice = self.watch.next() => match notice {
                    Some(Notice::Event(event)) => self.show(event).await,
                    Some(Notice::Reached(reached)) => {
                        let _ = reached.send(());
                        Ok(())
                    }
                    None => return,
                },
                Ok(()) = mount.changed() => self.announce_mount().await,
            };
            if let Err(error) = outcome {
                // A connection that broke ends this task; anything else concerns one object.
                tracing::debug!(%error, "a change was not shown on a bus connection");
            }
        }
    }

    async fn show(&self, event: EngineEvent) -> zbus::Result<()> {
        match event {
            EngineEvent::ProviderAdded(number) => self.add_provider(number).await,
            EngineEvent::ProviderChanged(number) => self.announce_provider(number).await,
            EngineEvent::ProviderRemoved(number) => {
                self.remove::<Provider>(provider_path(number)).await
            }
            EngineEvent::PromiseAdded(number) => self.add_promise(number).await,
            EngineEvent::PromiseChanged(number) => self.announce_promise(number).await,
            EngineEvent::PromiseRemoved(number) => {
                self.remove::<Promise>(promise_path(number)).await
            }
            EngineEvent::JobAdded(number) => self.add_job(number).await,
            EngineEvent::JobProgress(number) | EngineEvent::JobFinished(number) => {
                self.announce_job(number, event).await
            }
            EngineEvent::JobRemoved(number) => self.remove::<Job>(job_path(number.0)).await,
        }
    }

    async fn add_provider(&self, number: ProviderNumber) -> zbus::Result<()> {
        let Some(object) = self.context.provider(number) else {
            return Ok(());
        };
        let server = self.connection.object_server();
        server.at(provider_path(number), object).await.map(|_| ())
    }

    async fn add_promise(&self, number: PromiseNumber) -> zbus::Result<()> {
        let Some(object) = self.context.promise(number) else {
            return Ok(());
        };
        let server = self.connection.object_server();
        server.at(promise_path(number), object).await.map(|_| ())
    }

    async fn add_job(&self, number: JobNumber) -> zbus::Result<()> {
        let Some(object) = self.context.job(number) else {
            return Ok(());
        };
        let server = self.connection.object_server();
        server.at(job_path(number.0), object).await.map(|_| ())
    }

    async fn remove<I: Interface>(&self, path: OwnedObjectPath) -> zbus::Result<()> {
        match self.connection.object_server().remove::<I, _>(path).await {
            // It was gone before it could be added.
            Err(zbus::Error::InterfaceNotFound) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn announce_provider(&self, number: ProviderNumber) -> zbus::Result<()> {
        match self.object::<Provider>(provider_path(number)).await {
            Some(object) => {
                let provider = object.get().await;
                provider.state_changed(object.signal_emitter()).await
            }
            None => Ok(()),
        }
    }

    async fn announce_promise(&self, number: PromiseNumber) -> zbus::Result<()> {
        match self.object::<Promise>(promise_path(number)).await {
            Some(object) => {
                let promise = object.get().await;
                promise.state_changed(object.signal_emitter()).await
            }
            None => Ok(()),
        }
    }

    /// An object that is shown here.
    async fn object<I: Interface>(&self, path: OwnedObjectPath) -> Option<InterfaceRef<I>> {
        let server = self.connection.object_server();
        server.interface::<_, I>(path).await.ok()
    }

    async fn announce_job(&self, number: JobNumber, event: EngineEvent) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let object = server.interface::<_, Job>(job_path(number.0)).await;
        let Ok(object) = object else {
            return Ok(());
        };
        let (job, emitter) = (object.get().await, object.signal_emitter());
        match event {
            EngineEvent::JobFinished(_) => job.tell_end(emitter).await,
            _ => job.tell_progress(emitter).await,
        }
    }

    async fn announce_mount(&self) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let manager = server.interface::<_, Manager>(ROOT_PATH).await?;
        let (object, emitter) = (manager.get().await, manager.signal_emitter());
        object.mount_changed(emitter).await?;
        object.mount_reason_changed(emitter).await
    }
}
