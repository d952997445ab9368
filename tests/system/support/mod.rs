//! What the tests of sessions and failures share: readers on threads of their
//! own, the daemon's balance, and small looks at the machine.
#![allow(dead_code)]

pub mod balance;
pub mod copying;
pub mod in_process;
pub mod reader;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fuse_promise_testkit::process::HANG_LIMIT;
use fuse_promise_testkit::{Session, Shape};
use rustix::io::Errno;
use rustix::process::Signal;

pub const SHAPES: [Shape; 2] = [Shape::Private, Shape::Systemd];

/// Less than the watch of a session allows, so that a test that fails can
/// still look at it.
const PATIENCE: Duration = HANG_LIMIT.saturating_sub(Duration::from_secs(15));

/// Asks again and again until there is nothing to object to; for what nothing
/// announces.
#[track_caller]
pub fn wait_until_right(mut objection: impl FnMut() -> Option<String>) {
    let limit = Instant::now() + PATIENCE;
    while let Some(objection) = objection() {
        assert!(Instant::now() < limit, "{objection}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// As [`wait_until_right`], for a yes or no.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_until_right(|| (!is_so()).then(|| format!("never came: {what}")));
}

/// An extended attribute of a node, as text.
pub fn attribute(path: &Path, name: &str) -> Result<String, Errno> {
    let mut value = [0; 256];
    let length = rustix::fs::getxattr(path, name, &mut value)?;
    Ok(String::from_utf8_lossy(&value[..length]).into_owned())
}

/// What `user.fuse-promise.state` says of a node.
pub fn state(path: &Path) -> Result<String, Errno> {
    attribute(path, "user.fuse-promise.state")
}

/// Waits until the daemon has marked the promise.
#[track_caller]
pub fn wait_for_state(path: &Path, wanted: &str) {
    wait_until(&format!("{} being {wanted}", path.display()), || {
        state(path).as_deref() == Ok(wanted)
    });
}

/// The errno of something that must have failed.
#[track_caller]
pub fn errno<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&outcome.expect_err("a failure"))
}

/// Stops a process and returns when none of its threads runs any more.
pub fn stop(pid: u32) {
    fuse_promise_testkit::process::send(pid, Signal::STOP);
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    wait_until("a stopped process", || {
        let threads = std::fs::read_dir(&tasks).expect("a living process");
        threads.flatten().all(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status"));
            status.is_ok_and(|text| text.contains("State:\tT"))
        })
    });
}

/// Destroys a promise by a call on the session bus.
pub fn destroy(session: &Session, promise: &str) {
    let number = promise.trim_start_matches("promise-");
    let object = format!("/io/github/fuse_promise/promise/{number}");
    let name = "io.github.fuse_promise.Private1";
    let interface = format!("{name}.Promise");
    let call = ["--user", "call", name, &object, &interface, "Destroy"];
    session.run("busctl", &call).ok();
}
