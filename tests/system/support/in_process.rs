//! Providers in the test's own process: hundreds of them would take long to start as programs.

use std::path::PathBuf;
use std::sync::Arc;

use fuse_promise_client::{Context, ContextOptions, PromiseBuilder, Provider, ProviderOptions};
use fuse_promise_core::{NodeKind, Result};
use fuse_promise_testkit::fixture::answers::Answers;
use fuse_promise_testkit::{Session, Tree};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Providers that answer right.
pub struct Publisher {
    pub context: Context,
    answers: Arc<Answers>,
}

impl Publisher {
    /// Connected by the session's socket. This process may then have open as many files as it
    /// may be given.
    pub fn of(session: &Session) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        setrlimit(Resource::Nofile, raised).expect("the hard limit");
        let runtime_dir = Some(session.runtime_dir());
        let context = Context::open(ContextOptions { runtime_dir }).expect("a context");
        Self {
            context,
            answers: Arc::default(),
        }
    }

    pub fn register(&self) -> Result<Provider> {
        let answers = Arc::clone(&self.answers);
        self.context.register(answers, ProviderOptions::default())
    }

    pub fn publish(&self, provider: &Provider, tree: &Tree) -> Result<PathBuf> {
        let mut builder = PromiseBuilder::new(&self.context, provider)?;
        for node in tree.nodes() {
            let (path, id) = (node.path.as_bytes(), node.node_id.as_bytes());
            match node.kind {
                NodeKind::Directory => builder.add_dir(path, node.attr, id)?,
                _ => builder.add_file(path, node.attr, id)?,
            }
        }
        builder.commit(usize::MAX)
    }
}
