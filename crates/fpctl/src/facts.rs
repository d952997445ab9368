//! What is known of one thing, as a record with a fact in each field, shown to people and to
//! scripts.

use fuse_promise_core::Record;

/// One `key=value` a line.
pub fn lines(facts: &Record) -> String {
    facts
        .fields()
        .map(|(key, value)| format!("{}\n", Record::default().bytes(key, value)))
        .collect()
}

/// For people: the same facts by their names, in two columns. What a terminal would take for a
/// command is shown as what it is.
pub fn table(facts: &Record) -> String {
    let width = facts
        .fields()
        .map(|(key, _)| key.len())
        .max()
        .unwrap_or_default();
    facts
        .fields()
        .map(|(key, value)| {
            let (key, value) = (key.replace('_', " "), printable(value));
            format!("{key:width$}  {value}\n")
        })
        .collect()
}

fn printable(value: &[u8]) -> String {
    let mut shown = String::with_capacity(value.len());
    for letter in String::from_utf8_lossy(value).chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Record {
        Record::default()
            .field("a_key", "two words")
            .bytes("b", b"\x1b[2J\xff\n")
    }

    #[test]
    fn scripts_get_a_line_for_each_fact() {
        assert_eq!(
            lines(&facts()),
            "a_key=two\\x20words\nb=\\x1b[2J\\xff\\x0a\n"
        );
    }

    #[test]
    fn people_get_columns_and_no_terminal_commands() {
        assert_eq!(
            table(&facts()),
            "a key  two words\nb      \\u{1b}[2J\u{fffd}\\n\n"
        );
    }
}
