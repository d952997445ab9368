//! A tree in the making, until commit publishes it.
//!
//! A commit is known to the daemon by an id of ours. As long as the tree and what is wished for it
//! stay as they are, trying again uses the same id, so that a commit whose answer was lost is not
//! made twice.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuse_promise_core::image::TreeBuilder;
use fuse_promise_core::words::CachePolicy;
use fuse_promise_core::{Failure, NodeAttr, PathRule, Result, Status};
use fuse_promise_wire::bus::option;
use fuse_promise_wire::clock::monotonic_nanoseconds;
use fuse_promise_wire::image::seal;
use zbus::{Fd, Variant};

use crate::context::Context;
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::fork::{Listed, ParentOnly, refuse_in_child};
use crate::image::PromiseImage;
use crate::provider::{Provider, Shared};
use crate::session::Session;

/// Never 0, and never the same twice in a process.
static NEXT_COMMIT: AtomicU64 = AtomicU64::new(1);

/// A provider whose session turns out to be unknown to the daemon registers once more, not for
/// ever.
const SESSIONS_TRIED: u32 = 2;

pub struct PromiseBuilder {
    provider: Arc<ParentOnly<Shared>>,
    tree: TreeBuilder,
    /// None for the daemon's own.
    cache_policy: Option<CachePolicy>,
    /// Made by the first try to commit, and dropped when the tree grows or its policy changes.
    sealed: Option<Arc<ParentOnly<Sealed>>>,
    committed: bool,
}

/// A tree that is ready to travel.
struct Sealed {
    commit: u64,
    // Before the descriptor it lists.
    _listed: Listed,
    memory: OwnedFd,
    image: Arc<PromiseImage>,
}

/// On what terms the daemon commits.
#[derive(Clone, Copy)]
struct Terms {
    cache_policy: Option<CachePolicy>,
    path_capacity: u64,
    /// When we stop waiting, so that a daemon that was stopped commits nothing afterwards.
    expires: u64,
}

impl PromiseBuilder {
    /// A tree with nothing but its own directory. A provider of another context is
    /// `InvalidArgument`.
    pub fn new(context: &Context, provider: &Provider) -> Result<Self> {
        refuse_in_child()?;
        let provider = Arc::clone(provider.shared());
        if !provider.context().is_same(context) {
            return Err(Failure::invalid(
                "the provider was registered through another context",
            ));
        }
        Ok(Self {
            provider,
            tree: TreeBuilder::new(PathRule::Utf8),
            cache_policy: None,
            sealed: None,
            committed: false,
        })
    }

    /// A missing parent is `NotFound`, a path that is there already is `AlreadyExists`.
    pub fn add_dir(&mut self, path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Result<()> {
        self.grow()?.add_dir(path, attr, node_id)
    }

    /// As `add_dir`.
    pub fn add_file(&mut self, path: &[u8], attr: NodeAttr, node_id: &[u8]) -> Result<()> {
        self.grow()?.add_file(path, attr, node_id)
    }

    /// How reads of the promise are answered, whatever the daemon does with others; `None` for what
    /// it does with those. The last call counts.
    pub fn set_cache_policy(&mut self, policy: Option<CachePolicy>) -> Result<()> {
        refuse_in_child()?;
        self.check_open()?;
        if self.cache_policy != policy {
            self.cache_policy = policy;
            self.sealed = None;
        }
        Ok(())
    }

    /// Publishes the tree and returns where it is. A path that does not fit into `path_capacity`
    /// bytes with its NUL publishes nothing. After a failure the builder can be used on; after a
    /// success it is spent.
    pub fn commit(&mut self, path_capacity: usize) -> Result<PathBuf> {
        refuse_in_child()?;
        self.check_open()?;
        let sealed = self.seal()?;
        let mut sessions = 0;
        loop {
            let session = self.provider.session()?;
            sessions += 1;
            match self.commit_in(&session, &sealed, path_capacity) {
                Ok(path) => {
                    self.committed = true;
                    self.sealed = None;
                    return Ok(path);
                }
                Err(failure) if is_unknown_session(&failure) && sessions < SESSIONS_TRIED => {
                    session.close();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn commit_in(
        &self,
        session: &Arc<Session>,
        sealed: &Arc<ParentOnly<Sealed>>,
        path_capacity: usize,
    ) -> Result<PathBuf> {
        session
            .promises
            .expect(sealed.commit, Arc::clone(&sealed.image));
        let context = self.provider.context();
        let limit = u64::try_from(context.limit().as_nanos()).unwrap_or(u64::MAX);
        let terms = Terms {
            cache_policy: self.cache_policy,
            path_capacity: path_capacity as u64,
            expires: monotonic_nanoseconds().saturating_add(limit),
        };
        let call = (Arc::clone(session), Arc::clone(sealed));
        let committed = context.control(move |link| async move {
            link.call_started(|daemon| {
                let (session, sealed) = call.clone();
                async move { commit(&daemon, &session, &sealed, terms).await }
            })
            .await
        });
        // The daemon may have begun just before we gave up; the tree is kept for reads of it.
        let refused = |failure: &Failure| failure.status != Status::Timeout;
        if committed.as_ref().is_err_and(refused) {
            session.promises.refused(sealed.commit);
        }
        committed
    }

    fn seal(&mut self) -> Result<Arc<ParentOnly<Sealed>>> {
        if let Some(sealed) = &self.sealed {
            return Ok(Arc::clone(sealed));
        }
        let memory = seal(&self.tree)?;
        let sealed = Arc::new(ParentOnly::new(Sealed {
            commit: NEXT_COMMIT.fetch_add(1, Ordering::Relaxed),
            image: Arc::new(PromiseImage::of(&self.tree, &memory)?),
            _listed: Listed::descriptor(&memory),
            memory,
        }));
        self.sealed = Some(Arc::clone(&sealed));
        Ok(sealed)
    }

    /// A forked child has a copy of the tree, which it may add to as it likes: nothing of the
    /// parent's is touched, and a commit is refused. So a million nodes do not cost as many
    /// system calls.
    fn grow(&mut self) -> Result<&mut TreeBuilder> {
        self.check_open()?;
        self.sealed = None;
        Ok(&mut self.tree)
    }

    fn check_open(&self) -> Result<()> {
        if self.committed {
            return Err(Failure::invalid(
                "the builder has been committed; begin a new one",
            ));
        }
        Ok(())
    }
}

/// The daemon does not know the session, though we have not unregistered: it is another daemon, or
/// it let go of us.
fn is_unknown_session(failure: &Failure) -> bool {
    matches!(failure.status, Status::ProviderGone | Status::NotFound)
}

async fn commit(
    daemon: &Daemon,
    session: &Session,
    sealed: &Sealed,
    terms: Terms,
) -> Result<PathBuf, Fault> {
    let mut options = HashMap::from([
        (option::COMMIT_ID, Variant::from(sealed.commit)),
        (option::PATH_CAPACITY, Variant::from(terms.path_capacity)),
        (option::EXPIRES, Variant::from(terms.expires)),
    ]);
    if let Some(policy) = terms.cache_policy {
        options.insert(option::CACHE_POLICY, Variant::from(policy.word()));
    }
    let image = Fd::from(&sealed.memory);
    let arguments = (session.number.0, session.token.0.as_slice(), image, options);
    let (_id, path): (String, Vec<u8>) = daemon.manager("Commit", &arguments).await?;
    Ok(PathBuf::from(OsString::from_vec(path)))
}
