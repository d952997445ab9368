//! The next promise and provider numbers of this user session.
//!
//! A number, once given out, is never given out again while the runtime
//! directory exists, whatever happens to the daemon: the file beside the socket
//! names bounds that no earlier daemon reached, and a block of numbers is
//! reserved there before the first of it is used. A clean stop writes back what
//! was not used. No file means a fresh session, which starts at 1.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, ProviderNumber};

/// Numbers reserved at a time: one small write per 64 commits, and at most 64
/// numbers lost by a crash.
const BLOCK: u64 = 64;

/// Gives out numbers; one instance per runtime directory, under the daemon's lock.
#[derive(Debug)]
pub(crate) struct Numbers {
    file: PathBuf,
    promise: Series,
    provider: Series,
}

#[derive(Debug, Clone, Copy)]
struct Series {
    next: u64,
    reserved_below: u64,
}

impl Numbers {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let (promise, provider) = match std::fs::read_to_string(file) {
            Ok(text) => parse(&text).ok_or_else(|| damaged(file))?,
            Err(error) if error.kind() == ErrorKind::NotFound => (1, 1),
            Err(error) => return Err(unusable(file, &error)),
        };
        let series = |next| Series {
            next,
            reserved_below: next,
        };
        Ok(Self {
            file: file.to_owned(),
            promise: series(promise),
            provider: series(provider),
        })
    }

    /// The number the next commit gets, without using it up.
    pub(crate) fn peek_promise(&self) -> Result<PromiseNumber> {
        match u32::try_from(self.promise.next) {
            Ok(number) => Ok(PromiseNumber(number)),
            Err(_) => Err(Failure::unavailable(
                "all 4294967295 promise numbers of this session are used up; log out and in again",
            )),
        }
    }

    pub(crate) fn take_promise(&mut self) -> Result<PromiseNumber> {
        let number = self.peek_promise()?;
        if self.promise.next >= self.promise.reserved_below {
            self.reserve(self.promise.next + BLOCK, self.provider.reserved_below)?;
        }
        self.promise.next += 1;
        Ok(number)
    }

    pub(crate) fn take_provider(&mut self) -> Result<ProviderNumber> {
        if self.provider.next >= self.provider.reserved_below {
            self.reserve(self.promise.reserved_below, self.provider.next + BLOCK)?;
        }
        let number = ProviderNumber(self.provider.next);
        self.provider.next += 1;
        Ok(number)
    }

    /// At a clean stop: what is reserved but unused is given back.
    pub(crate) fn give_back(&mut self) -> Result<()> {
        self.reserve(self.promise.next, self.provider.next)
    }

    /// Writes new bounds; they count only once the file is in place.
    fn reserve(&mut self, promise: u64, provider: u64) -> Result<()> {
        let fresh = self.file.with_extension("state.new");
        let written = write_private(&fresh, promise, provider)
            .and_then(|()| std::fs::rename(&fresh, &self.file));
        written.map_err(|error| unusable(&self.file, &error))?;
        self.promise.reserved_below = promise;
        self.provider.reserved_below = provider;
        Ok(())
    }
}

fn write_private(file: &Path, promise: u64, provider: u64) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    write!(out, "next_promise={promise}\nnext_provider={provider}\n")
}

fn parse(text: &str) -> Option<(u64, u64)> {
    let mut lines = text.lines();
    let mut value = |key: &str| -> Option<u64> {
        let number = lines.next()?.strip_prefix(key)?.parse().ok()?;
        (number > 0).then_some(number)
    };
    Some((value("next_promise=")?, value("next_provider=")?))
}

fn damaged(file: &Path) -> Failure {
    Failure::unavailable(format!(
        "{} does not hold the session's next numbers; remove it when no program uses a promise",
        file.display()
    ))
}

fn unusable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fuse-promise.state");
        (dir, file)
    }

    #[test]
    fn a_fresh_session_starts_at_one() {
        let (_dir, file) = state_file();
        let mut numbers = Numbers::open(&file).unwrap();
        assert_eq!(numbers.peek_promise().unwrap(), PromiseNumber(1));
        assert_eq!(numbers.take_promise().unwrap(), PromiseNumber(1));
        assert_eq!(numbers.take_promise().unwrap(), PromiseNumber(2));
        assert_eq!(numbers.take_provider().unwrap(), ProviderNumber(1));
    }

    #[test]
    fn a_crash_never_gives_a_number_twice() {
        let (_dir, file) = state_file();
        let mut last = 0;
        for takes in [1, 63, 64, 65, 200] {
            let mut numbers = Numbers::open(&file).unwrap();
            for _ in 0..takes {
                let PromiseNumber(number) = numbers.take_promise().unwrap();
                assert!(number > last, "{number} after {last}");
                last = number;
            }
            // Dropped without give_back: a crash.
        }
    }

    #[test]
    fn a_clean_stop_gives_back_what_was_not_used() {
        let (_dir, file) = state_file();
        let mut numbers = Numbers::open(&file).unwrap();
        numbers.take_promise().unwrap();
        numbers.give_back().unwrap();
        let mut numbers = Numbers::open(&file).unwrap();
        assert_eq!(numbers.take_promise().unwrap(), PromiseNumber(2));
    }

    #[test]
    fn a_damaged_file_is_named_and_nothing_is_guessed() {
        let (_dir, file) = state_file();
        for text in ["", "next_promise=0\nnext_provider=1\n", "next_promise=x\n"] {
            std::fs::write(&file, text).unwrap();
            let failure = Numbers::open(&file).unwrap_err();
            assert!(failure.message.contains("fuse-promise.state"), "{failure}");
        }
    }

    #[test]
    fn numbers_end_with_a_refusal_not_a_wrap() {
        let (_dir, file) = state_file();
        let end = u64::from(u32::MAX);
        std::fs::write(&file, format!("next_promise={end}\nnext_provider=1\n")).unwrap();
        let mut numbers = Numbers::open(&file).unwrap();
        assert_eq!(numbers.take_promise().unwrap(), PromiseNumber(u32::MAX));
        assert!(numbers.take_promise().is_err());
    }
}
