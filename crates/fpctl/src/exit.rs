//! How fpctl ends: the one failure table's exit codes, 1 for output that could not be written, and
//! nothing at all to say when the reader of that output has gone.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use fuse_promise_core::{Failure, Status};

#[derive(Debug)]
pub enum Trouble {
    Failed(Failure),
    /// What went wrong has been said already.
    Told(Status),
    Output(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Trouble {
    /// The exit code, and what to say first.
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Failed(failure) => (failure.status.exit_code(), Some(failure.message.clone())),
            Self::Told(status) => (status.exit_code(), None),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => (0, None),
            Self::Output(error) => (1, Some(format!("standard output: {error}"))),
        }
    }

    pub fn report(&self) -> ExitCode {
        let (code, message) = self.verdict();
        if let Some(message) = message {
            eprintln!("fpctl: {message}");
        }
        code.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_exits_with_its_status_behind_ten() {
        for status in &Status::ALL[1..] {
            let trouble = Trouble::from(Failure::new(*status, "why"));
            let wanted = 10 + u8::try_from(status.code()).unwrap();
            assert_eq!(trouble.verdict(), (wanted, Some("why".into())));
            assert_eq!(Trouble::Told(*status).verdict(), (wanted, None));
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        let closed = Trouble::from(io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(closed.verdict(), (0, None));
        let full = Trouble::from(io::Error::from(ErrorKind::StorageFull));
        assert_eq!(full.verdict().0, 1);
    }
}
