//! A committed promise whose provider answers by itself, and a target directory.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use fuse_promise_core::ids::{JobNumber, PromiseNumber};
use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::status::Status;
use fuse_promise_core::words::{ConflictPolicy, ProviderState};
use fuse_promise_engine::{CommitOptions, JobSnapshot, MaterializeOptions};
use fuse_promise_wire::{Channel, ReadFrame, ToProvider};
use rustix::fs::{Mode, OFlags};

use super::{FakeProvider, HANG, Rig};

/// How the provider treats one read.
pub type Manner = fn(&FakeProvider, &ReadFrame);

pub struct Served {
    pub rig: Rig,
    pub promise: PromiseNumber,
    pub asked: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    pub target: tempfile::TempDir,
    pub server: Option<JoinHandle<()>>,
    /// The provider's end, a second time.
    line: Channel,
}

impl Served {
    pub fn new(files: &[(&str, u64)], manner: Manner) -> Self {
        Self::of(&super::tree(files), manner)
    }

    pub fn of(tree: &TreeBuilder, manner: Manner) -> Self {
        Self::on(Rig::new(), tree, manner)
    }

    pub fn on(rig: Rig, tree: &TreeBuilder, manner: Manner) -> Self {
        let provider = rig.provider();
        let image = fuse_promise_wire::image::seal(tree).unwrap();
        let options = CommitOptions::default();
        let engine = &rig.engine;
        let promise = engine.commit(provider.number, &provider.token, image, options);
        let asked = Arc::new(AtomicU64::new(0));
        let bytes = Arc::new(AtomicU64::new(0));
        let (counted, counted_bytes) = (Arc::clone(&asked), Arc::clone(&bytes));
        let line = Channel::from_fd(rustix::io::dup(&provider.channel).unwrap()).unwrap();
        let server = std::thread::spawn(move || {
            while let Some(frame) = provider.next_frame() {
                if let ToProvider::Read(read) = frame {
                    counted.fetch_add(1, Ordering::SeqCst);
                    counted_bytes.fetch_add(u64::from(read.length), Ordering::SeqCst);
                    manner(&provider, &read);
                }
            }
        });
        Self {
            promise: promise.unwrap(),
            rig,
            asked,
            bytes,
            target: tempfile::tempdir().unwrap(),
            server: Some(server),
            line,
        }
    }

    /// The provider goes, and the daemon has noticed it.
    pub fn lose_provider(&self) {
        self.line.shutdown();
        let engine = &self.rig.engine;
        let number = engine.promise(self.promise).unwrap().provider;
        self.rig.settle("the provider stays", |_| {
            let state = engine.provider(number).map(|provider| provider.state);
            state == Some(ProviderState::Disconnected)
        });
    }

    /// Bytes the provider was asked for.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub fn source(&self, below: &str) -> Vec<u8> {
        let path = self.rig.engine.promise_path(self.promise).join(below);
        path.into_os_string().into_encoded_bytes()
    }

    pub fn start(&self, below: &str, policy: ConflictPolicy) -> Result<JobNumber, Status> {
        let target = rustix::fs::open(
            self.target.path(),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        );
        let options = MaterializeOptions {
            policy,
            sync: false,
            detach: false,
            confirm: false,
            expires: None,
        };
        let engine = &self.rig.engine;
        let job = engine.materialize(&self.source(below), target.unwrap(), options);
        job.map_err(|failure| failure.status)
    }

    pub fn finish(&self, job: JobNumber) -> JobSnapshot {
        let end = std::time::Instant::now() + HANG;
        loop {
            let now = self.rig.engine.job(job).unwrap();
            if now.report.is_some() {
                return now;
            }
            assert!(std::time::Instant::now() < end, "{now:?}");
            std::thread::yield_now();
        }
    }

    pub fn copy(&self, below: &str, policy: ConflictPolicy) -> JobSnapshot {
        let job = self.start(below, policy).unwrap();
        self.finish(job)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.target.path().join(below)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.rig.engine.stop();
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

pub fn honest(provider: &FakeProvider, read: &ReadFrame) {
    provider.answer(read);
}

pub fn status_of(snapshot: &JobSnapshot) -> Option<Status> {
    let report = snapshot.report.as_ref().unwrap();
    report.failure.as_ref().map(|failure| failure.status)
}

/// Every name below a directory.
pub fn listing(root: &Path) -> BTreeMap<PathBuf, std::fs::Metadata> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                open.push(path.clone());
            }
            all.insert(path.strip_prefix(root).unwrap().to_owned(), metadata);
        }
    }
    all
}
