//! The C programs of tests/c and the samples, each against a library as it is
//! installed. A program that passes ends with 0 and writes nothing to standard
//! error, the library included.

mod ordinary_programs;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fuse_promise_testkit::process::{Process, Ran, run};
use fuse_promise_testkit::{Session, Shape, both_shapes};
use ordinary_programs::Original;
use rustix::process::Signal;

/// How a program is built and run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Sanitized,
    Memcheck,
    Static,
}

impl Way {
    /// Memcheck makes a program some fifty times slower, and several run at once.
    fn allow(self, session: &Session) {
        if self == Self::Memcheck {
            session.allow(Duration::from_secs(300));
        }
    }
}

/// What one run needs.
struct Need {
    program: &'static str,
    /// The folder with the library.
    library: &'static str,
    daemon_flags: &'static [&'static str],
    arguments: Vec<PathBuf>,
}

fn c_dir() -> PathBuf {
    fuse_promise_testkit::programs::bin_dir().join("../c")
}

fn command(session: &Session, way: Way, need: &Need) -> Command {
    let folder = match way {
        Way::Plain | Way::Memcheck => "plain",
        Way::Sanitized => "sanitized",
        Way::Static => "static",
    };
    let program = c_dir().join(folder).join(need.program);
    let mut command = match way {
        Way::Memcheck => memcheck(session, &program),
        _ => session.command(&program),
    };
    command
        .args(&need.arguments)
        .env("LD_LIBRARY_PATH", c_dir().join(need.library));
    command
}

fn memcheck(session: &Session, program: &Path) -> Command {
    let mut command = session.command("valgrind");
    command.args(["-q", "--error-exitcode=99"]);
    // A forked child would report what its parent's threads own.
    if !program.ends_with("fork") {
        command.args(["--leak-check=full", "--show-leak-kinds=definite"]);
        command.arg("--errors-for-leak-kinds=definite");
    }
    command.arg(program);
    command
}

#[track_caller]
fn passes(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.err, "", "what it wrote to standard error");
}

fn alone(way: Way, program: &'static str) {
    let session = Session::idle(Shape::Private);
    way.allow(&session);
    let need = Need {
        program,
        library: "lib",
        daemon_flags: &[],
        arguments: Vec::new(),
    };
    let mut command = command(&session, way, &need);
    passes(&run(command.env_remove("XDG_RUNTIME_DIR")));
}

fn with_daemon(way: Way, program: &'static str) {
    needing(
        way,
        &Need {
            program,
            library: "lib",
            daemon_flags: &[],
            arguments: Vec::new(),
        },
    );
}

fn needing(way: Way, need: &Need) {
    let options = need.daemon_flags.iter();
    let options = options.fold(Session::options(Shape::Private), |options, flag| {
        options.flag(flag)
    });
    let session = options.start();
    way.allow(&session);
    let mut command = command(&session, way, need);
    passes(&run(command.env("FP_RUNTIME_DIR", session.runtime_dir())));
}

fn own_mount(way: Way) {
    needing(
        way,
        &Need {
            program: "own-mount",
            library: "lib",
            daemon_flags: &["--read-timeout=500ms"],
            arguments: Vec::new(),
        },
    );
}

/// > A cache policy that a provider names for a promise holds for that promise,
/// > whatever the daemon was started with.
///
/// > What was read of a promise with the policy keep is not given up for other
/// > promises while it lives, as far as three quarters of the cache have room.
///
/// > When a provider takes back what is held of a promise, the next read asks it
/// > again and returns the same bytes; copies go on to serve.
fn cache_policy(way: Way) {
    const SIZE: &str = "--cache-size=2MiB";
    let daemons: [(&str, &[&str]); 2] = [
        ("no-cache", &["--cache=no-cache", SIZE]),
        ("read-through", &["--cache=read-through", SIZE]),
    ];
    for (word, daemon_flags) in daemons {
        needing(
            way,
            &Need {
                program: "cache-policy",
                library: "lib",
                daemon_flags,
                arguments: vec![word.into()],
            },
        );
    }
}

fn panics(way: Way) {
    needing(
        way,
        &Need {
            program: "panics",
            library: "panicking",
            daemon_flags: &[],
            arguments: vec![c_dir().join("symbols.txt")],
        },
    );
}

macro_rules! in_ways {
    ($($module:ident: $way:expr;)*) => {
        $(mod $module {
            use super::*;

            #[test]
            fn layout() {
                alone($way, "layout");
            }

            #[test]
            fn layout_in_cpp() {
                alone($way, "layout-cpp");
            }

            #[test]
            fn arguments() {
                alone($way, "arguments");
            }

            #[test]
            fn runtime_dir() {
                alone($way, "runtime-dir");
            }

            #[test]
            fn materialize_arguments() {
                alone($way, "materialize-arguments");
            }

            #[test]
            fn last_error() {
                alone($way, "last-error");
            }

            #[test]
            fn builder_rules() {
                with_daemon($way, "builder-rules");
            }

            #[test]
            fn commit() {
                with_daemon($way, "commit");
            }

            #[test]
            fn read_callback() {
                with_daemon($way, "read-callback");
            }

            #[test]
            fn callback_calls() {
                with_daemon($way, "callback-calls");
            }

            #[test]
            fn materialize() {
                with_daemon($way, "materialize");
            }

            #[test]
            fn materialize_jobs() {
                with_daemon($way, "materialize-jobs");
            }

            #[test]
            fn handles() {
                with_daemon($way, "handles");
            }

            #[test]
            fn threads() {
                with_daemon($way, "threads");
            }

            #[test]
            fn fork() {
                with_daemon($way, "fork");
            }

            #[test]
            fn own_mount() {
                super::own_mount($way);
            }

            #[test]
            fn cache_policy() {
                super::cache_policy($way);
            }

            #[test]
            fn destroy() {
                with_daemon($way, "destroy");
            }

            #[test]
            fn concurrent() {
                with_daemon($way, "concurrent");
            }

            #[test]
            fn panics() {
                super::panics($way);
            }
        })*
    };
}

in_ways! {
    plain: Way::Plain;
    sanitized: Way::Sanitized;
    memcheck: Way::Memcheck;
}

#[test]
fn the_static_library_works_as_well() {
    alone(Way::Static, "arguments");
    with_daemon(Way::Static, "commit");
}

/// Without this, a sanitizer that is not on would find nothing.
#[test]
fn the_sanitizers_are_on() {
    let session = Session::idle(Shape::Private);
    for (fault, name) in [
        ("address", "AddressSanitizer"),
        ("undefined", "runtime error"),
    ] {
        let fail = |folder: &str| {
            let mut command = session.command(c_dir().join(folder).join("must-fail"));
            run(command
                .arg(fault)
                .env("LD_LIBRARY_PATH", c_dir().join("lib")))
        };
        let caught = fail("sanitized");
        assert_ne!(caught.code, 0, "{fault}");
        assert!(caught.err.contains(name), "{}", caught.err);
        assert_eq!(fail("plain").code, 0);
    }
}

/// A sample that is up: its process, and the path it has printed.
fn sample(session: &Session, name: &str, arguments: &[&Path]) -> (Process, PathBuf) {
    let mut command = session.command(c_dir().join("plain").join(name));
    command
        .args(arguments)
        .env("LD_LIBRARY_PATH", c_dir().join("lib"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut process = Process::spawn_piped(command, &session.dirs().log(name));
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_ne!(line, "", "{name} ended without having published");
    (process, PathBuf::from(line.trim_end()))
}

both_shapes! {
    fn the_minimal_sample_publishes_a_file(session) {
        let (mut provider, promise) = sample(&session, "minimal-provider", &[]);
        let text = std::fs::read_to_string(promise.join("hello.txt")).unwrap();
        assert!(!text.is_empty());
        provider.signal(Signal::INT);
        assert_eq!(provider.wait().code(), Some(0));
        assert!(!promise.exists());
    }

    fn ordinary_programs_read_what_the_directory_sample_publishes(session) {
        session.allow(ordinary_programs::LIMIT);
        let original = Original::make(&session);
        let (mut provider, promise) = sample(&session, "directory-provider", &[&original.path]);
        original.assert_same(&session, &promise);
        provider.signal(Signal::TERM);
        assert_eq!(provider.wait().code(), Some(0));
    }
}
