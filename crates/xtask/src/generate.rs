//! `cargo xtask gen`: writes the files that are generated and committed.

use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use crate::cargo::root;
use crate::parts::{HEADER, write_header};

/// Writes the generated files: the public header.
#[derive(Debug, Args)]
pub struct Generate {}

impl Generate {
    pub fn run(self) -> Outcome<ExitCode> {
        write_header(&root().join(HEADER))?;
        println!("wrote {HEADER}");
        Ok(ExitCode::SUCCESS)
    }
}
