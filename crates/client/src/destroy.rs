//! Destroying a promise, by its id or by its path in the mount.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use fuse_promise_core::{Failure, PromiseNumber, Result, Status};

use crate::context::Context;
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::fork::refuse_in_child;
use crate::route::Start;

impl Context {
    /// Takes a promise out of the listing, whoever published it: its name is gone when this
    /// returns, files that are open are served on while their provider lives. The promise is named
    /// by its id or by an absolute path in the mount. What can name no promise, the path of
    /// something inside one included, is `InvalidArgument`; one that is not there, and a path outside
    /// the mount, `NotFound`. No daemon is started; without one it is `Unavailable`.
    pub fn destroy(&self, promise: &OsStr) -> Result<PromiseNumber> {
        refuse_in_child()?;
        let number = named(promise, &self.runtime_dir().mount_path())?;
        let answer = self.control(move |link| async move {
            let tries = AtomicU32::new(0);
            link.call(Start::Never, |daemon| {
                let again = tries.fetch_add(1, Ordering::Relaxed) > 0;
                async move { destroy(&daemon, number, again).await }
            })
            .await
        })?;
        answer.map(|()| number).ok_or_else(|| self.no_daemon())
    }
}

async fn destroy(daemon: &Daemon, number: PromiseNumber, again: bool) -> Result<(), Fault> {
    let id = number.id();
    let answer = daemon.manager("DestroyPromise", &(id.as_str(),)).await;
    match answer {
        // The call before, whose answer was lost, may have been carried out.
        Err(Fault::Refused(failure)) if again && failure.status == Status::NotFound => Ok(()),
        answer => answer,
    }
}

/// The promise that an id or an absolute path names.
fn named(promise: &OsStr, mount: &Path) -> Result<PromiseNumber> {
    if let Some(number) = promise.to_str().and_then(PromiseNumber::parse) {
        return Ok(number);
    }
    let path = Path::new(promise);
    if !path.is_absolute() {
        return Err(Failure::invalid(format!(
            "{promise:?} is neither a promise id, which looks like promise-7, nor an absolute path"
        )));
    }
    let below = path.strip_prefix(mount).map_err(|_| {
        Failure::not_found(format!(
            "{promise:?} is not below the mount {}",
            mount.display()
        ))
    })?;
    let mut names = below.iter();
    let first = names.next().and_then(OsStr::to_str);
    match (first.and_then(PromiseNumber::parse), names.next()) {
        (Some(number), None) => Ok(number),
        (Some(number), Some(_)) => Err(Failure::invalid(format!(
            "{promise:?} names no promise, but something inside {number}"
        ))),
        (None, _) => Err(Failure::invalid(format!("{promise:?} names no promise"))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::fake_daemon::{FakeDaemon, Manners, Place};

    #[test]
    fn ids_and_paths_of_the_mount_name_promises() {
        let mount = Path::new("/run/user/7/fuse-promise");
        for name in [
            "promise-3",
            "/run/user/7/fuse-promise/promise-3",
            "/run/user/7/fuse-promise/promise-3/",
            "/run//user/7/./fuse-promise/promise-3/.",
        ] {
            assert_eq!(named(name.as_ref(), mount), Ok(PromiseNumber(3)), "{name}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_what_it_is() {
        let mount = Path::new("/run/user/7/fuse-promise");
        let inside = "names no promise, but something inside promise-3";
        for (name, said) in [
            (&b""[..], "neither a promise id"),
            (b"promise-03", "neither a promise id"),
            (b"promise-3/a", "neither a promise id"),
            (b"\xff", "neither a promise id"),
            (b"/run/user/7/fuse-promise", "names no promise"),
            (b"/run/user/7/fuse-promise/x", "names no promise"),
            (b"/run/user/7/fuse-promise/promise-3/a", inside),
            (b"/run/user/7/fuse-promise/promise-3/..", inside),
        ] {
            let refused = named(OsStr::from_bytes(name), mount).unwrap_err();
            assert_eq!(refused.status, Status::InvalidArgument, "{refused}");
            assert!(refused.message.contains(said), "{refused}");
        }
        let refused = named("/run/user/8/promise-3".as_ref(), mount).unwrap_err();
        assert_eq!(refused.status, Status::NotFound);
    }

    #[test]
    fn a_promise_is_destroyed_once_even_if_the_answer_is_lost() {
        let place = Place::new();
        let manners = Manners {
            lost_answers: 1,
            ..Manners::default()
        };
        let daemon = FakeDaemon::with(&place, manners);
        let context = place.context();
        daemon.list(&[1, 2]);
        let path = place.path().join("fuse-promise/promise-1");
        assert_eq!(context.destroy(path.as_ref()), Ok(PromiseNumber(1)));
        assert_eq!(daemon.connections(), 2);
        let refused = context.destroy("promise-1".as_ref()).unwrap_err();
        assert_eq!(refused.status, Status::NotFound);
        assert_eq!(context.destroy("promise-2".as_ref()), Ok(PromiseNumber(2)));
    }

    #[test]
    fn no_daemon_is_started_for_it() {
        let place = Place::new();
        let refused = place.context().destroy("promise-1".as_ref()).unwrap_err();
        assert_eq!(refused.status, Status::Unavailable);
    }
}
