//! The engine as a whole: its tables, its threads, and what watchers may ask.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, ProviderNumber};
use fuse_promise_wire::SegmentStore;

use crate::cache::Cache;
use crate::catalog::Catalog;
use crate::disk_readers::DiskReaders;
use crate::gauges::Gauges;
use crate::kernel::{Kernel, Notifier};
use crate::materialize::{Jobs, Memory, PARTIALS, pages, sweep};
use crate::numbers::Numbers;
use crate::observe::{Observer, PromiseSnapshot, ProviderSnapshot};
use crate::options::EngineOptions;
use crate::promise::Promise;
use crate::session::{Counters, Ending, Pump, Session};
use crate::sync::Mutex;

/// The one runtime of a user session: catalog of promises, provider sessions,
/// and the threads that serve them.
pub struct Engine {
    pub(crate) options: EngineOptions,
    pub(crate) catalog: Catalog,
    pub(crate) numbers: Mutex<Numbers>,
    pub(crate) segments: SegmentStore,
    pub(crate) notifier: Notifier,
    pub(crate) pump: Arc<Pump>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) jobs: Jobs,
    pub(crate) job_memory: Arc<Memory>,
    pub(crate) cache: Cache,
    /// For the cache's own disk.
    pub(crate) disk_readers: DiskReaders,
    /// For copies, which may lie on a disk that hangs.
    pub(crate) copy_readers: DiskReaders,
    sessions: RwLock<HashMap<ProviderNumber, Arc<Session>>>,
    /// Counters of sessions that are no longer in the table.
    past: Mutex<Counters>,
    faulty_sessions: AtomicU64,
    /// What the kernel can do with files that bypass its page cache.
    pub(crate) maps_direct_io: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Starts an engine with no promise and no provider.
    ///
    /// # Errors
    /// `Unavailable` when the numbers file cannot be used or the system gives no
    /// descriptors or threads.
    pub fn start(options: EngineOptions, observer: Arc<dyn Observer>) -> Result<Arc<Engine>> {
        let partials = options.runtime_dir.path().join(PARTIALS);
        let left = pages(&partials);
        // Detached: a target on a file system that hangs must not hold up a start.
        std::thread::Builder::new()
            .name("fp-sweep".into())
            .spawn(move || sweep(&left))
            .map_err(cannot_start)?;
        let numbers = Numbers::open(&options.runtime_dir.state_path())?;
        let pump = Arc::new(Pump::new().map_err(cannot_start)?);
        let (notifier, notifier_thread) = Notifier::start().map_err(cannot_start)?;
        let job_memory = Arc::new(Memory::new(options.materialize_memory));
        let cache = Cache::new(&options)?;
        let engine = Arc::new(Engine {
            options,
            catalog: Catalog::default(),
            numbers: Mutex::new(numbers),
            segments: SegmentStore::new(),
            notifier,
            pump: Arc::clone(&pump),
            observer,
            jobs: Jobs::default(),
            job_memory,
            cache,
            disk_readers: DiskReaders::default(),
            copy_readers: DiskReaders::default(),
            sessions: RwLock::default(),
            past: Mutex::default(),
            faulty_sessions: AtomicU64::new(0),
            maps_direct_io: AtomicBool::new(true),
            threads: Mutex::new(vec![notifier_thread]),
        });
        let served = Arc::clone(&engine);
        let pump_thread = std::thread::Builder::new()
            .name("fp-pump".into())
            .spawn(move || pump.run(&served))
            .map_err(cannot_start)?;
        engine.threads.lock().push(pump_thread);
        Ok(engine)
    }

    /// Sets or replaces the mount that is told of changes.
    pub fn set_kernel(&self, kernel: Arc<dyn Kernel>) {
        self.maps_direct_io
            .store(kernel.maps_direct_io(), Ordering::Release);
        self.notifier.set_kernel(kernel);
    }

    /// Ends everything: readers in flight get an error, sessions are closed,
    /// threads end, unused numbers are given back.
    pub fn stop(&self) {
        for session in self.all_sessions() {
            self.end_session(&session, Ending::Stopping);
        }
        self.jobs.close();
        self.pump.stop();
        self.notifier.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A thread that panicked has aborted the daemon already.
            let _ = thread.join();
        }
        if let Err(failure) = self.numbers.lock().give_back() {
            tracing::warn!("unused promise numbers are not given back: {failure}");
        }
    }

    /// Where a promise is seen: the path of its own directory.
    pub fn promise_path(&self, promise: PromiseNumber) -> PathBuf {
        self.options.runtime_dir.mount_path().join(promise.id())
    }

    /// Listed promises in the order of their numbers.
    pub fn promises(&self) -> Vec<PromiseNumber> {
        self.catalog.listed_numbers()
    }

    /// A listed promise, for its nodes.
    pub fn promise_tree(&self, promise: PromiseNumber) -> Option<Arc<Promise>> {
        self.catalog.listed(promise)
    }

    pub fn promise(&self, promise: PromiseNumber) -> Option<PromiseSnapshot> {
        let promise = self.catalog.listed(promise)?;
        let view = promise.view();
        Some(PromiseSnapshot {
            promise: promise.number,
            provider: promise.session.number(),
            state: promise.state(),
            cache_policy: promise.policy,
            nodes: view.node_count(),
            files: view.file_count(),
            size: view.total_size(),
            opens: promise.opens(),
        })
    }

    /// Sessions, live or lingering, in the order of their numbers.
    pub fn providers(&self) -> Vec<ProviderNumber> {
        let mut numbers: Vec<_> = self.read_sessions().keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    pub fn provider(&self, provider: ProviderNumber) -> Option<ProviderSnapshot> {
        let session = self.read_sessions().get(&provider).cloned()?;
        let [in_flight, queued, ..] = session.load();
        let counters = session.counters();
        Some(ProviderSnapshot {
            provider,
            pid: session.pid(),
            uid: session.uid(),
            program: session.program().to_owned(),
            state: session.state(),
            in_flight: in_flight as u32,
            queued: queued as u32,
            reads: counters.reads,
            served_bytes: counters.served_bytes,
            errors: counters.errors,
            promises: session.account.promises(),
        })
    }

    pub fn gauges(&self) -> Gauges {
        let totals = self.catalog.totals();
        let (image_bytes, opens, lookups) = self.catalog.held();
        let sessions = self.all_sessions();
        let mut gauges = Gauges {
            providers: sessions.len() as u64,
            promises: totals.promises,
            nodes: totals.nodes,
            image_bytes,
            opens,
            lookups,
            jobs: self.jobs.running() as u64,
            faulty_sessions: self.faulty_sessions.load(Ordering::Relaxed),
            ..Gauges::default()
        };
        let mut done = *self.past.lock();
        for session in sessions {
            let [in_flight, queued, slots_in_use, unsent] = session.load();
            gauges.in_flight += in_flight;
            gauges.queued += queued;
            gauges.slots_in_use += slots_in_use;
            gauges.unsent_frames += unsent;
            done += session.counters();
        }
        gauges.note_cache(self.cache.figures());
        gauges.reads = done.reads;
        gauges.served_bytes = done.served_bytes;
        gauges.errors = done.errors;
        gauges.timeouts = done.timeouts;
        gauges.late_replies = done.late_replies;
        gauges
    }

    pub(crate) fn read_sessions(
        &self,
    ) -> RwLockReadGuard<'_, HashMap<ProviderNumber, Arc<Session>>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_sessions(
        &self,
    ) -> RwLockWriteGuard<'_, HashMap<ProviderNumber, Arc<Session>>> {
        self.sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all_sessions(&self) -> Vec<Arc<Session>> {
        self.read_sessions().values().cloned().collect()
    }

    /// Keeps the sum of what was served when a session leaves the table.
    pub(crate) fn keep_counters(&self, session: &Session) {
        *self.past.lock() += session.counters();
    }

    pub(crate) fn count_faulty_session(&self) {
        self.faulty_sessions.fetch_add(1, Ordering::Relaxed);
    }
}

fn cannot_start(error: std::io::Error) -> Failure {
    Failure::unavailable(format!("the daemon cannot start: {error}"))
}
