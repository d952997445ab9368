//! The mount, from the first attempt to the last unmount.
//!
//! A mount is made by fusermount3 and then served by threads of the FUSE library. It ends in one
//! of two ways: the daemon takes it away, or somebody else does, which a thread that watches the
//! kernel's list of mounts and the end of the FUSE session both notice. If no mount is possible
//! the reason is kept, every call that needs one gets it, and the next such call tries again.

#[cfg(test)]
mod fake;
mod fusermount;
mod mountinfo;
mod obstacle;
mod point;
mod supervise;
mod watch;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_engine::Engine;
use fuse_promise_wire::RuntimeDir;
use rustix::fs::Access;
use rustix::io::Errno;
use tokio::sync::watch as channel;

use crate::fuse::{self, Negotiated};
use fusermount::{Fusermount, Unmount};
use mountinfo::MountInfo;
pub use obstacle::Obstacle;
use point::MountPoint;
pub use supervise::supervise;
use watch::Watched;

/// How the kernel lists our mounts: the subtype that [`fusermount`] asks for.
const FS_TYPE: &str = "fuse.fuse-promise";

/// Dead mounts lie on top of each other only if daemons died on top of dead mounts; this bounds
/// the clearing in case an unmount succeeds without effect.
const STACKED_MAX: usize = 16;

/// Looks at a new root until one counts; nobody is there yet to spoil many.
const LOOKS_AT_ROOT: usize = 100;

/// Whether promises can be seen, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountState {
    pub mounted: bool,
    /// Why not; empty when mounted.
    pub reason: String,
}

/// The one mount of a daemon.
pub struct Mount {
    point: MountPoint,
    engine: Arc<Engine>,
    fusermount: Fusermount,
    /// Held during an attempt, so that there is one at a time.
    phase: Mutex<Phase>,
    state: channel::Sender<MountState>,
    me: Weak<Mount>,
}

enum Phase {
    /// No attempt has succeeded yet.
    NotYet,
    Mounted(Serving),
    /// Somebody unmounted it, or mounted over it.
    TakenAway,
    /// The daemon took it away and makes no other.
    Closed,
}

/// The mount as it is being served.
struct Serving {
    generation: u32,
    negotiated: Negotiated,
}

impl Mount {
    /// # Errors
    /// A runtime directory that is gone.
    pub fn new(runtime_dir: &RuntimeDir, engine: Arc<Engine>) -> Result<Arc<Self>> {
        Self::with(runtime_dir, engine, Fusermount::default())
    }

    fn with(
        runtime_dir: &RuntimeDir,
        engine: Arc<Engine>,
        fusermount: Fusermount,
    ) -> Result<Arc<Self>> {
        let point = MountPoint::of(runtime_dir).map_err(|error| {
            let path = runtime_dir.path().display();
            Failure::unavailable(format!("the runtime directory {path}: {error}"))
        })?;
        let state = MountState {
            mounted: false,
            reason: "no mount was tried yet".into(),
        };
        Ok(Arc::new_cyclic(|me| Self {
            point,
            engine,
            fusermount,
            phase: Mutex::new(Phase::NotYet),
            state: channel::Sender::new(state),
            me: me.clone(),
        }))
    }

    /// Returns if there is a mount. If none was possible so far, tries again.
    ///
    /// # Errors
    /// `Unavailable` with the reason and what to do about it.
    pub fn require(&self) -> Result<()> {
        let mut phase = self.lock();
        match *phase {
            Phase::Mounted(_) => Ok(()),
            Phase::NotYet => self.attempt(&mut phase, 0),
            Phase::TakenAway | Phase::Closed => {
                let reason = self.state().reason;
                Err(Failure::unavailable(format!("no mount: {reason}")))
            }
        }
    }

    /// Mounts again after the mount was taken away.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub fn remount(&self) -> Result<()> {
        let mut phase = self.lock();
        match *phase {
            Phase::TakenAway => self.attempt(&mut phase, 1),
            Phase::NotYet | Phase::Mounted(_) | Phase::Closed => Ok(()),
        }
    }

    pub fn state(&self) -> MountState {
        self.state.borrow().clone()
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> channel::Receiver<MountState> {
        self.state.subscribe()
    }

    /// What the kernel agreed to, while there is a mount.
    pub fn negotiated(&self) -> Option<Negotiated> {
        match &*self.lock() {
            Phase::Mounted(serving) => Some(serving.negotiated),
            Phase::NotYet | Phase::TakenAway | Phase::Closed => None,
        }
    }

    /// Takes the mount away for good: at once if no file is open, else lazily, so that nobody new
    /// gets in. The directory goes as well.
    pub fn close(&self) {
        let mut phase = self.lock();
        let before = std::mem::replace(&mut *phase, Phase::Closed);
        self.say(false, "the daemon is stopping");
        if let Phase::Mounted(_) = before {
            self.unmount();
        }
        if let Phase::Mounted(_) | Phase::TakenAway = before {
            self.point.remove();
        }
    }

    fn unmount(&self) {
        let point = self.point.resolved();
        if let Err(words) = self.fusermount.unmount(point, Unmount::Now) {
            tracing::info!("unmounting lazily, because: {words}");
            if let Err(words) = self.fusermount.unmount(point, Unmount::Lazily) {
                tracing::error!("{} stays mounted: {words}", point.display());
            }
        }
    }

    fn attempt(&self, phase: &mut Phase, generation: u32) -> Result<()> {
        match self.mount_and_serve(generation) {
            Ok(serving) => {
                let (at, agreed) = (self.point.path().display(), serving.negotiated);
                tracing::info!("mounted on {at} ({agreed})");
                *phase = Phase::Mounted(serving);
                self.say(true, "");
                Ok(())
            }
            Err(obstacle) => {
                let reason = obstacle.to_string();
                if self.state().reason != reason {
                    tracing::error!("no mount on {}: {reason}", self.point.path().display());
                }
                self.say(false, &reason);
                Err(obstacle.into_failure())
            }
        }
    }

    fn mount_and_serve(&self, generation: u32) -> Result<Serving, Obstacle> {
        let mut mounts = MountInfo::open().map_err(unreadable)?;
        self.clear_point(&mut mounts)?;
        self.point.prepare()?;
        let outcome = self
            .fusermount
            .mount(self.point.resolved())
            .and_then(|device| self.serve(device, mounts, generation));
        if outcome.is_err() {
            self.clean_up();
        }
        outcome
    }

    fn serve(
        &self,
        device: std::os::fd::OwnedFd,
        mut mounts: MountInfo,
        generation: u32,
    ) -> Result<Serving, Obstacle> {
        let point = self.point.resolved();
        let listed = mounts.at(point).map_err(unreadable)?;
        let Some(ours) = listed.last().filter(|top| top.fs_type == FS_TYPE) else {
            return Err(Obstacle::Failed("the new mount was gone at once".into()));
        };
        let watched = Watched {
            point: point.to_owned(),
            id: ours.id,
        };
        let (ended, of_session) = (self.on_loss(generation), watched.clone());
        let session = fuse::start(device, Arc::clone(&self.engine), move || {
            ended(&of_session.reason_of_end());
        });
        let session = session
            .map_err(|error| Obstacle::Failed(format!("the kernel and FUSE disagree: {error}")))?;
        watch::start(mounts, watched, self.on_loss(generation))
            .map_err(|error| Obstacle::Failed(format!("the mount cannot be watched: {error}")))?;
        self.engine.set_kernel(session.kernel);
        make_root_known(point);
        Ok(Serving {
            generation,
            negotiated: session.negotiated,
        })
    }

    /// Clears what dead daemons left. This one holds the lock of the directory, so no mount of
    /// ours at this point has a living server.
    fn clear_point(&self, mounts: &mut MountInfo) -> Result<(), Obstacle> {
        let point = self.point.resolved();
        let mut top = mounts.at(point).map_err(unreadable)?.pop();
        for _ in 0..STACKED_MAX {
            match &top {
                Some(mount) if mount.fs_type == FS_TYPE => {}
                _ => break,
            }
            tracing::warn!("clearing the dead mount on {}", self.point.path().display());
            let cleared = self.fusermount.unmount(point, Unmount::Lazily);
            cleared.map_err(Obstacle::Refused)?;
            top = mounts.at(point).map_err(unreadable)?.pop();
        }
        top.map_or(Ok(()), |mount| {
            Err(Obstacle::Occupied {
                point: self.point.path().to_owned(),
                fs_type: mount.fs_type,
            })
        })
    }

    /// After an attempt that got as far as the directory, or even as far as the mount.
    fn clean_up(&self) {
        let listed = MountInfo::open().and_then(|mut mounts| mounts.at(self.point.resolved()));
        let ours = |top: &mountinfo::Mounted| top.fs_type == FS_TYPE;
        if listed.is_ok_and(|listed| listed.last().is_some_and(ours)) {
            let unmounted = self
                .fusermount
                .unmount(self.point.resolved(), Unmount::Lazily);
            if let Err(words) = unmounted {
                tracing::warn!("a mount that nobody serves stays behind: {words}");
                return;
            }
        }
        self.point.remove();
    }

    /// What those who notice the loss of this generation call.
    fn on_loss(&self, generation: u32) -> impl FnOnce(&str) + Send + 'static {
        let mount = self.me.clone();
        move |reason| {
            if let Some(mount) = mount.upgrade() {
                mount.taken_away(generation, reason);
            }
        }
    }

    /// Both watchers come here, and for a mount the daemon itself took away as well.
    fn taken_away(&self, generation: u32, reason: &str) {
        let mut phase = self.lock();
        match &*phase {
            Phase::Mounted(serving) if serving.generation == generation => {}
            _ => return,
        }
        *phase = Phase::TakenAway;
        let at = self.point.path().display();
        tracing::error!("the mount on {at} was taken away: {reason}");
        self.say(false, &format!("the mount was taken away: {reason}"));
    }

    fn say(&self, mounted: bool, reason: &str) {
        let said = MountState {
            mounted,
            reason: reason.to_owned(),
        };
        self.state.send_if_modified(|state| {
            let news = *state != said;
            *state = said;
            news
        });
    }

    /// Makes others believe in a mount, or in the loss of one.
    #[cfg(test)]
    pub fn pretend(&self, state: MountState) {
        *self.lock() = if state.mounted {
            Phase::Mounted(Serving {
                generation: u32::MAX,
                negotiated: Negotiated::NOTHING,
            })
        } else {
            Phase::TakenAway
        };
        self.say(state.mounted, &state.reason);
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(error: io::Error) -> Obstacle {
    Obstacle::Failed(format!("/proc/self/mountinfo cannot be read: {error}"))
}

/// Makes the kernel ask for the root's attributes before anything is published.
///
/// Until it has an answer it takes the root for a directory without permissions (fusermount3 passes
/// its type alone), and an answer does not count if the attributes become stale meanwhile: whoever
/// came at that moment would be told EACCES.
fn make_root_known(point: &Path) {
    for _ in 0..LOOKS_AT_ROOT {
        match rustix::fs::access(point, Access::EXEC_OK) {
            Err(Errno::ACCESS) => {}
            // Whatever else is wrong with a mount shows elsewhere.
            Ok(()) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
