//! Who started the daemon, and the listening socket it was started with.
//!
//! This is the one place that reads the variables of the socket activation protocol. The names of
//! the passed descriptors say which is which; the descriptor itself is then taken by its position.

use std::os::unix::net::UnixListener;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_wire::RuntimeDir;
use listenfd::ListenFd;
use zbus::Address;
use zbus::address::transport::{Transport, UnixSocket};

/// The name that the socket unit gives to its descriptor (`FileDescriptorName=`).
const SOCKET_NAME: &str = "socket";

/// Who started the daemon. Whoever did, except by hand, wants it to take the bus name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    Hand,
    Systemd,
    /// A message bus, by the `Exec=` line of its service file.
    Bus,
}

impl StartedBy {
    /// `bus_activated` is the flag that the service file gives.
    pub fn of_process(bus_activated: bool) -> Self {
        Self::of(bus_activated, std::process::id(), |name| {
            std::env::var(name).ok()
        })
    }

    /// systemd names the process it started. That is what tells a service from a program that was
    /// started by hand in a terminal, which is itself a service and hands its environment on. A
    /// bus names nobody in the variables it sets, so its service file says it with a flag.
    fn of(bus_activated: bool, pid: u32, variable: impl Fn(&str) -> Option<String>) -> Self {
        let started = variable("SYSTEMD_EXEC_PID");
        if started.is_some_and(|started| started.parse() == Ok(pid)) {
            Self::Systemd
        } else if bus_activated {
            Self::Bus
        } else {
            Self::Hand
        }
    }
}

/// Whether the session bus is one that was started for this runtime directory: its socket lies in
/// it. The bus that is asked about is the one that would be connected to.
pub fn bus_lies_in(runtime_dir: &RuntimeDir) -> bool {
    Address::session().is_ok_and(|address| lies_in(runtime_dir, &address))
}

fn lies_in(runtime_dir: &RuntimeDir, address: &Address) -> bool {
    match address.transport() {
        Transport::Unix(unix) => match unix.path() {
            UnixSocket::File(path) => path
                .ancestors()
                .skip(1)
                .any(|folder| runtime_dir.is_same(folder)),
            _ => false,
        },
        _ => false,
    }
}

/// The listening socket that came with the start, if one did. Must be called before any thread is
/// started, because it takes the variables out of the environment.
///
/// # Errors
/// Descriptors that are announced but are not what their names say.
pub fn passed_listener() -> Result<Option<UnixListener>> {
    let wrong = |error: std::io::Error| {
        Failure::invalid(format!(
            "the descriptors passed by the service manager (LISTEN_FDS) are no use: {error}"
        ))
    };
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .map_err(wrong)?
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        return Ok(None);
    }
    let mut passed = ListenFd::from_env();
    match position(&names) {
        Some(index) => passed.take_unix_listener(index).map_err(wrong),
        None => {
            tracing::warn!("none of the passed descriptors is the socket: {names:?}");
            Ok(None)
        }
    }
}

/// Which descriptor is the listening socket. A manager that gives no names passes nothing else.
fn position(names: &[String]) -> Option<usize> {
    let named = names.iter().position(|name| name == SOCKET_NAME);
    let only_one_unnamed = names.len() == 1 && names[0] == "unknown";
    named.or(only_one_unnamed.then_some(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::private_directory::PrivateDirectory;

    fn started(bus_activated: bool, variables: &[(&str, &str)]) -> StartedBy {
        StartedBy::of(bus_activated, 42, |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn systemd_is_the_starter_only_if_it_names_this_process() {
        let started = |variable| started(false, &[variable]);
        assert_eq!(started(("SYSTEMD_EXEC_PID", "42")), StartedBy::Systemd);
        assert_eq!(started(("SYSTEMD_EXEC_PID", "7")), StartedBy::Hand);
        assert_eq!(started(("NOTIFY_SOCKET", "/run/x")), StartedBy::Hand);
    }

    #[test]
    fn a_bus_is_the_starter_if_its_flag_says_so_and_systemd_does_not() {
        let systemd = ("SYSTEMD_EXEC_PID", "42");
        assert_eq!(started(true, &[]), StartedBy::Bus);
        assert_eq!(started(true, &[systemd]), StartedBy::Systemd);
    }

    #[test]
    fn what_a_bus_left_in_the_environment_is_inherited_and_says_nothing() {
        let bus = ("DBUS_STARTER_ADDRESS", "unix:path=/run/bus");
        assert_eq!(started(false, &[bus]), StartedBy::Hand);
    }

    #[test]
    fn the_service_file_gives_the_flag() {
        use clap::Parser;
        let file = include_str!("../../../dbus/io.github.fuse_promise.Private1.service.in");
        let exec = file.lines().find_map(|line| line.strip_prefix("Exec="));
        let flags = crate::options::Flags::try_parse_from(exec.unwrap().split_whitespace());
        assert!(flags.unwrap().bus_activated);
    }

    #[test]
    fn only_a_bus_with_its_socket_inside_lies_in_the_directory() {
        let folder = PrivateDirectory::new();
        fs::create_dir(folder.path().join("inner")).unwrap();
        let runtime_dir = folder.runtime_dir();
        let inside = |address: &str| {
            let address = address.replace("FOLDER", folder.path().to_str().unwrap());
            lies_in(&runtime_dir, &address.parse().unwrap())
        };
        assert!(inside("unix:path=FOLDER/bus"));
        assert!(inside("unix:path=FOLDER/inner/bus"));
        assert!(!inside("unix:path=/run/user/4294967294/bus"));
        assert!(!inside("unix:abstract=FOLDER/bus"));
        assert!(!inside("tcp:host=localhost,port=1"));
    }

    #[test]
    fn the_socket_is_found_by_its_name_wherever_it_stands() {
        let names = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        assert_eq!(position(&names(&["socket"])), Some(0));
        assert_eq!(position(&names(&["fuse", "state", "socket"])), Some(2));
        assert_eq!(position(&names(&["unknown"])), Some(0));
        assert_eq!(position(&names(&["unknown", "unknown"])), None);
        assert_eq!(position(&names(&["fuse"])), None);
    }
}
