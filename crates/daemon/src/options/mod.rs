//! What the daemon was told to do. Each setting is looked for in four places, and the first that
//! has it wins: the flag, the environment variable, the user's file, the system's file. What no
//! place has keeps its default.
//!
//! A setting has one name everywhere: `--read-timeout`, `FUSE_PROMISED_READ_TIMEOUT`, and
//! `read-timeout` in the files. A bad value, and in a file an unknown key, stops the daemon with
//! the place and the line, so that nobody believes in a setting that had no effect.

mod duration;
mod file;
mod places;
mod settings;
mod size;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::words::CachePolicy;
use tracing::level_filters::LevelFilter;

pub use places::Places;
pub use settings::Settings;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "fuse-promised",
    version,
    about = "Shows promised files under $XDG_RUNTIME_DIR/fuse-promise and asks their providers for the bytes",
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP
)]
pub struct Flags {
    /// Log to standard error, even when started by systemd. The daemon never puts itself into the
    /// background, with or without this flag
    #[arg(long)]
    pub foreground: bool,

    /// Said by the message bus that starts the daemon: take the bus name, wherever the bus's socket
    /// lies
    #[arg(long)]
    pub bus_activated: bool,

    #[command(flatten)]
    pub settings: Settings,
}

const LONG_ABOUT: &str = "\
Shows promised files under $XDG_RUNTIME_DIR/fuse-promise and asks their providers for the bytes.

A provider publishes a tree of files before their bytes exist; this daemon mounts it for the \
session and passes each read on to the provider. It normally starts by itself when a program \
first needs it. One daemon serves one runtime directory.";

const AFTER_HELP: &str = "\
Each setting can also come from the environment or from a file. A flag wins over \
FUSE_PROMISED_CACHE, FUSE_PROMISED_READ_TIMEOUT, FUSE_PROMISED_LINGER, \
FUSE_PROMISED_LINGER_MATERIALIZED, FUSE_PROMISED_MATERIALIZE_MEMORY, \
FUSE_PROMISED_CACHE_SIZE, FUSE_PROMISED_CACHE_DIR, FUSE_PROMISED_READAHEAD and \
FUSE_PROMISED_LOG_LEVEL, these win over $XDG_CONFIG_HOME/fuse-promise/fuse-promised.toml, and \
that wins over /etc/fuse-promise/fuse-promised.toml. The keys in the files are cache, \
read-timeout, linger, linger-materialized, materialize-memory, cache-size, cache-dir, readahead \
and log-level.

A DURATION is a number with a unit: 500ms, 30s, 5m, 1h. Without a unit it counts seconds. A SIZE \
is one likewise: 512KiB, 64MiB, 1GiB. Without a unit it counts bytes.

SIGTERM and SIGINT unmount and end the daemon. It exits with 0 when it was asked to end, with 1 \
when it cannot do its work, and with 2 for a bad option.";

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Log to standard error whoever started the daemon.
    pub foreground: bool,
    /// Started by a message bus, which waits for its name to be taken.
    pub bus_activated: bool,
    /// Policy of promises whose provider named none.
    pub cache: CachePolicy,
    /// How long a provider that owes an answer may show no sign of life.
    pub read_timeout: Duration,
    /// How long promises stay listed after their provider vanished.
    pub linger: Duration,
    /// The same for promises of which every file was materialized.
    pub linger_materialized: Duration,
    /// Bytes of answers that materialize jobs may hold at a time.
    pub materialize_memory: u64,
    /// Bytes that the cache of all read-through promises holds.
    pub cache_size: u64,
    /// The directory in whose file system they are kept; None for memory.
    pub cache_dir: Option<PathBuf>,
    /// Bytes asked for ahead of a file that is read in sequence.
    pub readahead: u64,
    pub log_level: LevelFilter,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            foreground: false,
            bus_activated: false,
            cache: CachePolicy::NoCache,
            read_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(300),
            linger_materialized: Duration::from_secs(3600),
            materialize_memory: 64 << 20,
            cache_size: 256 << 20,
            cache_dir: None,
            readahead: 32 << 20,
            log_level: LevelFilter::INFO,
        }
    }
}

impl Options {
    /// Merges the command line with the other places.
    ///
    /// # Errors
    /// A bad value, an unknown key, or a file that is there but cannot be read.
    pub fn gather(flags: Flags, places: &Places) -> Result<Self> {
        let mut settings = flags.settings;
        settings = settings.or(places.environment()?);
        for path in places.files() {
            settings = settings.or(file::read(path)?);
        }
        let default = Self::default();
        let read_timeout = settings.read_timeout.unwrap_or(default.read_timeout);
        if read_timeout.is_zero() {
            return Err(Failure::invalid(
                "read-timeout is 0, so every read would fail; the smallest is 1ms",
            ));
        }
        Ok(Self {
            foreground: flags.foreground,
            bus_activated: flags.bus_activated,
            cache: settings.cache.unwrap_or(default.cache),
            read_timeout,
            linger: settings.linger.unwrap_or(default.linger),
            linger_materialized: settings
                .linger_materialized
                .unwrap_or(default.linger_materialized),
            materialize_memory: settings
                .materialize_memory
                .unwrap_or(default.materialize_memory),
            cache_size: settings.cache_size.unwrap_or(default.cache_size),
            cache_dir: settings.cache_dir.or(default.cache_dir),
            readahead: settings.readahead.unwrap_or(default.readahead),
            log_level: settings.log_level.unwrap_or(default.log_level),
        })
    }
}

#[cfg(test)]
mod tests;
