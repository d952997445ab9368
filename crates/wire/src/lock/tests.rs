use super::*;
use rustix::io::dup;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

fn runtime() -> (tempfile::TempDir, RuntimeDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))
        .expect("our own directory");
    let runtime = RuntimeDir::open(dir.path()).expect("ours and private");
    (dir, runtime)
}

fn acquire(dir: &RuntimeDir) -> Option<DaemonLock> {
    DaemonLock::acquire(dir).expect("the lock file can be made")
}

/// What a probe says.
fn is_held(dir: &RuntimeDir) -> Result<bool> {
    Probe::open(dir)?.map_or(Ok(false), |probe| probe.is_held())
}

#[test]
fn of_two_contenders_one_wins() {
    // The loser takes the whole of its patience each time.
    for _ in 0..5 {
        let (_guard, dir) = runtime();
        let start = Barrier::new(2);
        let won = std::thread::scope(|scope| {
            let contend = || {
                start.wait();
                acquire(&dir)
            };
            let contenders = [scope.spawn(contend), scope.spawn(contend)];
            // Both locks are kept until both have tried.
            let locks = contenders.map(|thread| thread.join().expect("no panic"));
            locks.iter().flatten().count()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn the_lock_is_private_and_free_again_when_dropped() {
    let (_guard, dir) = runtime();
    assert!(!is_held(&dir).expect("no file is no lock"));
    assert!(!dir.lock_path().exists(), "a probe creates nothing");

    let lock = acquire(&dir).expect("nobody has it");
    let mode = dir.lock_path().metadata().expect("made").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(is_held(&dir).expect("a probe works"));
    assert!(acquire(&dir).is_none());

    drop(lock);
    assert!(!is_held(&dir).expect("a probe works"));
    assert!(acquire(&dir).is_some());
}

#[test]
fn a_probe_never_takes_the_lock_away() {
    let (_guard, dir) = runtime();
    let lock = acquire(&dir).expect("nobody has it");
    for _ in 0..1000 {
        assert!(is_held(&dir).expect("a probe works"));
    }
    assert!(acquire(&dir).is_none(), "still held after every probe");
    drop(lock);
}

#[test]
fn probes_do_not_keep_a_daemon_from_starting() {
    let (_guard, dir) = runtime();
    drop(acquire(&dir));
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let dir = &dir;
        scope.spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                is_held(dir).expect("a probe works");
            }
        });
        for _ in 0..50 {
            assert!(acquire(dir).is_some());
        }
        drop(stop);
    });
}

#[test]
fn a_probe_that_a_child_inherited_holds_nothing() {
    let (_guard, dir) = runtime();
    drop(acquire(&dir));
    let probe = Probe::open(&dir).expect("our own file").expect("made");
    // A fork has the same open file, as a duplicate has.
    let inherited = dup(&probe).expect("a descriptor");
    assert!(!probe.is_held().expect("a probe works"));
    drop(probe);
    assert!(acquire(&dir).is_some());
    drop(inherited);
}

#[test]
fn a_lock_handed_over_goes_on_without_a_gap() {
    let (_guard, dir) = runtime();
    let lock = acquire(&dir).expect("nobody has it");
    let handed = DaemonLock::from_fd(dup(&lock).expect("a descriptor")).expect("the same lock");
    drop(lock);
    assert!(is_held(&dir).expect("a probe works"));
    assert!(acquire(&dir).is_none());

    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let other = rustix::fs::open(dir.lock_path(), flags, Mode::empty()).expect("our own file");
    assert!(DaemonLock::from_fd(other).is_err(), "not the holder's");
    drop(handed);
    assert!(!is_held(&dir).expect("a probe works"));
}

#[test]
fn a_symlink_in_its_place_is_not_followed() {
    let (guard, dir) = runtime();
    let target = guard.path().join("target");
    std::os::unix::fs::symlink(&target, dir.lock_path()).expect("our own directory");
    assert!(DaemonLock::acquire(&dir).is_err());
    assert!(is_held(&dir).is_err());
    assert!(!target.exists());
}
