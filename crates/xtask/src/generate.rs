//! `cargo xtask gen`: writes the files that are generated and committed.

use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use crate::cargo::root;
use crate::parts::{GENERATED, write_interfaces};

/// Writes the generated files: the public header, the man pages
/// and the bus interfaces.
#[derive(Debug, Args)]
pub struct Generate {}

impl Generate {
    pub fn run(self) -> Outcome<ExitCode> {
        for file in GENERATED {
            file.write(&root().join(file.path))?;
            println!("wrote {}", file.path);
        }
        write_interfaces()?;
        println!("wrote dbus/*.xml");
        Ok(ExitCode::SUCCESS)
    }
}
