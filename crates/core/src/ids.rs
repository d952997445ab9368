//! The numbers things go by.
//!
//! A promise and a provider have a number for a whole session, never given out twice. A node is a
//! row of its promise's image, and its inode is `promise << 32 | row`: nothing has to be looked up
//! to get from the one to the other.

use std::fmt;

/// Counted from 1. Shown as `promise-N`, which is also the name of its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromiseNumber(pub u32);

impl PromiseNumber {
    /// The public id, such as `promise-7`.
    #[must_use]
    pub fn id(self) -> String {
        self.to_string()
    }

    /// Accepts exactly what [`id`](Self::id) writes: no sign, no leading zero, no number 0.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let digits = id.strip_prefix("promise-")?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

impl fmt::Display for PromiseNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "promise-{}", self.0)
    }
}

/// Counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderNumber(pub u64);

impl fmt::Display for ProviderNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// A materialize job; counted from 1 in each daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobNumber(pub u64);

impl fmt::Display for JobNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// A node's place in its promise's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u32);

impl Row {
    /// The promise's own directory.
    pub const ROOT: Self = Self(0);
}

/// An inode number of the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

impl Inode {
    /// The root of the mount; FUSE wants it to be 1. Promise number 0 is never given out, so no
    /// node has this number.
    pub const ROOT: Self = Self(1);

    #[must_use]
    pub fn new(promise: PromiseNumber, row: Row) -> Self {
        Self(u64::from(promise.0) << 32 | u64::from(row.0))
    }

    /// The node behind the number; `None` for the root of the mount and for numbers that no node
    /// can have.
    #[must_use]
    pub fn split(self) -> Option<(PromiseNumber, Row)> {
        let bytes = self.0.to_be_bytes();
        let (high, low) = bytes.split_first_chunk::<4>()?;
        let promise = u32::from_be_bytes(*high);
        let row = u32::from_be_bytes(low.try_into().ok()?);
        (promise != 0).then_some((PromiseNumber(promise), Row(row)))
    }
}

/// The secret of a provider's session. It does not show in debug output, and comparing it takes
/// the same time wherever two tokens differ.
#[derive(Clone, Copy)]
pub struct Token(pub [u8; 32]);

impl Token {
    /// `None` unless the length is right.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |difference, (mine, theirs)| difference | (mine ^ theirs));
        // Keeps the compiler from ending the loop at the first difference.
        std::hint::black_box(difference) == 0
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_ids_are_parsed_exactly_as_written() {
        for number in [1, 7, 10, u32::MAX] {
            let promise = PromiseNumber(number);
            assert_eq!(promise.id(), format!("promise-{number}"));
            assert_eq!(PromiseNumber::parse(&promise.id()), Some(promise));
        }
        for wrong in [
            "",
            "promise-",
            "promise-0",
            "promise-01",
            "promise-+1",
            "promise--1",
            "promise-1 ",
            "promise-4294967296",
            "Promise-1",
            "7",
        ] {
            assert_eq!(PromiseNumber::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_inode_splits_into_what_it_was_made_of() {
        for promise in [1, 2, u32::MAX] {
            for row in [0, 1, u32::MAX] {
                let inode = Inode::new(PromiseNumber(promise), Row(row));
                assert_eq!(inode.split(), Some((PromiseNumber(promise), Row(row))));
            }
        }
        assert_eq!(Inode::new(PromiseNumber(1), Row(0)).0, 1 << 32);
        assert_eq!(Inode::ROOT.split(), None);
        assert_eq!(Inode(0).split(), None);
        assert_eq!(Inode(u64::from(u32::MAX)).split(), None);
    }

    #[test]
    fn a_token_compares_whole_and_shows_nothing() {
        let token = Token([7; 32]);
        for place in 0..32 {
            let mut other = token;
            other.0[place] ^= 1;
            assert_ne!(token, other);
        }
        assert_eq!(Token::from_slice(&[7; 32]), Some(token));
        assert_eq!(Token::from_slice(&[7; 31]), None);
        assert_eq!(Token::from_slice(&[7; 33]), None);
        assert_eq!(format!("{token:?}"), "Token(secret)");
    }
}
