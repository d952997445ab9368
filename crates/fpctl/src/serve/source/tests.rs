use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::CWD;
use tempfile::TempDir;

use super::*;

/// A directory with the one file `d/file`, published when it held `old bytes`.
struct Published {
    folder: TempDir,
    root: fs::File,
    identity: Identity,
}

impl Published {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        let path = folder.path().join("d/file");
        fs::write(&path, "old bytes").unwrap();
        let identity = Identity::of(&rustix::fs::stat(&path).unwrap());
        let root = fs::File::open(folder.path()).unwrap();
        Self {
            folder,
            root,
            identity,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("d/file")
    }

    fn open(&self) -> Result<Source<'_>, Refusal> {
        Source::open(self.root.as_fd(), b"d/file", &self.identity)
    }

    fn read(&self) -> Result<Vec<u8>, Refusal> {
        let mut buffer = [0; 64];
        let length = self.open()?.read(0, &mut buffer)?;
        Ok(buffer[..length].to_vec())
    }

    /// Changes the content but neither the inode nor the length, at another time.
    fn rewrite(&self) {
        let file = fs::File::options().write(true).open(self.path()).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
    }
}

fn changed(read: Result<Vec<u8>, Refusal>) -> String {
    match read {
        Err(Refusal::Changed(how)) => how,
        other => panic!("expected a change, got {other:?}"),
    }
}

#[test]
fn an_untouched_file_is_read_as_far_as_it_goes() {
    let published = Published::new();
    assert_eq!(published.read().unwrap(), b"old bytes");
    let mut buffer = [0; 3];
    let source = published.open().unwrap();
    assert_eq!(source.read(4, &mut buffer), Ok(3));
    assert_eq!(&buffer, b"byt");
    assert_eq!(source.read(9, &mut buffer), Ok(0));
    assert_eq!(source.read(1 << 40, &mut buffer), Ok(0));
}

#[test]
fn a_file_that_shrank_or_grew_is_refused() {
    let published = Published::new();
    fs::write(published.path(), "old").unwrap();
    assert_eq!(changed(published.read()), "changed from 9 to 3 bytes");
    fs::write(published.path(), "old bytes and more").unwrap();
    assert_eq!(changed(published.read()), "changed from 9 to 18 bytes");
}

#[test]
fn a_file_rewritten_at_the_same_length_is_refused() {
    let published = Published::new();
    published.rewrite();
    assert_eq!(changed(published.read()), "was written to");
}

#[test]
fn putting_the_modification_time_back_hides_nothing() {
    let published = Published::new();
    let before = fs::metadata(published.path()).unwrap().modified().unwrap();
    let status_changed =
        || rustix::fs::stat(published.path()).map(|s| (s.st_ctime, s.st_ctime_nsec));
    let at_first = status_changed().unwrap();
    let started = Instant::now();
    // File systems with coarse times need a tick before two writes differ in them.
    while status_changed().unwrap() == at_first {
        published.rewrite();
        let file = fs::File::options()
            .write(true)
            .open(published.path())
            .unwrap();
        file.set_modified(before).unwrap();
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the times stand still"
        );
    }
    assert!(changed(published.read()).starts_with("was written to, renamed"));
}

#[test]
fn a_file_that_changes_between_open_and_read_is_refused() {
    let published = Published::new();
    let source = published.open().unwrap();
    published.rewrite();
    let refused = source.read(0, &mut [0; 64]);
    assert_eq!(refused, Err(Refusal::Changed("was written to".into())));
}

#[test]
fn a_file_that_vanished_is_refused_even_while_it_is_open() {
    let published = Published::new();
    let source = published.open().unwrap();
    fs::remove_file(published.path()).unwrap();
    assert_eq!(source.read(0, &mut [0; 64]), Err(Refusal::Vanished));
    assert_eq!(published.read(), Err(Refusal::Vanished));
    assert_eq!(Refusal::Vanished.status(), Status::NotFound);
}

#[test]
fn another_file_under_the_same_name_is_refused() {
    let published = Published::new();
    let other = published.folder.path().join("other");
    fs::write(&other, "old bytes").unwrap();
    fs::rename(other, published.path()).unwrap();
    assert_eq!(changed(published.read()), "was replaced by another file");
}

#[test]
fn no_symbolic_link_is_followed_wherever_it_lies() {
    let published = Published::new();
    let moved = published.folder.path().join("moved");
    fs::rename(published.folder.path().join("d"), &moved).unwrap();
    symlink("moved", published.folder.path().join("d")).unwrap();
    assert_eq!(
        changed(published.read()),
        "leads through a symbolic link now"
    );
    fs::remove_file(published.folder.path().join("d")).unwrap();
    fs::rename(&moved, published.folder.path().join("d")).unwrap();
    fs::rename(published.path(), published.folder.path().join("target")).unwrap();
    symlink("../target", published.path()).unwrap();
    assert_eq!(
        changed(published.read()),
        "leads through a symbolic link now"
    );
}

#[test]
fn a_fifo_or_a_directory_in_its_place_is_refused_without_waiting() {
    let published = Published::new();
    fs::remove_file(published.path()).unwrap();
    rustix::fs::mkfifoat(CWD, published.path(), Mode::RWXU).unwrap();
    assert_eq!(changed(published.read()), "is no regular file any more");
    fs::remove_file(published.path()).unwrap();
    fs::create_dir(published.path()).unwrap();
    assert_eq!(changed(published.read()), "is no regular file any more");
}

#[test]
fn a_refused_permission_is_told_as_one() {
    let refusal = Refusal::Failed(Errno::ACCESS);
    assert_eq!(refusal.status(), Status::Permission);
    assert!(refusal.reason().starts_with("cannot be read: "));
    assert_eq!(Refusal::Failed(Errno::IO).status(), Status::Io);
}
