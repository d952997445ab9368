use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fuse_promise_core::status::Status;
use fuse_promise_engine::{EngineEvent, EngineOptions, Observer};

use super::*;
use crate::private_directory::PrivateDirectory;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: EngineEvent) {}
}

/// A mount in a runtime directory of its own, made by a script that refuses.
struct Stage {
    folder: PrivateDirectory,
    mount: Arc<Mount>,
    engine: Arc<Engine>,
}

impl Stage {
    fn new(script: &str) -> Self {
        let folder = PrivateDirectory::new();
        let runtime_dir = folder.runtime_dir();
        let options = EngineOptions::new(runtime_dir.clone());
        let engine = Engine::start(options, Arc::new(Nobody)).unwrap();
        let program = folder.path().join("fusermount3");
        fake::script(&program, script);
        let fusermount = Fusermount::new(program, "/dev/null".into());
        let mount = Mount::with(&runtime_dir, Arc::clone(&engine), fusermount).unwrap();
        Self {
            folder,
            mount,
            engine,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

const REFUSES: &str = "echo 'fusermount3: no, said the fake' >&2; exit 1";

#[test]
fn a_call_without_a_mount_is_refused_with_the_reason_and_tries_each_time() {
    let stage = Stage::new(&format!(
        "echo tried >>\"$(dirname \"$0\")/tries\"; {REFUSES}"
    ));
    for _ in 0..2 {
        let failure = stage.mount.require().unwrap_err();
        assert_eq!(failure.status, Status::Unavailable);
        assert_eq!(failure.message, "no mount: fusermount3: no, said the fake");
    }
    let tries = fs::read_to_string(stage.folder.path().join("tries")).unwrap();
    assert_eq!(tries.lines().count(), 2);
    let state = stage.mount.state();
    assert!(!state.mounted);
    assert_eq!(state.reason, "fusermount3: no, said the fake");
    assert_eq!(stage.mount.negotiated(), None);
}

#[test]
fn an_attempt_that_failed_leaves_no_directory() {
    let stage = Stage::new(REFUSES);
    stage.mount.require().unwrap_err();
    assert!(!stage.folder.path().join("fuse-promise").exists());
}

#[test]
fn a_program_that_says_it_mounted_but_did_not_is_found_out() {
    let stage = Stage::new("exit 0");
    let failure = stage.mount.require().unwrap_err();
    assert!(failure.message.contains("sent no descriptor"), "{failure}");
}

#[test]
fn an_unsafe_mount_point_is_refused_before_the_program_runs() {
    let stage = Stage::new("touch \"$(dirname \"$0\")/ran\"; exit 1");
    let point = stage.folder.path().join("fuse-promise");
    fs::create_dir(&point).unwrap();
    fs::set_permissions(&point, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(point.join("letter"), "").unwrap();
    let failure = stage.mount.require().unwrap_err();
    assert!(failure.message.contains("is not empty"), "{failure}");
    assert!(!stage.folder.path().join("ran").exists());
    stage.mount.close();
    assert!(point.join("letter").exists());
}

#[test]
fn watchers_hear_of_a_new_reason_once() {
    let stage = Stage::new(REFUSES);
    let mut states = stage.mount.subscribe();
    stage.mount.require().unwrap_err();
    assert!(states.has_changed().unwrap());
    states.mark_unchanged();
    stage.mount.require().unwrap_err();
    assert!(!states.has_changed().unwrap());
}

#[test]
fn a_closed_mount_is_not_tried_again() {
    let stage = Stage::new("touch \"$(dirname \"$0\")/ran\"; exit 1");
    stage.mount.close();
    let failure = stage.mount.require().unwrap_err();
    assert_eq!(failure.status, Status::Unavailable);
    assert!(failure.message.contains("stopping"), "{failure}");
    assert!(!stage.folder.path().join("ran").exists());
}

#[test]
fn a_loss_of_an_earlier_mount_means_nothing() {
    let stage = Stage::new(REFUSES);
    stage.mount.require().unwrap_err();
    let before = stage.mount.state();
    stage.mount.on_loss(0)("late news");
    assert_eq!(stage.mount.state(), before);
}

#[tokio::test]
async fn without_a_mount_the_daemon_gives_up_with_the_reason() {
    let stage = Stage::new(REFUSES);
    stage.mount.require().unwrap_err();
    let failure = supervise(Arc::clone(&stage.mount), Duration::ZERO).await;
    assert!(failure.message.contains("no, said the fake"), "{failure}");
}
