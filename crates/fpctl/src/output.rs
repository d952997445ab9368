//! Standard output, where a closed pipe is nobody's fault: `fpctl list | head` ends quietly.

use std::io::{self, ErrorKind, Write};

/// Remembers the first error of a writer that other code writes to and reports on in its own way.
pub struct Output<W> {
    inner: W,
    error: Option<io::Error>,
}

impl<W: Write> Output<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, error: None }
    }

    /// Flushes; fails with the first error of this writer, if there was one.
    pub fn finish(mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.inner.flush(),
        }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            if kind != ErrorKind::Interrupted && self.error.is_none() {
                self.error = Some(error);
            }
            kind.into()
        })
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.note(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_writer_failed_with_is_known_afterwards() {
        let mut output = Output::new(Closed);
        assert!(output.write_all(b"line\n").is_err());
        assert_eq!(output.finish().unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_writer_that_took_everything_finishes_well() {
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes);
        output.write_all(b"line\n").unwrap();
        output.finish().unwrap();
        assert_eq!(bytes, b"line\n");
    }
}
