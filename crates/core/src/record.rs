//! Lines of `word key=value key=value`, the text that scripts read.
//!
//! A line is a word and fields, or fields alone. Values are escaped so that a line is always split
//! at its spaces and ends where it ends: space, control characters, the backslash and bytes that
//! are not UTF-8 are written `\xNN`. What fpctl prints and what the daemon streams are both made
//! and read here.

use std::fmt::{self, Write};

/// One line: fields keep their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Empty for a line of fields alone.
    word: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// `word` and the keys are ours and plain; only values are escaped.
    #[must_use]
    pub fn new(word: &str) -> Self {
        Self {
            word: word.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Adds a field from anything that can be shown.
    #[must_use]
    pub fn field(self, key: &str, value: impl fmt::Display) -> Self {
        self.bytes(key, value.to_string().as_bytes())
    }

    /// Adds a field whose value need not be text, such as a path.
    #[must_use]
    pub fn bytes(mut self, key: &str, value: &[u8]) -> Self {
        self.fields.push((key.to_owned(), value.to_vec()));
        self
    }

    #[must_use]
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The value of the first field with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.fields()
            .find_map(|(known, value)| (known == key).then_some(value))
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// Reads a line without its newline. `None` if it is not one that [`Display`](fmt::Display)
    /// could have written.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut record = Self::default();
        for (place, part) in line.split(' ').enumerate() {
            match part.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    record = record.bytes(key, &unescape(value)?);
                }
                None if place == 0 && !part.is_empty() => record.word = part.to_owned(),
                _ => return None,
            }
        }
        Some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.word)?;
        let mut space = if self.word.is_empty() { "" } else { " " };
        for (key, value) in &self.fields {
            write!(out, "{space}{key}={}", escape(value))?;
            space = " ";
        }
        Ok(())
    }
}

/// `value` as it stands behind a `=`.
#[must_use]
pub fn escape(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == ' ' || letter == '\\' || letter.is_control() {
                let mut bytes = [0; 4];
                escape_bytes(&mut text, letter.encode_utf8(&mut bytes).as_bytes());
            } else {
                text.push(letter);
            }
        }
        escape_bytes(&mut text, chunk.invalid());
    }
    text
}

fn escape_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\x{byte:02x}").expect("a string takes whatever is written to it");
    }
}

/// The bytes behind an escaped value; `None` for a backslash that begins no `\xNN`.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut value = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.strip_prefix('x')?.get(..2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        value.push(u8::from_str_radix(digits, 16).ok()?);
        value.extend_from_slice(&part.as_bytes()[3..]);
    }
    Some(value)
}

#[cfg(test)]
mod tests;
