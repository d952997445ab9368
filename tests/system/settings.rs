//! Where the daemon's settings come from, and what is said about wrong ones.

use fuse_promise_testkit::{Session, SessionOptions, Shape};

const SHAPES: [Shape; 2] = [Shape::Private, Shape::Systemd];

fn cache_policy(options: SessionOptions) -> String {
    let session = options.start();
    let status = session.fpctl(&["status"]);
    status.value("cache_policy").expect("a line").to_owned()
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    for shape in SHAPES {
        let file = || Session::options(shape).config("cache = \"read-through\"\n");
        assert_eq!(cache_policy(Session::options(shape)), "no-cache");
        assert_eq!(cache_policy(file()), "read-through");
        let environment = file().env("FUSE_PROMISED_CACHE", "no-cache");
        assert_eq!(cache_policy(environment), "no-cache");
        let flag = file()
            .env("FUSE_PROMISED_CACHE", "no-cache")
            .flag("--cache=read-through");
        assert_eq!(cache_policy(flag), "read-through");
    }
}

/// What a daemon with such a configuration file says; it must not start.
fn refusal(config: &str) -> String {
    let session = Session::options(Shape::Private).config(config).idle();
    let said = session
        .run("fuse-promised", &["--foreground"])
        .fails_with(2);
    assert!(!session.mount().exists());
    said
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let said = refusal("cache = \"no-cache\"\n\ncolour = \"red\"\n");
    assert!(said.contains("fuse-promised.toml:3:"), "{said}");
    assert!(said.contains("unknown key \"colour\""), "{said}");
}

#[test]
fn a_wrong_value_is_an_error_with_its_line() {
    let said = refusal("# words\ncache = \"sometimes\"\n");
    assert!(said.contains("fuse-promised.toml:2:"), "{said}");
    assert!(
        said.contains("\"sometimes\" is not a cache policy"),
        "{said}"
    );
}

#[test]
fn what_is_no_settings_file_is_an_error_with_its_line() {
    let said = refusal("cache = \n");
    assert!(said.contains("fuse-promised.toml:1:"), "{said}");
}

#[test]
fn a_wrong_variable_is_named() {
    let session = Session::idle(Shape::Private);
    let mut command = session.command("fuse-promised");
    command
        .env("FUSE_PROMISED_LINGER", "soon")
        .arg("--foreground");
    let said = fuse_promise_testkit::process::run(&mut command).fails_with(2);
    assert!(said.contains("FUSE_PROMISED_LINGER"), "{said}");
}

#[test]
fn a_unit_with_a_wrong_setting_fails_and_does_not_loop() {
    let mut session = Session::options(Shape::Systemd)
        .config("colour = \"red\"\n")
        .idle();
    let manager = session.systemd();
    assert_ne!(manager.systemctl(&["start", "fuse-promised"]).code, 0);
    assert_eq!(manager.property("fuse-promised", "ActiveState"), "failed");
    assert_eq!(manager.property("fuse-promised", "NRestarts"), "0");
    let status = manager.property("fuse-promised", "StatusText");
    assert!(status.contains("fuse-promised.toml:1:"), "{status}");
}
