//! The commands of the README: `cargo xtask demo`, `cargo xtask test` and
//! what maintainers run beside them, one file per verb.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod demo;
mod demo_session;
mod fuzz;
mod generate;
mod machine;
mod packages;
mod parts;
mod soak;
mod stage;
mod steps;
mod test;
mod user;

use std::process::ExitCode;

use clap::Parser;

/// What went wrong, as a sentence.
type Failure = Box<dyn std::error::Error>;
type Outcome<T = ()> = Result<T, Failure>;

/// Builds, tests and shows fuse-promise.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    Demo(demo::Demo),
    Test(test::Test),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    Soak(soak::Soak),
    Gen(generate::Generate),
    #[command(hide = true)]
    Machine(machine::helper::Helper),
    #[command(hide = true)]
    DemoSession(demo_session::DemoSession),
}

fn main() -> ExitCode {
    let outcome = match Verb::parse() {
        Verb::Demo(demo) => demo.run(),
        Verb::Test(test) => test.run(),
        Verb::Bench(bench) => bench.run(),
        Verb::Fuzz(fuzz) => fuzz.run(),
        Verb::Soak(soak) => soak.run(),
        Verb::Gen(generate) => generate.run(),
        Verb::Machine(helper) => helper.run(),
        Verb::DemoSession(session) => session.run(),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("cargo xtask: {failure}");
        ExitCode::FAILURE
    })
}
