//! A notification socket of our own, for what a service manager would hear.
//!
//! The started program gets its path in `NOTIFY_SOCKET` and sends datagrams
//! of `KEY=value` lines. Descriptors that come along are dropped by the
//! kernel because nothing asks for them, which also answers a `BARRIER=1`.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The receiving end.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
    received: Vec<String>,
}

impl NotifySocket {
    pub fn bind(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let socket =
            UnixDatagram::bind(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            socket,
            path: path.to_owned(),
            received: Vec::new(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until a line equal to `wanted` or starting with it has arrived,
    /// and returns the line. `None` when `limit` is over, or when
    /// `still_there` says that nobody is left to send it.
    pub fn wait_for(
        &mut self,
        wanted: &str,
        limit: Duration,
        mut still_there: impl FnMut() -> bool,
    ) -> Option<String> {
        let end = Instant::now() + limit;
        loop {
            let alive = still_there();
            self.receive(Duration::from_millis(50));
            if let Some(line) = self.received.iter().rev().find(|l| l.starts_with(wanted)) {
                return Some(line.clone());
            }
            if !alive || Instant::now() >= end {
                return None;
            }
        }
    }

    /// Every line so far, in order.
    pub fn lines(&mut self) -> &[String] {
        self.receive(Duration::from_millis(1));
        &self.received
    }

    /// Forgets what came before, so that the next start is waited for anew.
    pub fn clear(&mut self) {
        self.receive(Duration::from_millis(1));
        self.received.clear();
    }

    fn receive(&mut self, patience: Duration) {
        let mut buffer = [0u8; 4096];
        self.socket
            .set_read_timeout(Some(patience))
            .expect("a read timeout");
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            self.received.extend(text.lines().map(str::to_owned));
            self.socket
                .set_read_timeout(Some(Duration::from_millis(1)))
                .expect("a read timeout");
        }
    }
}
