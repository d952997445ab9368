//! What one place says: each setting, if it is there. Every place hands its text to the same
//! parser per key, so a value means the same wherever it is written.

use std::path::PathBuf;
use std::time::Duration;

use fuse_promise_core::words::CachePolicy;
use tracing::level_filters::LevelFilter;

use super::{duration, size};

/// The settings of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Settings {
    /// What repeated reads of one range cost: no-cache asks the provider each time, read-through
    /// answers from memory. A promise whose provider named a policy keeps that [default: no-cache]
    #[arg(long, value_name = "POLICY", value_parser = cache)]
    pub cache: Option<CachePolicy>,

    /// How long a provider that owes an answer may show no sign of life before its reads fail
    /// [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub read_timeout: Option<Duration>,

    /// How long the promises of a provider that vanished stay listed [default: 300s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub linger: Option<Duration>,

    /// How long a promise whose provider vanished stays listed when all its files were materialized
    /// [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub linger_materialized: Option<Duration>,

    /// Memory for answers that are on their way into materialized files, all jobs together
    /// [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub materialize_memory: Option<u64>,

    /// Bytes of read-through promises that are kept, all promises together [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub cache_size: Option<u64>,

    /// Keep them in this directory instead of in memory, in a file without a name that goes with
    /// the daemon
    #[arg(long, value_name = "DIRECTORY", value_parser = directory)]
    pub cache_dir: Option<PathBuf>,

    /// How far ahead of a read-through file that is read in sequence its provider is asked; 0 for
    /// not at all [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub readahead: Option<u64>,

    /// What to log: off, error, warn, info, debug or trace, each including the ones before it
    /// [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub log_level: Option<LevelFilter>,
}

/// The name of every setting, as it is written in a file.
pub const KEYS: [&str; 9] = [
    "cache",
    "read-timeout",
    "linger",
    "linger-materialized",
    "materialize-memory",
    "cache-size",
    "cache-dir",
    "readahead",
    "log-level",
];

impl Settings {
    /// Takes the text that a place has for a key.
    ///
    /// # Errors
    /// A sentence about the value, or about a key that no setting has.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        match key {
            "cache" => self.cache = Some(cache(text)?),
            "read-timeout" => self.read_timeout = Some(duration::parse(text)?),
            "linger" => self.linger = Some(duration::parse(text)?),
            "linger-materialized" => self.linger_materialized = Some(duration::parse(text)?),
            "materialize-memory" => self.materialize_memory = Some(size::parse(text)?),
            "cache-size" => self.cache_size = Some(size::parse(text)?),
            "cache-dir" => self.cache_dir = Some(directory(text)?),
            "readahead" => self.readahead = Some(size::parse(text)?),
            "log-level" => self.log_level = Some(log_level(text)?),
            _ => return Err(unknown_key(key)),
        }
        Ok(())
    }

    /// These settings, and those of a place that counts less where these have none.
    #[must_use]
    pub fn or(self, lesser: Self) -> Self {
        Self {
            cache: self.cache.or(lesser.cache),
            read_timeout: self.read_timeout.or(lesser.read_timeout),
            linger: self.linger.or(lesser.linger),
            linger_materialized: self.linger_materialized.or(lesser.linger_materialized),
            materialize_memory: self.materialize_memory.or(lesser.materialize_memory),
            cache_size: self.cache_size.or(lesser.cache_size),
            cache_dir: self.cache_dir.or(lesser.cache_dir),
            readahead: self.readahead.or(lesser.readahead),
            log_level: self.log_level.or(lesser.log_level),
        }
    }
}

/// What is said about a key that no setting has.
pub fn unknown_key(key: &str) -> String {
    let known = KEYS.join(", ");
    format!("unknown key \"{key}\"; known are {known}")
}

/// Policies for all promises. To keep what was read for ever is up to a provider, which knows how
/// much that is.
const POLICIES: [CachePolicy; 2] = [CachePolicy::NoCache, CachePolicy::ReadThrough];

fn cache(text: &str) -> Result<CachePolicy, String> {
    let policy = POLICIES.iter().find(|policy| policy.word() == text);
    let words = POLICIES.map(CachePolicy::word);
    policy
        .copied()
        .ok_or_else(|| one_of(text, "a cache policy", &words))
}

fn directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!(
        "\"{text}\" is no absolute path, and the daemon's own directory says nothing; write it out"
    ))
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

fn log_level(text: &str) -> Result<LevelFilter, String> {
    let level = LEVELS.iter().find(|(word, _)| *word == text);
    let words = LEVELS.map(|(word, _)| word);
    level
        .map(|(_, level)| *level)
        .ok_or_else(|| one_of(text, "a log level", &words))
}

fn one_of(text: &str, what: &str, words: &[&str]) -> String {
    let words = words.join(", ");
    format!("\"{text}\" is not {what}; write one of {words}")
}
