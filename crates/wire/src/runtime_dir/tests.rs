use super::*;
use fuse_promise_core::Status;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A directory only we can enter, as a session would give.
fn private_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    set_mode(dir.path(), 0o700);
    dir
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own directory");
}

fn refusal(path: &Path) -> Failure {
    RuntimeDir::open(path).expect_err("the directory must be refused")
}

#[test]
fn a_private_directory_is_accepted_and_names_its_files() {
    let dir = private_dir();
    let runtime = RuntimeDir::open(dir.path()).expect("ours and private");
    assert_eq!(runtime.path(), dir.path());
    assert_eq!(runtime.socket_path(), dir.path().join("fuse-promise.sock"));
    assert_eq!(runtime.lock_path(), dir.path().join("fuse-promise.lock"));
    assert_eq!(runtime.state_path(), dir.path().join("fuse-promise.state"));
    assert_eq!(runtime.mount_path(), dir.path().join("fuse-promise"));
}

#[test]
fn a_slash_at_the_end_changes_nothing() {
    let dir = private_dir();
    let spelled = format!("{}//", dir.path().display());
    let runtime = RuntimeDir::open(Path::new(&spelled)).expect("ours and private");
    assert_eq!(runtime.path().as_os_str(), dir.path().as_os_str());
}

#[test]
fn relative_and_empty_are_invalid() {
    for path in ["", ".", "run/user/1000"] {
        assert_eq!(refusal(Path::new(path)).status, Status::InvalidArgument);
    }
}

#[test]
fn what_is_not_a_directory_is_invalid() {
    let dir = private_dir();
    let file = dir.path().join("file");
    fs::write(&file, "").expect("our own directory");
    set_mode(&file, 0o600);
    assert_eq!(refusal(&file).status, Status::InvalidArgument);
    assert_eq!(refusal(&file.join("below")).status, Status::InvalidArgument);
    let circle = dir.path().join("circle");
    symlink(&circle, &circle).expect("our own directory");
    assert_eq!(refusal(&circle).status, Status::InvalidArgument);
}

#[test]
fn a_missing_one_is_unavailable() {
    let dir = private_dir();
    let missing = dir.path().join("missing");
    let refused = refusal(&missing);
    assert_eq!(refused.status, Status::Unavailable);
    assert!(refused.message.contains(&*missing.to_string_lossy()));
}

#[test]
fn every_bit_for_others_is_a_permission_failure() {
    let dir = private_dir();
    for bit in [0o001, 0o002, 0o004, 0o010, 0o020, 0o040] {
        set_mode(dir.path(), 0o700 | bit);
        assert_eq!(refusal(dir.path()).status, Status::Permission, "{bit:o}");
    }
    set_mode(dir.path(), 0o700);
    assert!(RuntimeDir::open(dir.path()).is_ok());
}

#[test]
fn a_foreign_owner_is_a_permission_failure() {
    // Root's own directory for an ordinary user; for root, one given away.
    let dir = private_dir();
    let foreign = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(1), None).expect("root may give away");
        dir.path()
    } else {
        Path::new("/")
    };
    let refused = refusal(foreign);
    assert_eq!(refused.status, Status::Permission);
    assert!(refused.message.contains("belongs to uid"));
}

#[test]
fn the_environment_names_it_or_it_is_unavailable() {
    let dir = private_dir();
    let named = RuntimeDir::named_by(Some(dir.path().as_os_str())).expect("ours and private");
    assert_eq!(named.path(), dir.path());
    let unset = RuntimeDir::named_by(None).unwrap_err();
    assert_eq!(unset.status, Status::Unavailable);
    let relative = RuntimeDir::named_by(Some(OsStr::new("run"))).unwrap_err();
    assert_eq!(relative.status, Status::InvalidArgument);
    assert!(relative.message.starts_with("XDG_RUNTIME_DIR: "));
}

#[test]
fn the_same_directory_is_known_under_another_name() {
    let dir = private_dir();
    let other = private_dir();
    let runtime = RuntimeDir::open(dir.path()).expect("ours and private");
    let link = other.path().join("link");
    symlink(dir.path(), &link).expect("our own directory");
    assert!(runtime.is_same(dir.path()));
    assert!(runtime.is_same(&link));
    assert!(!runtime.is_same(other.path()));
    assert!(!runtime.is_same(&dir.path().join("missing")));
}
