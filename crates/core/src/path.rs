//! Paths inside a promise.
//!
//! A path comes from a provider in any spelling and leaves here in one: relative, names joined by
//! single slashes, no `.` and no `..`. Equal paths are then equal bytes.

use crate::failure::{Failure, Result};
use crate::limits::{NAME_LEN_MAX, PATH_LEN_MAX};

/// Which bytes a name may hold beside NUL and `/`, which no name can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRule {
    /// Names are UTF-8.
    Utf8,
    /// Any bytes.
    Bytes,
}

/// A normalized path of at least one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath {
    bytes: Vec<u8>,
}

impl RelativePath {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'/')
    }

    /// The path of the directory that holds the node; empty for the promise's own directory.
    #[must_use]
    pub fn parent(&self) -> &[u8] {
        let end = self.last_slash().unwrap_or(0);
        &self.bytes[..end]
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self.last_slash().map_or(0, |slash| slash + 1);
        &self.bytes[start..]
    }

    fn last_slash(&self) -> Option<usize> {
        self.bytes.iter().rposition(|byte| *byte == b'/')
    }
}

/// `./q`, `a//b`, `a/./b` and `t/` mean `q`, `a/b`, `a/b` and `t`. Refused are absolute paths,
/// `..` anywhere, paths that name nothing (empty, `.`), NUL, names and paths that are too long,
/// and what is not UTF-8 unless the rule allows it.
pub fn normalize(path: &[u8], rule: PathRule) -> Result<RelativePath> {
    let refuse = |why: &str| {
        let shown = String::from_utf8_lossy(path);
        Err(Failure::invalid(format!("path {shown:?} {why}")))
    };
    if path.first() == Some(&b'/') {
        return refuse("is absolute; give one relative to the promise");
    }
    if path.contains(&0) {
        return refuse("holds a NUL byte");
    }
    if rule == PathRule::Utf8 && std::str::from_utf8(path).is_err() {
        return refuse("is not UTF-8");
    }
    let mut bytes = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => continue,
            b".." => return refuse("holds `..`"),
            _ if name.len() > NAME_LEN_MAX => {
                return refuse(&format!("has a name over {NAME_LEN_MAX} bytes"));
            }
            _ => {}
        }
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
    }
    if bytes.is_empty() {
        return refuse("names nothing");
    }
    if bytes.len() > PATH_LEN_MAX {
        return refuse(&format!("is over {PATH_LEN_MAX} bytes"));
    }
    Ok(RelativePath { bytes })
}

#[cfg(test)]
mod tests;
