//! Streaming the daemon's listing through a pipe.
//!
//! The daemon writes lines into the pipe whose other end we read, so however much is listed, no
//! more of it is held than the pipe does. A last line of its own says that the listing is whole;
//! it is not passed on.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::{Failure, Result};
use fuse_promise_wire::bus::{LIST_END, option};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use zbus::{Fd, Variant};

use crate::context::Context;
use crate::fork::{Listed, ParentOnly};
use crate::readiness::readable_within;
use crate::route::Start;

/// What a pipe holds by default.
const CHUNK_LEN: usize = 64 << 10;

struct PipeEnd {
    // Before the descriptor it lists.
    _listed: Listed,
    fd: OwnedFd,
}

impl PipeEnd {
    fn new(fd: OwnedFd) -> ParentOnly<Self> {
        ParentOnly::new(Self {
            _listed: Listed::descriptor(&fd),
            fd,
        })
    }
}

pub(crate) fn list(context: &Context, nodes: bool, lines: &mut dyn Write) -> Result<()> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)
        .map_err(|errno| Failure::unavailable(format!("make a pipe: {errno}")))?;
    let read = PipeEnd::new(read);
    ask(context, nodes, PipeEnd::new(write))?;
    copy(&read.fd, context.limit(), lines)
}

/// Hands the writing end to the daemon. Our own is closed when this returns, so the daemon's is
/// the last.
fn ask(context: &Context, nodes: bool, write: ParentOnly<PipeEnd>) -> Result<()> {
    let write = Arc::new(write);
    let asked = context.control(move |link| async move {
        link.call(Start::Never, |daemon| {
            let write = Arc::clone(&write);
            async move {
                let options = HashMap::from([(option::NODES, Variant::from(nodes))]);
                let arguments = (Fd::from(&write.fd), options);
                daemon.manager::<_, ()>("List", &arguments).await
            }
        })
        .await
    })?;
    asked.ok_or_else(|| context.no_daemon())
}

/// Copies until the end of the pipe. The daemon may take its time, as long as some of it comes
/// within every `patience`.
fn copy(read: &OwnedFd, patience: Duration, lines: &mut dyn Write) -> Result<()> {
    let mut chunk = vec![0; CHUNK_LEN];
    let mut held = HeldBack::default();
    loop {
        wait_for(read, patience)?;
        match rustix::io::read(read, &mut chunk) {
            Ok(0) => return held.end(),
            Ok(count) => held
                .pass(&chunk[..count], lines)
                .map_err(|error| Failure::io(format!("write the listing: {error}")))?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::io(format!("read the listing: {errno}"))),
        }
    }
}

fn wait_for(read: &OwnedFd, patience: Duration) -> Result<()> {
    match readable_within(read, patience) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::timeout(
            "fuse-promised sends no more of the listing; is it stopped?",
        )),
        Err(errno) => Err(Failure::io(format!("wait for the listing: {errno}"))),
    }
}

/// The bytes that may be the last line, which is not for the caller.
#[derive(Default)]
struct HeldBack {
    bytes: Vec<u8>,
}

impl HeldBack {
    /// Of the last line with its newline.
    const LEN: usize = LIST_END.len() + 1;

    fn pass(&mut self, chunk: &[u8], lines: &mut dyn Write) -> std::io::Result<()> {
        self.bytes.extend_from_slice(chunk);
        let passed = self.bytes.len().saturating_sub(Self::LEN);
        lines.write_all(&self.bytes[..passed])?;
        self.bytes.drain(..passed);
        Ok(())
    }

    fn end(self) -> Result<()> {
        let line = self.bytes.strip_suffix(b"\n");
        if line != Some(LIST_END.as_bytes()) {
            return Err(Failure::unavailable(
                "fuse-promised ended in the middle of the listing",
            ));
        }
        Ok(())
    }
}
