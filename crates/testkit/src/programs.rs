//! Where the programs under test and the installed text files are.
//!
//! `cargo xtask test` copies both into a folder that an ordinary user can
//! read and names its `bin` in `FUSE_PROMISE_BIN_DIR`; without that, the
//! build folder and the source tree of the workspace are used as they are.

use std::path::{Path, PathBuf};

/// Environment variable that names the folder of the programs under test.
pub const BIN_DIR: &str = "FUSE_PROMISE_BIN_DIR";

/// The folder that holds `fuse-promised`, `fpctl` and the test programs.
pub fn bin_dir() -> PathBuf {
    match std::env::var_os(BIN_DIR) {
        Some(dir) => PathBuf::from(dir),
        None => workspace().join("target/debug"),
    }
}

/// One program under test.
pub fn program(name: &str) -> PathBuf {
    bin_dir().join(name)
}

/// The installed text files of one folder of the source tree (`systemd` or
/// `dbus`): each file's installed name and its text, with `@bindir@` replaced
/// by the folder of the programs under test.
pub fn installed_texts(folder: &str) -> Vec<(String, String)> {
    let staged = bin_dir().join("..").join(folder);
    let folder = if std::env::var_os(BIN_DIR).is_some() && staged.exists() {
        staged
    } else {
        workspace().join(folder)
    };
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut texts: Vec<(String, String)> = entries
        .map(|entry| render(&entry.expect("a folder entry").path()))
        .collect();
    texts.sort();
    texts
}

fn render(path: &Path) -> (String, String) {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rendered = text.replace("@bindir@", bin_dir().to_str().expect("a UTF-8 path"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let installed = name.strip_suffix(".in").unwrap_or(&name);
    (installed.to_owned(), rendered)
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
