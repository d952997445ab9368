//! The settings file, and the same text as environment variables.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::Result;
use fuse_promise_core::status::Status;
use fuse_promise_testkit::fuzz::Campaign;
use fuse_promised::options::{Flags, Options, Places, Settings};
use rustix::fs::{MemfdFlags, memfd_create};

/// No system has it.
const NO_FILE: &str = "/proc/self/no-settings.toml";

#[test]
fn a_settings_file_is_taken_or_refused_with_its_line() {
    Campaign::new("options").run(
        || (),
        |(), bytes| {
            let environment = gather(variables(bytes), Path::new(NO_FILE));
            if let Err(failure) = &environment {
                assert_eq!(failure.status, Status::InvalidArgument);
            }
            let file = MemoryFile::new(bytes);
            let path = file.path();
            match gather(HashMap::new(), &path) {
                Ok(options) => {
                    assert!(!options.read_timeout.is_zero());
                    format!("{} {options:?}", environment.is_ok())
                }
                Err(failure) => {
                    assert_eq!(failure.status, Status::InvalidArgument);
                    let shown = path.display().to_string();
                    let why = failure.message.strip_prefix(&shown);
                    if let Some((line, why)) = why.and_then(line_of) {
                        let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
                        assert!((1..=lines).contains(&line), "{line} of {lines}");
                        return why.to_owned();
                    }
                    failure.message
                }
            }
        },
    );
}

fn gather(variables: HashMap<OsString, OsString>, file: &Path) -> Result<Options> {
    let flags = Flags {
        foreground: false,
        bus_activated: false,
        settings: Settings::default(),
    };
    Options::gather(flags, &Places::new(variables, file))
}

/// `:LINE: why`
fn line_of(text: &str) -> Option<(usize, &str)> {
    let (line, why) = text.strip_prefix(':')?.split_once(": ")?;
    Some((line.parse().ok()?, why))
}

/// Each `key = value` of the text as the variable of that key.
fn variables(text: &[u8]) -> HashMap<OsString, OsString> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let key = String::from_utf8_lossy(line[..at].trim_ascii());
        let key = format!("FUSE_PROMISED_{}", key.replace('-', "_").to_uppercase());
        let value = line[at + 1..].trim_ascii();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        Some((key.into(), OsStr::from_bytes(value).to_owned()))
    });
    lines.collect()
}

/// A file that is only in memory and still has a path.
struct MemoryFile(std::fs::File);

impl MemoryFile {
    fn new(content: &[u8]) -> Self {
        let file = memfd_create("settings", MemfdFlags::CLOEXEC).unwrap();
        let mut file = std::fs::File::from(file);
        file.write_all(content).unwrap();
        Self(file)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}
