//! A provider whose child holds its channel and its arena open, as a fork
//! would that closes nothing. It publishes one file, `a`, and answers no read.
//!
//! It says `ready path=… channel=… child=…` (a path, a descriptor, a pid) and
//! takes reads until it is killed.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, ExitCode};

use fuse_promise_core::{Failure, Record, Result};
use fuse_promise_testkit::fixture::control::Place;
use fuse_promise_testkit::{HandPlayed, Tree};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("forking-provider: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut provider = HandPlayed::at(&Place::of_environment(), &[])?;
    let published = provider.publish(&Tree::new().file("a", 1 << 20));
    provider
        .share_with_children()
        .map_err(|errno| Failure::io(errno.to_string()))?;
    let child = Command::new("sleep")
        .arg("infinity")
        .spawn()
        .map_err(|error| Failure::io(format!("sleep: {error}")))?;
    let ready = Record::new("ready")
        .bytes("path", published.path.as_os_str().as_encoded_bytes())
        .field("channel", provider.channel().as_fd().as_raw_fd())
        .field("child", child.id());
    println!("{ready}");
    loop {
        provider.asked();
    }
}
