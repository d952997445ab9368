//! Programs for tests to run in place of fusermount3.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a shell script that can be executed. Another process writes it: a descriptor open for
/// writing that a child of this one inherits for a moment would make the script "busy".
pub fn script(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 700 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = writer.stdin.take().unwrap();
    write!(pipe, "#!/bin/sh\n{text}\n").unwrap();
    drop(pipe);
    assert!(writer.wait().unwrap().success());
}
