//! Ordinary programs on a directory that `fpctl serve` publishes.

mod ordinary_programs;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Session, Shape};
use ordinary_programs::Original;
use rustix::process::Signal;

/// `fpctl serve` and the path it prints when it has published.
fn serve(session: &Session, directory: &Path) -> (Process, PathBuf) {
    let log = session.dirs().log("serve");
    let mut command = session.command("fpctl");
    command
        .arg("serve")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).expect("a log file"));
    let mut provider = Process::spawn_piped(command, &log);
    let output = provider.child().stdout.take().expect("a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a line");
    (provider, PathBuf::from(line.trim_end()))
}

fn programs_read_the_same(shape: Shape, policy: &str) {
    let options = Session::options(shape).flag(format!("--cache={policy}"));
    let session = options.start();
    session.allow(ordinary_programs::LIMIT);
    let original = Original::make(&session);
    let (mut provider, promise) = serve(&session, &original.path);
    original.assert_same(&session, &promise);
    provider.signal(Signal::INT);
    assert_eq!(provider.wait().code(), Some(0));
    // Nothing was skipped, and no file was found to have changed.
    let said = provider.log();
    assert!(said.contains(" 0 skipped"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!promise.exists());
}

#[test]
fn without_a_cache() {
    programs_read_the_same(Shape::Private, "no-cache");
}

#[test]
fn with_a_cache() {
    programs_read_the_same(Shape::Private, "read-through");
}

#[test]
fn without_a_cache_in_a_login_session() {
    programs_read_the_same(Shape::Systemd, "no-cache");
}

#[test]
fn with_a_cache_in_a_login_session() {
    programs_read_the_same(Shape::Systemd, "read-through");
}
