//! Running cargo on the workspace, and what it built.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Outcome;
use crate::steps::{Tally, announce};

/// The top folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/xtask lies two folders below the top")
}

/// A cargo command in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // What this process inherited from `cargo run` is about xtask alone.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end; it counts as one check.
pub fn check(command: &mut Command) -> Outcome<Tally> {
    announce(command);
    let status = command.stdin(Stdio::null()).status()?;
    Ok(Tally::one(status.success()))
}

/// Runs a command that must succeed.
pub fn must(command: &mut Command) -> Outcome {
    if check(command)?.failed > 0 {
        return Err(format!("{} failed", command.get_program().display()).into());
    }
    Ok(())
}

/// An executable that cargo has built.
#[derive(Debug)]
pub struct Executable {
    pub name: String,
    pub is_test: bool,
    /// The package it belongs to, by its manifest.
    pub manifest: PathBuf,
    pub path: PathBuf,
}

/// Runs a building cargo command and returns the executables it names.
pub fn executables(arguments: &[&str]) -> Outcome<Vec<Executable>> {
    let mut command = cargo(arguments);
    command.args(["--locked", "--message-format=json-render-diagnostics"]);
    announce(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("cargo has no output")?;
    let mut found = Vec::new();
    for line in BufReader::new(output).lines() {
        found.extend(executable(&serde_json::from_str(&line?)?));
    }
    if !child.wait()?.success() {
        return Err("the build failed".into());
    }
    Ok(found)
}

fn executable(message: &Value) -> Option<Executable> {
    Some(Executable {
        path: message["executable"].as_str()?.into(),
        name: message["target"]["name"].as_str()?.to_owned(),
        is_test: message["profile"]["test"].as_bool()?,
        manifest: message["manifest_path"].as_str()?.into(),
    })
}

/// Runs a command that ends in libtest's own summaries and adds them up.
pub fn libtest(command: &mut Command) -> Outcome<Tally> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let output = child.stdout.take().ok_or("the tests have no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if let Some(summary) = line.strip_prefix("test result: ") {
            tally += Tally {
                passed: count(summary, "passed"),
                failed: count(summary, "failed"),
            };
        }
    }
    // A build that fails or a test that takes its whole process along has no
    // failure in any summary.
    if !child.wait()?.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

/// The number before `word` in `ok. 3 passed; 0 failed; …`.
fn count(summary: &str, word: &str) -> u32 {
    summary
        .split([';', '.'])
        .filter_map(|field| field.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_summaries_are_understood() {
        let summary = "FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; finished in 0.25s";
        assert_eq!(count(summary, "passed"), 12);
        assert_eq!(count(summary, "failed"), 3);
    }
}
