//! Where settings come from besides the command line. The process has one set of places; a test
//! makes its own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::{Failure, Result};

use super::settings::{KEYS, Settings};

const SYSTEM_FILE: &str = "/etc/fuse-promise/fuse-promised.toml";
const USER_FILE: &str = "fuse-promise/fuse-promised.toml";

/// The environment and the files, the one that counts most first.
#[derive(Debug, Clone)]
pub struct Places {
    variables: HashMap<OsString, OsString>,
    files: Vec<PathBuf>,
}

impl Places {
    /// The places of this process.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os().collect(), Path::new(SYSTEM_FILE))
    }

    /// The places an environment leads to, with a system file of one's own.
    pub fn new(variables: HashMap<OsString, OsString>, system_file: &Path) -> Self {
        let mut files: Vec<PathBuf> = config_home(&variables)
            .map(|home| home.join(USER_FILE))
            .into_iter()
            .collect();
        files.push(system_file.to_owned());
        Self { variables, files }
    }

    /// What the environment says.
    ///
    /// # Errors
    /// A bad value, named with its variable.
    pub fn environment(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        for key in KEYS {
            let variable = variable(key);
            let Some(text) = self.variables.get(&OsString::from(&variable)) else {
                continue;
            };
            settings
                .set(key, &text.to_string_lossy())
                .map_err(|why| Failure::invalid(format!("{variable}: {why}")))?;
        }
        Ok(settings)
    }

    /// The files to look into; none needs to exist.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

fn variable(key: &str) -> String {
    format!("FUSE_PROMISED_{}", key.replace('-', "_").to_uppercase())
}

/// `$XDG_CONFIG_HOME`, which counts only if it is absolute, else `$HOME/.config`.
fn config_home(variables: &HashMap<OsString, OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(variables.get(&OsString::from(name))?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}
