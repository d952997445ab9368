use super::*;
use crate::status::Status;
use proptest::prelude::*;

fn normal(path: &str) -> Result<String> {
    let path = normalize(path.as_bytes(), PathRule::Utf8)?;
    Ok(String::from_utf8(path.as_bytes().to_vec()).expect("normalizing keeps UTF-8"))
}

#[test]
fn other_spellings_mean_the_same_path() {
    for (spelling, meant) in [
        ("q", "q"),
        ("./q", "q"),
        ("a//b", "a/b"),
        ("a/./b", "a/b"),
        ("t/", "t"),
        ("t/.", "t"),
        (".//./a///b/.//", "a/b"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("a..b/..c", "a..b/..c"),
        ("name with space\n", "name with space\n"),
    ] {
        assert_eq!(normal(spelling).as_deref(), Ok(meant), "{spelling:?}");
    }
}

#[test]
fn what_names_no_node_of_the_promise_is_refused() {
    for wrong in [
        "", ".", "./", "./.", "/", "//", "/a", "..", "../a", "a/..", "a/../b", "a\0b", "a/b/..",
    ] {
        let refused = normal(wrong).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument, "{wrong:?}");
        assert!(
            refused.message.contains(&format!("{wrong:?}")),
            "the message names the path: {}",
            refused.message
        );
    }
}

#[test]
fn names_and_paths_end_at_their_limits() {
    let longest_name = "n".repeat(NAME_LEN_MAX);
    assert!(normal(&longest_name).is_ok());
    assert!(normal(&format!("{longest_name}n")).is_err());
    assert!(normal(&format!("a/{longest_name}n/b")).is_err());

    let longest_path = "a/".repeat(PATH_LEN_MAX / 2);
    assert!(normal(&longest_path).is_ok(), "the last slash goes away");
    assert!(normal(&format!("{longest_path}b")).is_err());
    let long_spelling = format!("{}b", "./".repeat(PATH_LEN_MAX));
    assert_eq!(normal(&long_spelling).as_deref(), Ok("b"));
}

#[test]
fn what_is_too_long_is_refused_with_its_length_and_the_limit() {
    let long_name = "n".repeat(NAME_LEN_MAX + 1);
    let longest_path = format!("{}ab", "a/".repeat(PATH_LEN_MAX / 2 - 1));
    assert_eq!(longest_path.len(), PATH_LEN_MAX);
    assert!(normal(&longest_path).is_ok());
    for (wrong, len, limit) in [
        (long_name, NAME_LEN_MAX + 1, NAME_LEN_MAX),
        (format!("{longest_path}c"), PATH_LEN_MAX + 1, PATH_LEN_MAX),
    ] {
        let refused = normal(&wrong).unwrap_err();
        let numbers = [len, limit].map(|number| format!(" {number}"));
        let named = numbers
            .iter()
            .all(|number| refused.message.contains(number));
        assert!(named, "{refused}");
    }
}

#[test]
fn bytes_that_are_not_utf8_need_the_rule_for_it() {
    let path = b"a/\xff\xfe";
    assert!(normalize(path, PathRule::Utf8).is_err());
    let normal = normalize(path, PathRule::Bytes).expect("allowed by the rule");
    assert_eq!(normal.as_bytes(), path);
    assert!(normalize(b"a\0", PathRule::Bytes).is_err());
}

#[test]
fn a_path_knows_its_parent_and_name() {
    let path = normalize(b"a/b/c", PathRule::Utf8).expect("a plain path");
    assert_eq!(path.parent(), b"a/b");
    assert_eq!(path.name(), b"c");
    let top = normalize(b"a", PathRule::Utf8).expect("a plain path");
    assert_eq!(top.parent(), b"");
    assert_eq!(top.name(), b"a");
}

proptest! {
    #[test]
    fn what_is_accepted_is_normal_and_stays_so(path in "[./a-c\u{e9}]{0,12}") {
        let Ok(normal) = normalize(path.as_bytes(), PathRule::Utf8) else {
            let named = path.split('/').any(|name| !matches!(name, "" | "." | ".."));
            let escapes = path.starts_with('/') || path.split('/').any(|name| name == "..");
            prop_assert!(escapes || !named, "refused for no reason: {path:?}");
            return Ok(());
        };
        let names: Vec<&[u8]> = normal.components().collect();
        let meant: Vec<&[u8]> = path
            .split('/')
            .filter(|name| !matches!(*name, "" | "."))
            .map(str::as_bytes)
            .collect();
        prop_assert_eq!(&names, &meant);
        prop_assert_eq!(names.join(&b'/'), normal.as_bytes());
        let again = normalize(normal.as_bytes(), PathRule::Utf8);
        prop_assert_eq!(again.as_ref(), Ok(&normal));
    }

    #[test]
    fn no_bytes_break_it(path in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(normal) = normalize(&path, PathRule::Bytes) {
            for name in normal.components() {
                prop_assert!(!name.is_empty() && name != b"." && name != b"..");
                prop_assert!(!name.contains(&0));
            }
            if std::str::from_utf8(&path).is_ok() {
                prop_assert_eq!(normalize(&path, PathRule::Utf8), Ok(normal));
            }
        }
    }
}
