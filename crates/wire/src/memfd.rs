//! Memory that travels: memfds and their seals.
//!
//! Memory that another process can shrink kills whoever touches what is gone (SIGBUS), and memory
//! that it can change cannot be checked. So nothing is mapped before its seals say that neither can
//! happen. Hugetlbfs files have seals too but may fail at any touch; only tmpfs is accepted.

use std::os::fd::{AsFd, OwnedFd};

use fuse_promise_core::{Failure, Result};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs};
use rustix::io::Errno;

use crate::errno::failed;

/// The size is for ever; the bytes may change.
pub const SIZE_SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

/// Nothing changes any more.
pub const ALL_SEALS: SealFlags = SIZE_SEALS.union(SealFlags::WRITE);

/// `TMPFS_MAGIC` of linux/magic.h: where memfds live, unless they are made of huge pages.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// A new memfd of size 0 without seals. `name` is what /proc shows.
pub fn create(name: &str) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let created = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know the flag.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        done => done,
    };
    created.map_err(|errno| failed("create shared memory", errno))
}

pub fn add_seals(fd: impl AsFd, seals: SealFlags) -> Result<()> {
    fcntl_add_seals(fd, seals).map_err(|errno| failed("seal shared memory", errno))
}

/// The size of a memfd that has at least these seals; anything else is `InvalidArgument`. With the
/// seals of [`SIZE_SEALS`] the answer holds for ever.
pub fn sealed_size(fd: impl AsFd, seals: SealFlags) -> Result<u64> {
    let Ok(present) = fcntl_get_seals(&fd) else {
        return Err(Failure::invalid("the descriptor is not a memfd"));
    };
    let missing = seals.difference(present);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter_names().map(|(name, _)| name).collect();
        return Err(Failure::invalid(format!(
            "the memfd lacks the seals {}",
            names.join(", ")
        )));
    }
    let filesystem = fstatfs(&fd).map_err(|errno| failed("memfd", errno))?;
    // The field's type differs between architectures; the number is positive in all of them.
    if filesystem.f_type as u64 != TMPFS_MAGIC {
        return Err(Failure::invalid("the memfd is not in ordinary memory"));
    }
    let stat = fstat(&fd).map_err(|errno| failed("memfd", errno))?;
    u64::try_from(stat.st_size).map_err(|_| Failure::invalid("the memfd has no size"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuse_promise_core::Status;
    use rustix::fs::ftruncate;

    fn memfd(seals: SealFlags) -> OwnedFd {
        let fd = create("test").expect("a memfd");
        ftruncate(&fd, 4096).expect("no seals yet");
        add_seals(&fd, seals).expect("sealing is allowed");
        fd
    }

    fn refusal(fd: impl AsFd, seals: SealFlags) -> Failure {
        let refused = sealed_size(fd, seals).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        refused
    }

    #[test]
    fn a_sealed_memfd_tells_its_size() {
        assert_eq!(sealed_size(memfd(ALL_SEALS), ALL_SEALS), Ok(4096));
        assert_eq!(sealed_size(memfd(ALL_SEALS), SIZE_SEALS), Ok(4096));
    }

    #[test]
    fn each_missing_seal_is_named() {
        for (seal, name) in [
            (SealFlags::SEAL, "SEAL"),
            (SealFlags::SHRINK, "SHRINK"),
            (SealFlags::GROW, "GROW"),
            (SealFlags::WRITE, "WRITE"),
        ] {
            let refused = refusal(memfd(ALL_SEALS - seal), ALL_SEALS);
            assert_eq!(refused.message, format!("the memfd lacks the seals {name}"));
        }
        assert!(sealed_size(memfd(SIZE_SEALS), SIZE_SEALS).is_ok());
    }

    #[test]
    fn other_files_are_no_memfds() {
        let ordinary = tempfile::tempfile().expect("a temporary file");
        refusal(&ordinary, SIZE_SEALS);
        let shared_memory = tempfile::tempfile_in("/dev/shm").expect("a tmpfs");
        refusal(&shared_memory, SIZE_SEALS);
        let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
        refusal(&pipe, SIZE_SEALS);
    }

    #[test]
    fn huge_pages_are_refused() {
        // Making the file needs no huge page to exist, only touching it would.
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
        let fd = rustix::fs::memfd_create("test", flags).expect("a kernel with hugetlbfs");
        ftruncate(&fd, 2 << 20).expect("no seals yet");
        add_seals(&fd, ALL_SEALS).expect("sealing is allowed");
        assert_eq!(
            refusal(fd, ALL_SEALS).message,
            "the memfd is not in ordinary memory"
        );
    }
}
