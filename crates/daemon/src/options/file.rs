//! One settings file: TOML with the keys at the top level. Durations may be numbers, which count
//! seconds. Everything that is wrong is told as `file:line: what`.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use fuse_promise_core::failure::{Failure, Result};
use toml::de::{DeTable, DeValue};

use super::settings::{KEYS, Settings, unknown_key};

/// Reads the file, or nothing if there is none.
///
/// # Errors
/// A file that cannot be read or is not TOML, an unknown key, a bad value.
pub fn read(path: &Path) -> Result<Settings> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(Failure::invalid(format!("{}: {error}", path.display()))),
    }
}

fn parse(path: &Path, text: &str) -> Result<Settings> {
    let wrong = |span: Range<usize>, why: &str| {
        let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
        Failure::invalid(format!("{}:{line}: {why}", path.display()))
    };
    let table = DeTable::parse(text)
        .map_err(|error| wrong(error.span().unwrap_or(0..0), error.message()))?;
    let mut settings = Settings::default();
    for (key, value) in table.get_ref() {
        let name: &str = key.get_ref();
        let known = KEYS.contains(&name);
        match text_of(value.get_ref()) {
            Some(text) => settings
                .set(name, text)
                .map_err(|why| wrong(key.span(), &why))?,
            None if known => return Err(wrong(key.span(), &not_a_value(name))),
            None => return Err(wrong(key.span(), &unknown_key(name))),
        }
    }
    Ok(settings)
}

fn text_of<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
        _ => None,
    }
}

fn not_a_value(key: &str) -> String {
    format!("the value of {key} must be a string or a whole number")
}
