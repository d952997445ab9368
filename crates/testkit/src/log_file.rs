//! Waiting for what a program writes into its log.

use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::process::HANG_LIMIT;

/// Waits until the whole text of the file is as wanted, and returns it. The
/// kernel tells of every write.
#[track_caller]
pub fn wait_for(path: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let shown = path.display();
    let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
    inotify::add_watch(&changes, path, WatchFlags::MODIFY)
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let limit = Instant::now() + HANG_LIMIT;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if wanted(&text) {
            return text;
        }
        assert!(Instant::now() < limit, "{shown} does not say it:\n{text}");
        let patience = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        // An interruption is as good a reason to look again.
        let _ = poll(&mut [PollFd::new(&changes, PollFlags::IN)], Some(&patience));
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&changes, &mut buffer);
        while events.next().is_ok() {}
    }
}
