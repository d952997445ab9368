use std::fs;
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::super::fake;
use super::*;

/// A script in place of the program. It finds `$folder`.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn fusermount(&self, script: &str) -> Fusermount {
        let program = self.0.path().join("fusermount3");
        let folder = self.0.path().display();
        fake::script(&program, &format!("folder='{folder}'\n{script}"));
        Fusermount {
            program,
            device: "/dev/null".into(),
            patience: Duration::from_secs(60),
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.0.path().join("said")).unwrap()
    }
}

const POINT: &str = "/run/x/fuse-promise";

#[test]
fn it_is_told_options_point_and_socket() {
    let stage = Stage::new();
    let script = r#"echo "$_FUSE_COMMFD $(stat -L -c %F /dev/stdin) $*" >"$folder/said""#;
    let outcome = stage.fusermount(script).mount(Path::new(POINT));
    assert!(matches!(outcome, Err(Obstacle::Failed(_))), "{outcome:?}");
    assert_eq!(stage.said(), format!("0 socket -o {OPTIONS} -- {POINT}\n"));
}

#[test]
fn what_it_said_is_the_reason() {
    let stage = Stage::new();
    let fusermount = stage.fusermount("echo 'fusermount3: mount failed: no' >&2; exit 1");
    let refused = fusermount.mount(Path::new(POINT)).unwrap_err();
    assert_eq!(
        refused,
        Obstacle::Refused("fusermount3: mount failed: no".into())
    );
    let words = fusermount
        .unmount(Path::new(POINT), Unmount::Now)
        .unwrap_err();
    assert_eq!(words, "fusermount3: mount failed: no");
}

#[test]
fn a_silent_failure_tells_the_exit_status() {
    let stage = Stage::new();
    let words = stage
        .fusermount("exit 3")
        .unmount(Path::new(POINT), Unmount::Now);
    assert_eq!(words.unwrap_err(), "fusermount3 failed: exit status: 3");
}

#[test]
fn a_missing_device_is_a_better_reason_than_what_it_said() {
    let stage = Stage::new();
    let mut fusermount = stage.fusermount("echo 'fuse: device not found' >&2; exit 1");
    fusermount.device = stage.0.path().join("fuse");
    let obstacle = fusermount.mount(Path::new(POINT)).unwrap_err();
    assert_eq!(obstacle, Obstacle::NoDevice(fusermount.device));
}

#[test]
fn a_missing_program_is_named() {
    let stage = Stage::new();
    let mut fusermount = stage.fusermount("");
    fusermount.program = stage.0.path().join("fusermount9");
    let obstacle = fusermount.mount(Path::new(POINT)).unwrap_err();
    assert_eq!(obstacle, Obstacle::NoProgram(fusermount.program.clone()));
    let words = fusermount
        .unmount(Path::new(POINT), Unmount::Now)
        .unwrap_err();
    assert!(words.contains("fusermount9"), "{words}");
}

#[test]
fn one_that_hangs_is_killed() {
    let mut sleep = Command::new("sleep");
    let mut child = sleep.arg("1000").stderr(Stdio::piped()).spawn().unwrap();
    let words = finish(&mut child, Instant::now()).unwrap_err();
    assert!(words.contains("hung"), "{words}");
    assert!(child.try_wait().unwrap().is_some());
}

#[test]
fn unmounting_is_lazy_when_asked() {
    let stage = Stage::new();
    let fusermount = stage.fusermount("echo \"$*\" >\"$folder/said\"");
    fusermount.unmount(Path::new(POINT), Unmount::Now).unwrap();
    assert_eq!(stage.said(), format!("-u -- {POINT}\n"));
    fusermount
        .unmount(Path::new(POINT), Unmount::Lazily)
        .unwrap();
    assert_eq!(stage.said(), format!("-u -z -- {POINT}\n"));
}

#[test]
fn the_descriptor_that_was_sent_is_received_once_the_sender_is_done() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut sent = tempfile::tempfile().unwrap();
    sent.write_all(b"the device").unwrap();
    let descriptors = [sent.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(
        &theirs,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )
    .unwrap();
    drop(theirs);

    let received = receive(&ours, Instant::now() + Duration::from_secs(60))
        .unwrap()
        .unwrap();
    let inode = |descriptor: BorrowedFd<'_>| rustix::fs::fstat(descriptor).unwrap().st_ino;
    assert_eq!(inode(sent.as_fd()), inode(received.as_fd()));
    let flags = rustix::io::fcntl_getfd(&received).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_sender_that_stays_silent_is_given_up() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let error = receive(&ours, Instant::now()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
