//! How a session differs from the usual one.

use std::ffi::OsString;

use super::{Session, Shape};
use crate::session_dirs::SessionDirs;

/// Flags, environment and configuration of the session's daemon.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    shape: Shape,
    before: Vec<OsString>,
    flags: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    config: String,
}

impl SessionOptions {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            before: Vec::new(),
            flags: Vec::new(),
            environment: Vec::new(),
            config: String::new(),
        }
    }

    /// A flag of `fuse-promised`, as `--cache=read-through`.
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Words before the daemon's command, for a private daemon in a world that
    /// something else prepares: `unshare -rm sh -c '… exec "$0" "$@"'`.
    pub fn within(mut self, words: &[&str]) -> Self {
        self.before = words.iter().map(OsString::from).collect();
        self
    }

    /// A variable in the daemon's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Text of the user's `fuse-promised.toml`.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    /// The session, its daemon running and ready.
    pub fn start(self) -> Session {
        let mut session = Session::with_options(&self);
        session.start_daemon();
        session
    }

    /// The session, its daemon not started.
    pub fn idle(self) -> Session {
        Session::with_options(&self)
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn before(&self) -> &[OsString] {
        &self.before
    }

    pub(super) fn flags(&self) -> &[OsString] {
        &self.flags
    }

    pub(super) fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    pub(super) fn write_config(&self, dirs: &SessionDirs) {
        if !self.config.is_empty() {
            std::fs::write(dirs.config().join("fuse-promised.toml"), &self.config)
                .expect("a configuration file");
        }
    }
}
