use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use fuse_promise_core::status::Status;

use super::*;

/// A home with a user file and a system file, and an environment that leads there.
struct Home {
    folder: tempfile::TempDir,
    variables: HashMap<OsString, OsString>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut home = Self {
            folder,
            variables: HashMap::new(),
        };
        let config = home.folder.path().join("config");
        home.set("XDG_CONFIG_HOME", config.to_str().unwrap());
        home
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.into(), value.into());
    }

    fn user_file(&self) -> PathBuf {
        self.folder
            .path()
            .join("config/fuse-promise/fuse-promised.toml")
    }

    fn system_file(&self) -> PathBuf {
        self.folder.path().join("etc/fuse-promised.toml")
    }

    fn write(&self, path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn gather(&self, flags: &[&str]) -> Result<Options> {
        let places = Places::new(self.variables.clone(), &self.system_file());
        Options::gather(parse(flags), &places)
    }
}

fn parse(flags: &[&str]) -> Flags {
    let program = std::iter::once("fuse-promised");
    Flags::try_parse_from(program.chain(flags.iter().copied())).unwrap()
}

#[test]
fn without_any_place_the_defaults_are_in_force_and_the_help_tells_them() {
    use clap::CommandFactory;
    let help = Flags::command().render_long_help().to_string();
    let mut told = Settings::default();
    for (key, text) in [
        ("cache", "no-cache"),
        ("read-timeout", "30s"),
        ("linger", "300s"),
        ("linger-materialized", "1h"),
        ("materialize-memory", "64MiB"),
        ("cache-size", "256MiB"),
        ("readahead", "32MiB"),
        ("log-level", "info"),
    ] {
        let (_, behind_flag) = help.split_once(&format!("--{key} ")).unwrap();
        let (_, behind_word) = behind_flag.split_once("[default: ").unwrap();
        assert!(behind_word.starts_with(&format!("{text}]")), "{key}");
        told.set(key, text).unwrap();
    }
    let flags = Flags {
        foreground: false,
        bus_activated: false,
        settings: told,
    };
    let nowhere = Places::new(HashMap::new(), "/nowhere".as_ref());
    assert_eq!(
        Options::gather(flags, &nowhere).unwrap(),
        Options::default()
    );
    assert_eq!(Home::new().gather(&[]).unwrap(), Options::default());
}

#[test]
fn the_first_place_that_has_a_setting_wins() {
    let mut home = Home::new();
    let timeout = |home: &Home, flags: &[&str]| home.gather(flags).unwrap().read_timeout.as_secs();
    home.write(home.system_file(), "read-timeout = 1\nlinger = \"9s\"\n");
    assert_eq!(timeout(&home, &[]), 1);
    home.write(home.user_file(), "read-timeout = \"2s\"\n");
    assert_eq!(timeout(&home, &[]), 2);
    home.set("FUSE_PROMISED_READ_TIMEOUT", "3");
    assert_eq!(timeout(&home, &[]), 3);
    assert_eq!(timeout(&home, &["--read-timeout=4s"]), 4);
    // Each setting is looked for on its own.
    assert_eq!(home.gather(&[]).unwrap().linger, Duration::from_secs(9));
}

#[test]
fn each_setting_can_be_said_in_each_place() {
    let said = Options {
        foreground: false,
        bus_activated: false,
        cache: CachePolicy::ReadThrough,
        read_timeout: Duration::from_millis(700),
        linger: Duration::from_secs(120),
        linger_materialized: Duration::from_secs(600),
        materialize_memory: 8 << 20,
        cache_size: 9 << 20,
        cache_dir: Some("/var/tmp".into()),
        readahead: 1 << 20,
        log_level: LevelFilter::DEBUG,
    };
    let values = [
        ("cache", "read-through"),
        ("read-timeout", "700ms"),
        ("linger", "2m"),
        ("linger-materialized", "10m"),
        ("materialize-memory", "8MiB"),
        ("cache-size", "9MiB"),
        ("cache-dir", "/var/tmp"),
        ("readahead", "1MiB"),
        ("log-level", "debug"),
    ];

    let flags: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("--{key}={value}"))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(Home::new().gather(&flags).unwrap(), said);

    let mut home = Home::new();
    for (key, value) in values {
        let variable = format!("FUSE_PROMISED_{}", key.replace('-', "_").to_uppercase());
        home.set(&variable, value);
    }
    assert_eq!(home.gather(&[]).unwrap(), said);

    let home = Home::new();
    let text = values
        .map(|(key, value)| format!("{key} = \"{value}\"\n"))
        .concat();
    home.write(home.user_file(), &text);
    assert_eq!(home.gather(&[]).unwrap(), said);
}

#[test]
fn the_user_file_lies_below_home_if_there_is_no_absolute_config_home() {
    for config_home in [None, Some("relative/config")] {
        let mut home = Home::new();
        home.variables.clear();
        let below = home.folder.path().to_str().unwrap().to_owned();
        home.set("HOME", &below);
        if let Some(config_home) = config_home {
            home.set("XDG_CONFIG_HOME", config_home);
        }
        let file = home
            .folder
            .path()
            .join(".config/fuse-promise/fuse-promised.toml");
        home.write(file, "cache = \"read-through\"\n");
        assert_eq!(home.gather(&[]).unwrap().cache, CachePolicy::ReadThrough);
    }
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_file_and_line() {
    for (text, line, what) in [
        (
            "linger = 3\n\ncahce = \"no-cache\"\n",
            3,
            "unknown key \"cahce\"",
        ),
        (
            "[cache]\npolicy = \"no-cache\"\n",
            1,
            "the value of cache must be",
        ),
        (
            "\ncache = \"always\"\n",
            2,
            "\"always\" is not a cache policy",
        ),
        (
            "# one\n# two\nread-timeout = \"soon\"\n",
            3,
            "\"soon\" is no duration",
        ),
        ("linger = 0x10\n", 1, "the value of linger must be"),
        ("[engine]\nlinger = 3\n", 1, "unknown key \"engine\""),
        ("linger = 3\nlinger = 4\n", 2, "duplicate key"),
        ("linger = 3\nlog-level =\n", 2, ""),
    ] {
        let home = Home::new();
        home.write(home.user_file(), text);
        let failure = home.gather(&[]).unwrap_err();
        assert_eq!(failure.status, Status::InvalidArgument);
        let place = format!("{}:{line}: ", home.user_file().display());
        assert!(failure.message.starts_with(&place), "{text:?}: {failure}");
        assert!(failure.message.contains(what), "{text:?}: {failure}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = Home::new();
    fs::create_dir_all(home.system_file()).unwrap();
    let failure = home.gather(&[]).unwrap_err();
    let path = home.system_file().display().to_string();
    assert!(failure.message.starts_with(&path), "{failure}");
}

#[test]
fn a_bad_variable_is_named_with_its_value() {
    let mut home = Home::new();
    home.set("FUSE_PROMISED_LOG_LEVEL", "loud");
    let failure = home.gather(&[]).unwrap_err();
    let expected = "FUSE_PROMISED_LOG_LEVEL: \"loud\" is not a log level; \
                    write one of off, error, warn, info, debug, trace";
    assert_eq!(failure.message, expected);
}

#[test]
fn a_bad_flag_is_a_usage_error() {
    for flags in [
        &["--cache=always"][..],
        &["--read-timeout", "x"],
        &["--cahce=no-cache"],
        &["x"],
    ] {
        let program = std::iter::once("fuse-promised");
        let error = Flags::try_parse_from(program.chain(flags.iter().copied())).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{flags:?}");
    }
}

#[test]
fn a_read_timeout_of_nothing_is_refused() {
    let failure = Home::new().gather(&["--read-timeout=0"]).unwrap_err();
    assert_eq!(failure.status, Status::InvalidArgument);
}

#[test]
fn the_help_names_every_setting_in_every_place() {
    use clap::CommandFactory;
    let help = Flags::command().render_long_help().to_string();
    for key in settings::KEYS {
        let variable = format!("FUSE_PROMISED_{}", key.replace('-', "_").to_uppercase());
        assert!(help.contains(&format!("--{key}")), "{key}");
        assert!(help.contains(&variable), "{variable}");
    }
}
