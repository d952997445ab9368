//! The committed header is what the sources say, and its constants are those of core's table.

#[path = "../examples/header/generator.rs"]
mod generator;

use std::path::Path;

use fuse_promise_core::Status;
use fuse_promise_core::words::CachePolicy;

fn committed() -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/fuse-promise/fuse-promise.h");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_committed_header_is_current() {
    let generated = generator::generate().unwrap();
    assert!(
        committed() == generated,
        "include/fuse-promise/fuse-promise.h is not what the sources say; run cargo xtask gen"
    );
}

/// `FP_ERR_NOT_FOUND` of `NotFound`.
fn macro_name(status: Status) -> String {
    let words = format!("{status:?}")
        .chars()
        .flat_map(|letter| {
            let gap = letter.is_uppercase().then_some('_');
            gap.into_iter().chain([letter.to_ascii_uppercase()])
        })
        .collect::<String>();
    match status {
        Status::Ok => format!("FP{words}"),
        _ => format!("FP_ERR{words}"),
    }
}

#[test]
fn every_cache_policy_of_the_table_is_a_typed_macro_and_the_default_comes_before() {
    let name = |policy: &CachePolicy| match policy {
        CachePolicy::NoCache => "NONE",
        CachePolicy::ReadThrough => "READ_THROUGH",
        CachePolicy::Keep => "KEEP",
    };
    let all = CachePolicy::ALL.iter();
    let numbered = all.map(|policy| (name(policy), policy.code()));
    let expected: Vec<String> = std::iter::once(("DEFAULT", 0))
        .chain(numbered)
        .map(|(name, code)| format!("#define FP_CACHE_POLICY_{name} ((fp_cache_policy_t){code}u)"))
        .collect();
    let header = committed();
    let found = header
        .lines()
        .filter(|line| line.contains("((fp_cache_policy_t)"));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn every_status_of_the_table_is_a_typed_macro_and_no_other_is() {
    let header = committed();
    let found: Vec<&str> = header
        .lines()
        .filter(|line| line.contains("((fp_status_t)"))
        .collect();
    let expected: Vec<String> = Status::ALL
        .into_iter()
        .map(|status| {
            let (name, code) = (macro_name(status), status.code());
            format!("#define {name} ((fp_status_t){code}u)")
        })
        .collect();
    assert_eq!(found, expected);
}
