//! Where the session bus is.
//!
//! `DBUS_SESSION_BUS_ADDRESS` is a list of addresses, the first that can be reached counts. Sockets
//! of this machine are all that is of use, because descriptors travel over nothing else; they are
//! connected to by ourselves, so that the descriptor is known when the process forks.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A Unix socket that a bus may listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BusAddress {
    Path(PathBuf),
    /// A name in Linux's abstract namespace.
    Abstract(Vec<u8>),
}

/// The addresses to try, in order: those of the variable, or the bus that systemd puts into the
/// runtime directory.
pub(crate) fn session_bus(variable: Option<&OsStr>, runtime_dir: &Path) -> Vec<BusAddress> {
    match variable {
        Some(list) if !list.is_empty() => list
            .as_bytes()
            .split(|byte| *byte == b';')
            .filter_map(parse)
            .collect(),
        _ => vec![BusAddress::Path(runtime_dir.join("bus"))],
    }
}

/// `unix:path=…` or `unix:abstract=…`, with other keys (guid, runtime) beside it; `None` for what
/// is malformed or of another transport.
fn parse(address: &[u8]) -> Option<BusAddress> {
    let keys = address.strip_prefix(b"unix:")?;
    keys.split(|byte| *byte == b',').find_map(|pair| {
        if let Some(path) = pair.strip_prefix(b"path=") {
            let path = OsString::from_vec(unescape(path)?);
            Some(BusAddress::Path(PathBuf::from(path)))
        } else {
            let name = pair.strip_prefix(b"abstract=")?;
            unescape(name).map(BusAddress::Abstract)
        }
    })
}

/// `%20` and the like stand for bytes; everything else stands for itself.
fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let high = char::from(*rest.next()?).to_digit(16)?;
        let low = char::from(*rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(variable: &str) -> Vec<BusAddress> {
        session_bus(Some(OsStr::new(variable)), Path::new("/run/user/1000"))
    }

    fn path(path: &str) -> BusAddress {
        BusAddress::Path(path.into())
    }

    #[test]
    fn without_a_variable_the_bus_lies_in_the_runtime_directory() {
        let expected = [path("/run/user/1000/bus")];
        assert_eq!(session_bus(None, Path::new("/run/user/1000")), expected);
        assert_eq!(addresses(""), expected);
    }

    #[test]
    fn every_socket_of_the_list_is_found_in_order() {
        let list = "tcp:host=x,port=1;unix:guid=0a,path=/tmp/dbus%20a;unix:abstract=/tmp/b,guid=1";
        assert_eq!(
            addresses(list),
            [
                path("/tmp/dbus a"),
                BusAddress::Abstract(b"/tmp/b".to_vec())
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        for wrong in [
            "unix:",
            "unix:path=",
            "unix:path=/a%2",
            "unix:path=/a%zz",
            "path=/a",
            "disabled:",
        ] {
            assert_eq!(addresses(wrong), [], "{wrong}");
        }
    }
}
