//! What the process sets for itself before it starts anything.

use std::backtrace::Backtrace;

use fuse_promise_wire::descriptors;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Makes every panic a crash. An unwinding FUSE thread would answer other readers with an error
/// and take the mount away; a process that is simply gone leaves the mount for its successor.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::force_capture();
        tracing::error!("{panic}\n{backtrace}");
        std::process::abort();
    }));
}

/// Raises the number of files the daemon may have open to what it may be raised to: each provider
/// costs three descriptors, and the usual soft limit of 1024 is soon reached.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(limit = descriptors::limit(), "files that may be open"),
        Err(error) => tracing::warn!(
            "the limit of open files stays at {:?}: {error}",
            limit.current
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_becomes_the_hard_limit() {
        let hard = getrlimit(Resource::Nofile).maximum;
        raise_descriptor_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, limit.maximum), (hard, hard));
    }
}
