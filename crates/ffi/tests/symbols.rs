//! The shared library exports the pinned list of functions and nothing else, under the name that
//! programs record.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo builds the shared library beside this test.
fn shared_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name("libfusepromise.so")
}

fn output_of(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("{program} (of binutils) is needed: {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exports_the_pinned_symbols_only() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/c/symbols.txt");
    let pinned = std::fs::read_to_string(list).unwrap();
    let table = output_of(
        "nm",
        &["--dynamic", "--defined-only", "--format=posix"],
        &shared_library(),
    );
    let exported: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(exported, pinned.lines().collect::<Vec<_>>());
}

#[test]
fn has_the_soname_of_abi_1_and_stays_loaded() {
    let dynamic = output_of("readelf", &["--dynamic", "--wide"], &shared_library());
    assert!(
        dynamic.contains("soname: [libfusepromise.so.1]"),
        "{dynamic}"
    );
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// A program that loads the library gets the C library and nothing that the system may lack.
#[test]
fn needs_the_c_library_alone() {
    let dynamic = output_of("readelf", &["--dynamic", "--wide"], &shared_library());
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    assert!(!needed.is_empty());
    for library in needed {
        let known = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
        assert!(
            known.iter().any(|name| library.starts_with(name)),
            "{library}"
        );
    }
}
