//! What the daemon asks of the kernel when a mount begins, and what it gets. The outcome holds for
//! the life of the mount; whoever resumes the session later has to know it.

use std::fmt;

use fuse_promise_core::limits::READ_LEN_MAX;
use fuser::{InitFlags, KernelConfig};

/// The kernel makes a reader wait when this many reads in the background (readahead, asynchronous
/// I/O) are unanswered, whichever provider they wait for. So: high enough that one slow provider
/// cannot use them up. It is capped by the kernel's own bound for users, some 7900 on a machine
/// with 32 GiB.
const BACKGROUND_MAX: u16 = 7000;

/// The terms of one mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Protocol version of the kernel.
    pub version: (u32, u32),
    /// What the kernel offered, as FUSE_INIT bits.
    pub offered: u64,
    /// What of it is in force.
    pub enabled: u64,
    /// The kernel's bound for readahead, in bytes.
    pub max_readahead: u32,
}

impl Negotiated {
    #[cfg(test)]
    pub const NOTHING: Self = Self {
        version: (7, 34),
        offered: 0,
        enabled: 0,
        max_readahead: 0,
    };

    /// Fills in the answer to FUSE_INIT.
    pub(super) fn settle(config: &mut KernelConfig) -> Self {
        let offered = config.capabilities();
        let enabled = wanted() & offered;
        // Both can only refuse what was not offered, or zero.
        let _ = config.add_capabilities(enabled);
        let _ = config.set_max_background(BACKGROUND_MAX);
        // Nothing is written, but the largest READ is derived from the largest WRITE.
        let _ = config.set_max_write(READ_LEN_MAX);
        // Asking for too much is answered with the bound; asking for the bound changes nothing.
        let max_readahead = match config.set_max_readahead(u32::MAX) {
            Ok(_) => u32::MAX,
            Err(bound) => bound,
        };
        let version = config.kernel_abi();
        Self {
            version: (version.0, version.1),
            offered: offered.bits(),
            enabled: enabled.bits(),
            max_readahead,
        }
    }

    /// Whether a file that is read past the page cache can still be mapped (kernel 6.6).
    pub fn maps_direct_io(&self) -> bool {
        self.enabled & InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP.bits() != 0
    }

    /// Whether a successor can have unanswered requests sent again (kernel 6.9).
    pub fn can_resend(&self) -> bool {
        self.offered & InitFlags::FUSE_HAS_RESEND.bits() != 0
    }
}

/// What is asked for where the kernel has it.
fn wanted() -> InitFlags {
    // Attributes along with names, when the kernel finds that they are asked for one by one.
    let listings = InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO;
    // Lookups and listings of one directory side by side: all are answered from memory.
    let directories = InitFlags::FUSE_PARALLEL_DIROPS;
    // Several requests of one reader under way at a time.
    let reads = InitFlags::FUSE_ASYNC_READ | InitFlags::FUSE_ASYNC_DIO | InitFlags::FUSE_MAX_PAGES;
    let mapping = InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
    // Content never changes, so pages go when they are said to go and not by a guess.
    let pages = InitFlags::FUSE_EXPLICIT_INVAL_DATA;
    listings | directories | reads | mapping | pages
}

impl fmt::Display for Negotiated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        write!(out, "FUSE {major}.{minor}")?;
        if !self.maps_direct_io() {
            out.write_str(", kernel < 6.6: the page cache stands in for direct I/O")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(offered: InitFlags) -> Negotiated {
        Negotiated {
            version: (7, 45),
            offered: offered.bits(),
            enabled: (wanted() & offered).bits(),
            max_readahead: 131_072,
        }
    }

    #[test]
    fn what_a_kernel_lacks_is_known_afterwards() {
        let full = agreed(InitFlags::all());
        assert!(full.maps_direct_io() && full.can_resend());
        assert_eq!(full.to_string(), "FUSE 7.45");
        let old = InitFlags::all() - InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
        let old = agreed(old - InitFlags::FUSE_HAS_RESEND);
        assert!(!old.maps_direct_io() && !old.can_resend());
        assert!(old.to_string().contains("6.6"));
    }

    #[test]
    fn nothing_is_asked_for_that_would_let_writes_or_guesses_in() {
        let unwanted = InitFlags::FUSE_WRITEBACK_CACHE
            | InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_REQUEST_TIMEOUT
            | InitFlags::FUSE_NO_OPEN_SUPPORT
            | InitFlags::FUSE_NO_OPENDIR_SUPPORT;
        assert!(!wanted().intersects(unwanted));
    }
}
