//! Files that are generated and committed: they are compared with what the
//! sources say. `cargo xtask gen` writes them.

use std::fs;
use std::path::Path;

use super::Selection;
use crate::Outcome;
use crate::cargo::{cargo, must, root};
use crate::steps::Tally;

/// A file that an example program of one of our packages writes.
pub struct Generated {
    pub path: &'static str,
    package: &'static str,
    example: &'static str,
}

/// The public header by cbindgen, the man pages by clap_mangen. The bus
/// interfaces are compared by a unit test of the daemon, which writes them too.
pub const GENERATED: &[Generated] = &[
    Generated {
        path: "include/fuse-promise/fuse-promise.h",
        package: "fusepromise",
        example: "header",
    },
    Generated {
        path: "docs/man/fpctl.1",
        package: "fpctl",
        example: "man",
    },
    Generated {
        path: "docs/man/fuse-promised.1",
        package: "fuse-promised",
        example: "man",
    },
];

pub fn run(_: &Selection) -> Outcome<Tally> {
    let folder = tempfile::tempdir()?;
    let fresh = folder.path().join("fresh");
    let mut tally = Tally::default();
    for file in GENERATED {
        file.write(&fresh)?;
        tally += Tally::one(is_current(file.path, &fresh)?);
    }
    Ok(tally)
}

impl Generated {
    /// Has the example write the file.
    pub fn write(&self, target: &Path) -> Outcome {
        let mut command = cargo(&["run", "-q", "--locked", "-p", self.package]);
        command.args(["--example", self.example, "--"]).arg(target);
        must(&mut command)
    }
}

/// Has the daemon's own test write the bus interfaces.
pub fn write_interfaces() -> Outcome {
    let mut command = cargo(&["test", "-q", "--locked", "-p", "fuse-promised"]);
    command.arg("introspection");
    must(command.env("FUSE_PROMISE_REGENERATE", "1"))
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
