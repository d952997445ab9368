//! Records as JSON, one object a line, each made from one line and written before the next is
//! read: a list of a million nodes takes no more memory than its longest line.
//!
//! A line's word is the key `record`; a line without a word has none. Numbers are JSON numbers,
//! all else strings, and so are a path or a node id of digits and the octal mode. A value that is
//! not UTF-8 keeps its escaped form, under its key with `_escaped` behind it.

use std::io::{self, Write};

use fuse_promise_core::Record;
use fuse_promise_core::record::escape;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The keys whose values are text even when they consist of digits.
const TEXTS: [&str; 5] = [
    "path",
    "provider_node",
    "mode",
    "provider_program",
    "promise_last_error_path",
];

/// A record as one JSON object, its fields in their order.
pub struct Object<'a>(pub &'a Record);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let word = Some(self.0.word()).filter(|word| !word.is_empty());
        let word = word.map(|word| ("record".to_owned(), Value::from(word)));
        let fields = self.0.fields().map(|(key, value)| member(key, value));
        serializer.collect_map(word.into_iter().chain(fields))
    }
}

fn member(key: &str, value: &[u8]) -> (String, Value) {
    match str::from_utf8(value) {
        Err(_) => (format!("{key}_escaped"), escape(value).into()),
        Ok(text) => match text.parse::<u64>() {
            Ok(number) if !TEXTS.contains(&key) => (key.into(), number.into()),
            _ => (key.into(), text.into()),
        },
    }
}

/// Turns record lines that are written to it, in pieces of any size, into JSON lines.
pub struct JsonLines<W> {
    inner: W,
    /// The line that has no end yet.
    pending: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            pending: Vec::new(),
        }
    }

    fn convert(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.pending);
        let record = str::from_utf8(&line)
            .ok()
            .and_then(Record::parse)
            .ok_or_else(|| {
                let line = String::from_utf8_lossy(&line);
                io::Error::other(format!(
                    "the daemon sent a line that is no record: {line:?}"
                ))
            })?;
        serde_json::to_writer(&mut self.inner, &Object(&record))?;
        self.inner.write_all(b"\n")
    }
}

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(rest) = piece.strip_suffix(b"\n") {
                self.pending.extend_from_slice(rest);
                self.convert()?;
            } else {
                self.pending.extend_from_slice(piece);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(pieces: &[&str]) -> String {
        let mut bytes = Vec::new();
        let mut lines = JsonLines::new(&mut bytes);
        for piece in pieces {
            lines.write_all(piece.as_bytes()).unwrap();
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_node_line_becomes_one_object() {
        let line = "node promise=promise-1 path=a\\x20b inode=4294967297 kind=file size=5 \
                    mode=0644 provider_node=7\n";
        let value: Value = serde_json::from_str(&converted(&[line])).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "record": "node", "promise": "promise-1", "path": "a b",
                "inode": 4_294_967_297_u64, "kind": "file", "size": 5, "mode": "0644",
                "provider_node": "7",
            })
        );
    }

    #[test]
    fn lines_may_arrive_in_any_pieces() {
        let wanted = "{\"providers\":1}\n{\"promises\":20}\n";
        assert_eq!(converted(&["providers=1\npromises=20\n"]), wanted);
        assert_eq!(
            converted(&["prov", "iders=1", "\nprom", "ises=2", "0\n"]),
            wanted
        );
    }

    #[test]
    fn bytes_that_are_no_text_stay_escaped_under_a_name_that_says_so() {
        assert_eq!(
            converted(&["node path=a\\xff\n"]),
            "{\"record\":\"node\",\"path_escaped\":\"a\\\\xff\"}\n"
        );
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let mut lines = JsonLines::new(Vec::new());
        assert!(lines.write_all(b"two words\n").is_err());
    }
}
