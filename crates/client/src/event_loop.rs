//! Which descriptors the event loop has opened.
//!
//! The runtime keeps its epoll instance and its wake-up eventfd to itself, but a forked child has to
//! close its copies of them. /proc tells them: the epoll instance is the one that watches a socket
//! which nothing else can be watching, and what it watches beside that socket is the runtime's own.

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::fs::fstat;
use tokio::runtime::Runtime;

/// The runtime's own descriptors; empty where /proc cannot be read. A new runtime watches nothing
/// of anybody else yet.
pub(crate) fn descriptors_of(runtime: &Runtime) -> Vec<RawFd> {
    marked(runtime).unwrap_or_default()
}

fn marked(runtime: &Runtime) -> std::io::Result<Vec<RawFd>> {
    let _inside = runtime.enter();
    let (marker, _other_end) = UnixStream::pair()?;
    marker.set_nonblocking(true)?;
    let inode = fstat(&marker)?.st_ino;
    let marker = tokio::net::UnixStream::from_std(marker)?;
    let marker_number = marker.as_raw_fd();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let is_epoll = std::fs::read_link(entry.path())
            .is_ok_and(|target| target.as_os_str() == "anon_inode:[eventpoll]");
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if !is_epoll {
            continue;
        }
        // Another thread may close its own between the two looks.
        let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
            continue;
        };
        let watched: Vec<Watched> = info.lines().filter_map(Watched::parse).collect();
        let is_ours = |watched: &Watched| watched.number == marker_number && watched.inode == inode;
        if watched.iter().any(is_ours) {
            found.push(number);
            let others = watched.iter().filter(|watched| !is_ours(watched));
            found.extend(others.map(|watched| watched.number));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// One line of an epoll instance's fdinfo: `tfd: 8 events: … data: … pos:0 ino:7e sdev:f`.
#[derive(Debug, PartialEq, Eq)]
struct Watched {
    number: RawFd,
    inode: u64,
}

impl Watched {
    fn parse(line: &str) -> Option<Self> {
        let number = line.strip_prefix("tfd:")?.split_whitespace().next()?;
        let (_, behind) = line.split_once("ino:")?;
        let inode = behind.split_whitespace().next()?;
        Some(Self {
            number: number.parse().ok()?,
            inode: u64::from_str_radix(inode, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn runtime() -> Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn each_runtime_has_its_own() {
        let (one, other) = (runtime(), runtime());
        let (ones, others) = (descriptors_of(&one), descriptors_of(&other));
        let kinds: BTreeSet<String> = ones
            .iter()
            .map(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap())
            .map(|target| target.to_str().unwrap().to_owned())
            .collect();
        for kind in ["anon_inode:[eventfd]", "anon_inode:[eventpoll]"] {
            assert!(kinds.contains(kind), "{kinds:?}");
        }
        // Built beside a program that handles signals, each runtime has a socket for them, too.
        let sockets = kinds.iter().filter(|kind| kind.starts_with("socket:"));
        assert!(sockets.count() == kinds.len() - 2, "{kinds:?}");
        assert!(
            ones.iter().all(|fd| !others.contains(fd)),
            "{ones:?} {others:?}"
        );
        // Looking changes nothing.
        assert_eq!(descriptors_of(&one), ones);
    }

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let line = "tfd:        5 events:       1d data:  7f0012345678  pos:0 ino:1f3a sdev:f";
        let watched = Watched {
            number: 5,
            inode: 0x1f3a,
        };
        assert_eq!(Watched::parse(line), Some(watched));
        for other in [
            "pos:\t0",
            "flags:\t02",
            "mnt_id:\t16",
            "tfd: x",
            "tfd: 1 events: 1",
        ] {
            assert_eq!(Watched::parse(other), None);
        }
    }
}
