use super::*;
use proptest::prelude::*;

#[test]
fn a_record_is_one_line_of_word_and_fields() {
    let record = Record::new("node")
        .field("promise", "promise-1")
        .bytes("path", b"a b/\xff")
        .field("size", 12)
        .field("provider_node", "");
    let line = "node promise=promise-1 path=a\\x20b/\\xff size=12 provider_node=";
    assert_eq!(record.to_string(), line);
    assert_eq!(Record::parse(line), Some(record.clone()));
    assert_eq!(record.word(), "node");
    assert_eq!(record.get("path"), Some(&b"a b/\xff"[..]));
    assert_eq!(record.get("mode"), None);
    assert_eq!(record.fields().count(), 4);
}

#[test]
fn a_record_without_a_word_is_its_fields() {
    let record = Record::new("").field("providers", 3);
    assert_eq!(record.to_string(), "providers=3");
    assert_eq!(Record::parse("providers=3"), Some(record));
}

#[test]
fn only_what_would_break_a_line_is_escaped() {
    for (value, text) in [
        (&b"plain/path-1.txt"[..], "plain/path-1.txt"),
        (b"a=b", "a=b"),
        ("\u{e9}t\u{e9}".as_bytes(), "\u{e9}t\u{e9}"),
        (b" ", "\\x20"),
        (b"\\", "\\x5c"),
        (b"\n\t\x7f\0", "\\x0a\\x09\\x7f\\x00"),
        ("\u{85}".as_bytes(), "\\xc2\\x85"),
        (b"\xc3(", "\\xc3("),
    ] {
        assert_eq!(escape(value), text);
        assert_eq!(unescape(text).as_deref(), Some(value));
    }
}

#[test]
fn a_backslash_that_begins_no_escape_is_refused() {
    for wrong in [
        "\\",
        "\\x",
        "\\x1",
        "\\xg0",
        "\\n",
        "a\\\\",
        "\\x+1",
        "\\x\u{e9}",
    ] {
        assert_eq!(unescape(wrong), None, "{wrong:?}");
    }
}

#[test]
fn lines_that_no_record_writes_are_refused() {
    for wrong in [
        "", " ", "a  b=1", "a b", "=1", "a =1", "a b=1 ", " b=1", "b=\\",
    ] {
        assert_eq!(Record::parse(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_value_comes_back_and_stays_on_its_line(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 1..5)
    ) {
        let mut record = Record::new("promise");
        for value in &values {
            record = record.bytes("key", value);
        }
        let line = record.to_string();
        prop_assert!(!line.chars().any(char::is_control));
        prop_assert_eq!(line.split(' ').count(), 1 + values.len());
        prop_assert_eq!(Record::parse(&line), Some(record));
    }

    #[test]
    fn no_text_breaks_the_parser(line in ".{0,40}") {
        if let Some(record) = Record::parse(&line) {
            prop_assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
    }
}
