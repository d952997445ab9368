//! Rules of the source tree that no compiler knows.

use super::Selection;
use super::semantics;
use super::source_tree::{Source, sources};
use crate::Outcome;
use crate::steps::Tally;

/// The only places that may hold `unsafe`.
const UNSAFE_PLACES: [&str; 3] = [
    "crates/ffi/",
    "crates/wire/src/mapping.rs",
    "crates/daemon/src/descriptor.rs",
];

/// Longer than this is two nouns in one file.
const LONGEST_FILE: usize = 500;

type Rule = (&'static str, fn(&Source) -> Vec<String>);

const RULES: &[Rule] = &[
    ("unsafe only where it is allowed", unsafe_elsewhere),
    ("no file is too long", too_long),
    ("nothing is left for later", left_for_later),
    ("no test is skipped", skipped_tests),
    (
        "no name of a registry or path of one machine",
        foreign_names,
    ),
    ("no profile turns panics into aborts", aborting_profiles),
];

pub fn run(_: &Selection) -> Outcome<Tally> {
    let sources = sources()?;
    let mut tally = Tally::default();
    for (rule, broken) in RULES {
        let found: Vec<String> = sources.iter().flat_map(broken).collect();
        tally += told(rule, &found);
    }
    let untested = semantics::untested(&sources);
    tally += told(
        "every sentence of docs/semantics.md is quoted by a test",
        &untested,
    );
    Ok(tally)
}

fn told(rule: &str, found: &[String]) -> Tally {
    println!("{rule}: {}", if found.is_empty() { "yes" } else { "NO" });
    for place in found {
        println!("    {place}");
    }
    Tally::one(found.is_empty())
}

/// Lines of a file that break a rule, as `path:line: text`.
fn lines(source: &Source, broken: impl Fn(&str) -> bool) -> Vec<String> {
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| broken(line))
        .map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim()))
        .collect()
}

/// A line's code, without a comment that makes up the whole of it.
fn code(line: &str) -> &str {
    let line = line.trim_start();
    if line.starts_with("//") { "" } else { line }
}

fn unsafe_elsewhere(source: &Source) -> Vec<String> {
    let allowed = UNSAFE_PLACES
        .iter()
        .any(|place| source.path.starts_with(place));
    if allowed || !source.is_rust() {
        return Vec::new();
    }
    let words = [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "[unsafe(",
    ];
    lines(source, |line| {
        words.iter().any(|word| code(line).contains(word)) && !code(line).contains('"')
    })
}

fn too_long(source: &Source) -> Vec<String> {
    let length = source.text.lines().count();
    if source.is_rust() && length > LONGEST_FILE {
        return vec![format!("{}: {length} lines", source.path)];
    }
    Vec::new()
}

fn left_for_later(source: &Source) -> Vec<String> {
    let words = ["todo", "unimplemented"].map(|word| format!("{word}!("));
    if !source.is_rust() {
        return Vec::new();
    }
    lines(source, |line| {
        words.iter().any(|word| code(line).contains(word))
    })
}

fn skipped_tests(source: &Source) -> Vec<String> {
    let attribute = ["#[", "ignore"].concat();
    if !source.is_rust() {
        return Vec::new();
    }
    lines(source, |line| code(line).starts_with(&attribute))
}

/// Sources must mean the same on every machine. The lock file names its
/// registry by itself.
fn foreign_names(source: &Source) -> Vec<String> {
    if source.path == "Cargo.lock" {
        return Vec::new();
    }
    let names = [
        ["index.", "crates.io"],
        ["static.", "crates.io"],
        ["pypi.", "org"],
        ["registry.", "npmjs"],
        ["deb.", "debian.org"],
        ["/wo", "rk/"],
        ["/ro", "ot/"],
    ]
    .map(|parts| parts.concat());
    lines(source, |line| names.iter().any(|name| line.contains(name)))
}

fn aborting_profiles(source: &Source) -> Vec<String> {
    if !source.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    lines(source, |line| {
        line.trim_start().starts_with("panic") && line.contains("abort")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn unsafe_code_is_found_outside_its_places_and_not_in_comments() {
        let text = "// an unsafe { } in words\nlet x = unsafe { y };\n";
        let found = unsafe_elsewhere(&source("crates/core/src/lib.rs", text));
        assert_eq!(found, ["crates/core/src/lib.rs:2: let x = unsafe { y };"]);
        assert!(unsafe_elsewhere(&source("crates/ffi/src/lib.rs", text)).is_empty());
    }

    #[test]
    fn machine_paths_are_found() {
        let text = format!("cd {}x\n", ["/wo", "rk/"].concat());
        assert_eq!(foreign_names(&source("docs/a.md", &text)).len(), 1);
    }
}
