//! fpctl: the command line over the client crate. Each command is a module; this one reads the
//! arguments and turns the outcome into an exit code.

#![forbid(unsafe_code)]

mod cli;
mod destroy;
mod exit;
mod facts;
mod inspect;
mod json;
mod list;
mod materialize;
mod output;
mod path;
mod serve;
mod status;
mod stop;
mod time;

use std::process::ExitCode;

use clap::Parser;
use fuse_promise_client::{Context, ContextOptions};

use cli::{Cli, Command};
use exit::Trouble;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.report(),
    }
}

fn run(cli: Cli) -> Result<(), Trouble> {
    let context = Context::open(ContextOptions {
        runtime_dir: cli.runtime_dir,
    })?;
    match cli
        .command
        .unwrap_or_else(|| Command::Status(cli::Status::default()))
    {
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::List(arguments) => list::run(&context, &arguments),
        Command::Inspect(arguments) => inspect::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Materialize(arguments) => materialize::run(&context, &arguments),
        Command::Destroy(arguments) => destroy::run(&context, &arguments),
    }
}
