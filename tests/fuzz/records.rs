//! Lines of `word key=value`: what is read from a pipe, and any bytes as a value.

use fuse_promise_core::record::{Record, escape, unescape};
use fuse_promise_testkit::fuzz::Campaign;

#[test]
fn lines_and_values_come_back_as_they_were() {
    Campaign::new("records").run(
        || (),
        |(), bytes| {
            let escaped = escape(bytes);
            assert_eq!(unescape(&escaped).as_deref(), Some(bytes));
            assert!(!escaped.contains(|letter: char| letter == ' ' || letter.is_control()));
            let written = Record::new("word")
                .bytes("a", bytes)
                .bytes("b", b"")
                .bytes("c", bytes);
            assert_eq!(Record::parse(&written.to_string()), Some(written));

            let line = String::from_utf8_lossy(bytes);
            let Some(record) = Record::parse(&line) else {
                return "refused".to_owned();
            };
            let again = record.to_string();
            assert_eq!(Record::parse(&again).as_ref(), Some(&record));
            let fields = record.fields().count();
            format!("{} {}", "field".repeat(fields.min(9)), again == line)
        },
    );
}
