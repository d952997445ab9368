//! A provider for tests that does what its standard input tells it. Its only
//! argument is the runtime directory for its context options.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use fuse_promise_testkit::fixture::script;

fn main() -> ExitCode {
    let runtime_dir = std::env::args_os().nth(1).map(PathBuf::from);
    match script::run(runtime_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("test-provider: {failure}");
            ExitCode::FAILURE
        }
    }
}
