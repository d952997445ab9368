//! A session: its folders, its daemon in one of several shapes, its watch.

mod bare_bus;
mod daemon_host;
mod options;
mod private;
mod systemd_user;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

pub use bare_bus::BareBus;
pub use options::SessionOptions;
pub use private::Foreground;
pub use systemd_user::SystemdUser;

use crate::process::{HANG_LIMIT, Ran, run, send};
use crate::session_dirs::{SessionDirs, describe, end_everything};
use crate::watch::Watch;
use crate::{log_file, mounts, programs};
use daemon_host::DaemonHost;

/// How the daemon of a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `fuse-promised --foreground`, no bus: clients use its socket.
    Private,
    /// Units and bus activation under a real `systemd --user`.
    Systemd,
    /// A session bus without a service manager: `Exec=` activation.
    BareBus,
}

/// See the crate's own words. Ends in order when dropped.
#[derive(Debug)]
pub struct Session {
    shape: Shape,
    host: Host,
    // Dropped after the daemon, so that an end that hangs is noticed too.
    watch: Watch,
    dirs: SessionDirs,
}

#[derive(Debug)]
enum Host {
    Private(Foreground),
    Systemd(SystemdUser),
    BareBus(BareBus),
}

impl Session {
    /// A session whose daemon runs and has mounted.
    pub fn start(shape: Shape) -> Self {
        SessionOptions::new(shape).start()
    }

    /// A session in which nothing has started the daemon yet.
    pub fn idle(shape: Shape) -> Self {
        SessionOptions::new(shape).idle()
    }

    /// A session that differs from the usual.
    pub fn options(shape: Shape) -> SessionOptions {
        SessionOptions::new(shape)
    }

    fn with_options(options: &SessionOptions) -> Self {
        let dirs = SessionDirs::create();
        options.write_config(&dirs);
        let root = dirs.root().to_owned();
        let watch = Watch::start(HANG_LIMIT, move || {
            eprintln!(
                "a session of this test hangs; it is killed now\n{}",
                describe(&root)
            );
            end_everything(&root);
        });
        let host = match options.shape() {
            Shape::Private => Host::Private(Foreground::new(options)),
            Shape::Systemd => Host::Systemd(SystemdUser::start(&dirs, options)),
            Shape::BareBus => Host::BareBus(BareBus::start(&dirs, options)),
        };
        Self {
            shape: options.shape(),
            host,
            watch,
            dirs,
        }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn dirs(&self) -> &SessionDirs {
        &self.dirs
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.dirs.runtime()
    }

    /// Where promises appear.
    pub fn mount(&self) -> PathBuf {
        self.dirs.runtime().join("fuse-promise")
    }

    pub fn socket(&self) -> PathBuf {
        self.dirs.runtime().join("fuse-promise.sock")
    }

    /// Whether a fuse-promise file system is mounted at the mount point.
    pub fn is_mounted(&self) -> bool {
        mounts::at(&self.mount()).is_some_and(|mount| mount.kind.starts_with("fuse"))
    }

    /// Gives a long test more time, counted from now.
    pub fn allow(&self, limit: Duration) {
        self.watch.allow(limit);
    }

    /// A program of the session, with its environment and nothing else.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.dirs.command(program);
        if self.shape != Shape::Private {
            command.env("DBUS_SESSION_BUS_ADDRESS", self.dirs.bus_address());
        }
        command
    }

    /// Runs a program of the session to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        run(self.command(program).args(arguments))
    }

    /// Runs `fpctl` to its end.
    pub fn fpctl(&self, arguments: &[&str]) -> Ran {
        run(self.command(programs::program("fpctl")).args(arguments))
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn start_daemon(&mut self) {
        let dirs = &self.dirs;
        self.host.get().start_daemon(dirs);
    }

    /// Asks the daemon to stop and waits until it has. Returns its exit code,
    /// `None` if it did not end by itself.
    pub fn stop_daemon(&mut self) -> Option<i32> {
        let dirs = &self.dirs;
        self.host.get().stop_daemon(dirs)
    }

    /// Waits until the daemon ends without being asked; returns its exit code,
    /// where that can be known.
    pub fn wait_daemon_end(&mut self) -> Option<i32> {
        let dirs = &self.dirs;
        self.host.get().wait_daemon_end(dirs)
    }

    /// The daemon's process, if one runs.
    pub fn daemon_pid(&mut self) -> Option<u32> {
        let dirs = &self.dirs;
        self.host.get().daemon_pid(dirs)
    }

    /// Sends the running daemon a signal.
    #[track_caller]
    pub fn signal_daemon(&mut self, signal: Signal) {
        let pid = self.daemon_pid().expect("a running daemon");
        send(pid, signal);
    }

    /// The words of the daemon so far.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.dirs.log(daemon_host::DAEMON_LOG)).unwrap_or_default()
    }

    /// Waits until the daemon has logged `words` this often.
    #[track_caller]
    pub fn wait_daemon_log(&self, words: &str, times: usize) -> String {
        let path = self.dirs.log(daemon_host::DAEMON_LOG);
        log_file::wait_for(&path, |log| log.matches(words).count() >= times)
    }

    /// The foreground daemon of a private session.
    #[track_caller]
    pub fn foreground(&mut self) -> &mut Foreground {
        match &mut self.host {
            Host::Private(host) => host,
            _ => panic!("this session has no foreground daemon"),
        }
    }

    /// The service manager of a systemd session.
    #[track_caller]
    pub fn systemd(&mut self) -> &mut SystemdUser {
        match &mut self.host {
            Host::Systemd(host) => host,
            _ => panic!("this session has no service manager"),
        }
    }

    /// A path below the mount.
    pub fn promised(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.mount().join(relative)
    }
}

#[cfg(feature = "provider")]
impl Session {
    /// A registered provider process of the session, connected the way any
    /// program is.
    #[track_caller]
    pub fn provider(&self) -> crate::ProviderProcess {
        crate::ProviderProcess::start(self)
    }
}

impl Host {
    fn get(&mut self) -> &mut dyn DaemonHost {
        match self {
            Host::Private(host) => host,
            Host::Systemd(host) => host,
            Host::BareBus(host) => host,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.dirs.describe());
        }
        let dirs = &self.dirs;
        self.host.get().end(dirs);
    }
}

/// Writes a test once and runs it with the daemon in the foreground and under
/// `systemd --user`: `both_shapes! { fn name(session) { … } }` makes
/// `name::private` and `name::systemd`; `session` is a running [`Session`].
#[macro_export]
macro_rules! both_shapes {
    ($($(#[$attribute:meta])* fn $name:ident($session:ident) $body:block)*) => {
        $($(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[allow(unused_mut)]
            fn body(mut $session: $crate::Session) $body

            #[test]
            fn private() {
                body($crate::Session::start($crate::Shape::Private));
            }

            #[test]
            fn systemd() {
                body($crate::Session::start($crate::Shape::Systemd));
            }
        })*
    };
}
