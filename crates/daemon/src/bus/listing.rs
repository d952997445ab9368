//! Manager.List: the whole state as lines, streamed into the caller's pipe.
//!
//! Each listing has a thread of its own, because making a million lines takes a while and a reader
//! may be slow. What the thread holds does not depend on how much is listed. It ends when the
//! reader goes away, or takes nothing for too long; the last line tells the reader whether it got
//! everything.

use std::io::{BufWriter, Error, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::Node;
use fuse_promise_core::limits::LISTINGS_MAX;
use fuse_promise_core::record::Record;
use fuse_promise_engine::Engine;
use fuse_promise_wire::bus::LIST_END;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::io::Errno;

/// How long a reader may take nothing from a full pipe: long enough for a pager that somebody
/// reads in.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a pipe holds by default.
const BUFFER_LEN: usize = 64 << 10;

/// A listing that can be started.
pub struct Listing {
    pipe: PipeWriter,
    nodes: bool,
}

impl Listing {
    /// `nodes` asks for a line per node as well.
    ///
    /// # Errors
    /// `InvalidArgument` if this is not the writing end of a pipe.
    pub fn new(pipe: OwnedFd, nodes: bool) -> Result<Self> {
        let pipe = PipeWriter::new(&pipe, PATIENCE)?;
        Ok(Self { pipe, nodes })
    }

    fn run(self, engine: &Engine) -> std::io::Result<()> {
        let mut lines = BufWriter::with_capacity(BUFFER_LEN, self.pipe);
        let promises = engine.promises();
        let providers = engine.providers().len();
        writeln!(lines, "{}", Record::new("").field("providers", providers))?;
        writeln!(
            lines,
            "{}",
            Record::new("").field("promises", promises.len())
        )?;
        for promise in promises {
            write_promise(&mut lines, engine, promise, self.nodes)?;
        }
        writeln!(lines, "{LIST_END}")?;
        lines.flush()
    }
}

/// One promise, and its nodes if wanted; nothing for one that was destroyed since it was counted.
fn write_promise(
    lines: &mut impl Write,
    engine: &Engine,
    number: PromiseNumber,
    nodes: bool,
) -> std::io::Result<()> {
    let (Some(promise), Some(tree)) = (engine.promise(number), engine.promise_tree(number)) else {
        return Ok(());
    };
    let view = tree.view();
    // The promise's own directory is no node of the provider's.
    let rows = 1..view.node_count();
    let line = Record::new("promise")
        .field("id", number)
        .field("provider", promise.provider)
        .field("state", promise.state)
        .field("nodes", rows.len());
    writeln!(lines, "{line}")?;
    if !nodes {
        return Ok(());
    }
    for row in rows.map(Row) {
        if let Some(node) = view.row(row) {
            writeln!(lines, "{}", node_line(number, &node, &view.path(row)))?;
        }
    }
    Ok(())
}

fn node_line(promise: PromiseNumber, node: &Node<'_>, path: &[u8]) -> Record {
    Record::new("node")
        .field("promise", promise)
        .bytes("path", path)
        .field("inode", Inode::new(promise, node.row).0)
        .field("kind", node.kind)
        .field("size", node.attr.size)
        .field("mode", format_args!("{:o}", node.attr.mode))
        .bytes("provider_node", node.node_id)
}

/// The threads that stream.
#[derive(Default)]
pub struct ListingThreads {
    running: Arc<AtomicUsize>,
}

/// One of the threads that may run; gives its place back when it ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ListingThreads {
    #[cfg(test)]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `Unavailable` when too many listings are being read.
    pub fn start(&self, listing: Listing, engine: &Arc<Engine>) -> Result<()> {
        let place = Place(Arc::clone(&self.running));
        if self.running.fetch_add(1, Ordering::Relaxed) >= LISTINGS_MAX {
            return Err(Failure::unavailable(format!(
                "{LISTINGS_MAX} listings are being read already, and there can be no more at a \
                 time; try again"
            )));
        }
        let engine = Arc::clone(engine);
        let thread = std::thread::Builder::new().name("fp-list".into());
        let started = thread.spawn(move || {
            let _place = place;
            match listing.run(&engine) {
                Ok(()) => {}
                // Whoever reads only the first lines does nothing wrong.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => tracing::warn!(%error, "a listing was cut short"),
            }
        });
        started.map(|_| ()).map_err(|error| {
            Failure::unavailable(format!("there is no thread for a listing: {error}"))
        })
    }
}

/// Writes into a pipe, waiting for its reader only so long.
struct PipeWriter {
    pipe: OwnedFd,
    patience: Duration,
}

impl PipeWriter {
    /// Opens the pipe behind `given` anew, so that the mode we need is not forced on the caller's
    /// own descriptor.
    fn new(given: &OwnedFd, patience: Duration) -> Result<Self> {
        let refused =
            |what: &str| Failure::invalid(format!("List wants a pipe to write to, {what}"));
        let status = fstat(given).map_err(|error| refused(&format!("not this: {error}")))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Fifo {
            return Err(refused("the descriptor is none"));
        }
        let flags = fcntl_getfl(given).unwrap_or(OFlags::empty());
        if !matches!(flags & OFlags::RWMODE, OFlags::WRONLY | OFlags::RDWR) {
            return Err(refused("the descriptor is its reading end"));
        }
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(given));
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(path, flags, Mode::empty());
        let pipe = pipe.map_err(|error| Failure::io(format!("cannot open the pipe: {error}")))?;
        Ok(Self { pipe, patience })
    }

    fn wait(&self) -> std::io::Result<()> {
        let patience = Timespec::try_from(self.patience).unwrap_or_default();
        let mut watched = [PollFd::new(&self.pipe, PollFlags::OUT)];
        match poll(&mut watched, Some(&patience)) {
            Ok(0) => Err(Error::new(
                ErrorKind::TimedOut,
                format!("its reader took nothing for {:?}", self.patience),
            )),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        loop {
            match rustix::io::write(&self.pipe, bytes) {
                Err(Errno::AGAIN) => self.wait()?,
                Err(Errno::INTR) => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use fuse_promise_core::status::Status;

    use super::*;

    fn writer(patience: Duration) -> (std::io::PipeReader, PipeWriter) {
        let (reader, given) = std::io::pipe().unwrap();
        let writer = PipeWriter::new(&given.into(), patience).unwrap();
        (reader, writer)
    }

    #[test]
    fn only_the_writing_end_of_a_pipe_is_taken() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let wrong: [(OwnedFd, &str); 3] = [
            (reader.into(), "reading end"),
            (socket.into(), "is none"),
            (file.into(), "is none"),
        ];
        for (given, why) in wrong {
            let failure = Listing::new(given, true).err().unwrap();
            assert_eq!(failure.status, Status::InvalidArgument);
            assert!(failure.message.contains(why), "{failure}");
        }
    }

    #[test]
    fn the_callers_own_descriptor_still_blocks() {
        let (_reader, given) = std::io::pipe().unwrap();
        let given = OwnedFd::from(given);
        let _writer = PipeWriter::new(&given, PATIENCE).unwrap();
        assert!(!fcntl_getfl(&given).unwrap().contains(OFlags::NONBLOCK));
    }

    #[test]
    fn a_slow_reader_gets_every_byte() {
        let (mut reader, mut writer) = writer(PATIENCE);
        let sent: Vec<u8> = (0..3 * BUFFER_LEN).map(|byte| byte as u8).collect();
        let expected = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&sent));
        let mut received = Vec::new();
        let mut some = [0; 1000];
        loop {
            match reader.read(&mut some).unwrap() {
                0 => break,
                count => received.extend_from_slice(&some[..count]),
            }
        }
        writing.join().unwrap().unwrap();
        assert!(received == expected);
    }

    #[test]
    fn a_reader_that_takes_nothing_ends_the_writing() {
        let (_reader, mut writer) = writer(Duration::from_millis(10));
        let error = writer.write_all(&vec![0; 16 * BUFFER_LEN]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_writing() {
        let (reader, mut writer) = writer(PATIENCE);
        let writing = std::thread::spawn(move || writer.write_all(&vec![0; 16 * BUFFER_LEN]));
        drop(reader);
        assert_eq!(
            writing.join().unwrap().unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    }
}
