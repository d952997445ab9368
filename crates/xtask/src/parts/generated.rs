//! Files that are generated and committed: they are compared with what the
//! sources say. `cargo xtask gen` writes them.

use std::fs;
use std::path::Path;

use super::Selection;
use crate::Outcome;
use crate::cargo::{cargo, must, root};
use crate::steps::Tally;

/// The public header.
pub const HEADER: &str = "include/fuse-promise/fuse-promise.h";

pub fn run(_: &Selection) -> Outcome<Tally> {
    let folder = tempfile::tempdir()?;
    let fresh = folder.path().join("fuse-promise.h");
    write_header(&fresh)?;
    Ok(Tally::one(is_current(HEADER, &fresh)?))
}

/// Has cbindgen write the header.
pub fn write_header(target: &Path) -> Outcome {
    let mut command = cargo(&["run", "-q", "--locked", "-p", "fusepromise"]);
    command.args(["--example", "header", "--"]).arg(target);
    must(&mut command)
}

fn is_current(committed: &str, fresh: &Path) -> Outcome<bool> {
    let path = root().join(committed);
    let there = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let same = there == fs::read(fresh)?;
    if !same {
        println!("{committed} is not what the sources say: run `cargo xtask gen`");
    }
    Ok(same)
}
