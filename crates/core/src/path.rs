//! Paths inside a promise.
//!
//! A path comes from a provider in any spelling and leaves here in one: relative, names joined by
//! single slashes, no `.` and no `..`. Equal paths are then equal bytes.

use std::borrow::Cow;

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
pub struct RelativePath<'a> {
    /// As it was given, if that was the one spelling already.
    bytes: Cow<'a, [u8]>,
    /// Where the last name begins.
    name_at: usize,
}

impl RelativePath<'_> {
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
        &self.bytes[..self.name_at.saturating_sub(1)]
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.bytes[self.name_at..]
    }
}

/// `./q`, `a//b`, `a/./b` and `t/` mean `q`, `a/b`, `a/b` and `t`. Refused are absolute paths,
/// `..` anywhere, paths that name nothing (empty, `.`), NUL, names and paths that are too long,
/// and what is not UTF-8 unless the rule allows it.
pub fn normalize(path: &[u8], rule: PathRule) -> Result<RelativePath<'_>> {
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
    let names = || path.split(|byte| *byte == b'/');
    let mut is_normal = true;
    for name in names() {
        match name {
            b"" | b"." => is_normal = false,
            b".." => return refuse("holds `..`"),
            _ if name.len() > NAME_LEN_MAX => {
                return refuse(&format!(
                    "has a name of {} bytes; the longest name is {NAME_LEN_MAX}",
                    name.len()
                ));
            }
            _ => {}
        }
    }
    let bytes = if is_normal {
        Cow::Borrowed(path)
    } else {
        let names = names().filter(|name| !matches!(*name, b"" | b"."));
        Cow::Owned(names.collect::<Vec<_>>().join(&b'/'))
    };
    if bytes.is_empty() {
        return refuse("names nothing");
    }
    if bytes.len() > PATH_LEN_MAX {
        return refuse(&format!(
            "has {} bytes; the longest path in a promise is {PATH_LEN_MAX}",
            bytes.len()
        ));
    }
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    let name_at = slash.map_or(0, |slash| slash + 1);
    Ok(RelativePath { bytes, name_at })
}

#[cfg(test)]
mod tests;
