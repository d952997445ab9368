//! Writes the C header: `cargo run -p fusepromise --example header -- OUTPUT`.

mod generator;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(output) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: header OUTPUT");
        return ExitCode::from(2);
    };
    let written = generator::generate()
        .and_then(|text| std::fs::write(&output, text).map_err(|error| error.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", output.display());
            ExitCode::FAILURE
        }
    }
}
