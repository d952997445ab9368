//! Reads the options, starts logging, runs the daemon.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use fuse_promised::options::{Flags, Options, Places};
use fuse_promised::{lifecycle, logging, notify};

/// As for a bad flag.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::gather(Flags::parse(), &Places::of_process()) {
        Ok(options) => options,
        Err(failure) => {
            eprintln!("fuse-promised: {failure}");
            notify::status(&failure.message);
            return ExitCode::from(USAGE);
        }
    };
    logging::start(options.log_level, options.foreground);
    lifecycle::run(options)
}
