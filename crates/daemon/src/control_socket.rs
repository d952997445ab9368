//! The socket that clients connect to: the one that came with the start, or one made here. A
//! socket made here is removed at the end; one that a service manager made is its own business.
//!
//! The caller holds the daemon lock, so a socket that is found is either a leftover of a dead
//! daemon, which is replaced, or a service manager listens on it, which starts a daemon of its
//! own. The second case is refused: replacing its socket would cut off activation for good.
//! Connecting would tell the two apart, but would start that daemon; the kernel's table of sockets
//! tells it without.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use fuse_promise_core::failure::{Failure, Result};

/// A listening socket, and the file it has to remove.
#[derive(Debug)]
pub struct ControlSocket {
    pub listener: UnixListener,
    /// The file, if it was made here; dropping it removes it.
    pub file: Option<SocketFile>,
}

/// A socket's file, removed on drop if it is still the one that was made: systemd, when it is told
/// to listen on the same path, puts its own in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn made_at(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

/// Device and inode.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).ok() != Some(self.identity) {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("{} stays behind: {error}", self.path.display());
        }
    }
}

impl ControlSocket {
    /// Takes the passed listener, or makes one at `path`.
    ///
    /// # Errors
    /// A path that is taken by something else or by a service manager, or is too long.
    pub fn open(path: &Path, passed: Option<UnixListener>) -> Result<Self> {
        if let Some(listener) = passed {
            warn_if_elsewhere(&listener, path);
            let file = None;
            return Ok(Self { listener, file });
        }
        make_room(path)?;
        let listener = UnixListener::bind(path).map_err(|error| cannot_listen(path, &error))?;
        let file = SocketFile::made_at(path).map_err(|error| cannot_listen(path, &error))?;
        // The directory lets nobody else in; this is for the day when somebody opens it up.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(|error| cannot_listen(path, &error))?;
        let file = Some(file);
        Ok(Self { listener, file })
    }
}

fn cannot_listen(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("cannot listen on {}: {error}", path.display()))
}

fn warn_if_elsewhere(listener: &UnixListener, path: &Path) {
    let address = listener.local_addr().ok();
    let bound = address.as_ref().and_then(|address| address.as_pathname());
    if bound != Some(path) {
        let path = path.display();
        tracing::warn!("the passed socket is bound to {bound:?}; clients look at {path}");
    }
}

/// Removes what a dead daemon left at the path.
fn make_room(path: &Path) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot_listen(path, &error)),
    };
    let shown = path.display();
    if !found.file_type().is_socket() {
        return Err(Failure::unavailable(format!(
            "{shown} is not a socket; move it out of the way"
        )));
    }
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    if somebody_listens(&table, path) {
        return Err(Failure::unavailable(format!(
            "somebody else listens on {shown}, probably systemd for fuse-promised.socket; start \
             the daemon with \"systemctl --user start fuse-promised\", or stop that socket first"
        )));
    }
    tracing::info!("replacing {shown}, left behind by a daemon that is gone");
    fs::remove_file(path).map_err(|error| cannot_listen(path, &error))
}

/// Whether the kernel's table (`/proc/net/unix`) has a listening socket bound to the path.
fn somebody_listens(table: &[u8], path: &Path) -> bool {
    /// The kernel's mark of a listening socket in the column of flags.
    const ACCEPTS: u32 = 0x10000;
    const FLAGS_COLUMN: usize = 3;
    const COLUMNS_BEFORE_PATH: usize = 7;

    table.split(|&byte| byte == b'\n').skip(1).any(|line| {
        let mut rest = line;
        let mut flags = 0;
        for column in 0..COLUMNS_BEFORE_PATH {
            let start = rest.iter().take_while(|&&byte| byte == b' ').count();
            rest = &rest[start..];
            let length = rest.iter().take_while(|&&byte| byte != b' ').count();
            let (field, behind) = rest.split_at(length);
            if column == FLAGS_COLUMN {
                let field = str::from_utf8(field).unwrap_or_default();
                flags = u32::from_str_radix(field, 16).unwrap_or_default();
            }
            rest = behind;
        }
        let bound = rest.strip_prefix(b" ");
        flags & ACCEPTS != 0 && bound == Some(path.as_os_str().as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use fuse_promise_core::status::Status;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn socket(&self) -> PathBuf {
            self.0.path().join("a b.sock")
        }
    }

    #[test]
    fn a_socket_made_here_is_private_and_goes_with_its_file() {
        let folder = Folder::new();
        let path = folder.socket();
        let socket = ControlSocket::open(&path, None).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_took_the_place_of_ours_stays() {
        let folder = Folder::new();
        let path = folder.socket();
        let socket = ControlSocket::open(&path, None).unwrap();
        let aside = folder.0.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        let _manager = UnixListener::bind(&path).unwrap();
        drop(socket);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_passed_socket_stays() {
        let folder = Folder::new();
        let path = folder.socket();
        let passed = UnixListener::bind(&path).unwrap();
        let socket = ControlSocket::open(&path, Some(passed)).unwrap();
        assert!(socket.file.is_none());
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn the_socket_of_a_dead_daemon_is_replaced() {
        let folder = Folder::new();
        let path = folder.socket();
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let _socket = ControlSocket::open(&path, None).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_somebody_listens_on_is_left_alone() {
        let folder = Folder::new();
        let path = folder.socket();
        let _manager = UnixListener::bind(&path).unwrap();
        let failure = ControlSocket::open(&path, None).unwrap_err();
        assert_eq!(failure.status, Status::Unavailable);
        assert!(failure.message.contains("systemctl --user"), "{failure}");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn anything_else_at_the_path_is_left_alone() {
        let folder = Folder::new();
        let path = folder.socket();
        fs::write(&path, "a letter").unwrap();
        let failure = ControlSocket::open(&path, None).unwrap_err();
        assert!(
            failure.message.contains(path.to_str().unwrap()),
            "{failure}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_named() {
        let folder = Folder::new();
        let path = folder.0.path().join("x".repeat(108));
        let failure = ControlSocket::open(&path, None).unwrap_err();
        assert!(
            failure.message.contains(path.to_str().unwrap()),
            "{failure}"
        );
    }

    #[test]
    fn only_a_listening_socket_at_the_very_path_counts() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  1675 /run/a b.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03  1674 /run/connected.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 16740\n";
        assert!(somebody_listens(table, Path::new("/run/a b.sock")));
        assert!(!somebody_listens(table, Path::new("/run/a")));
        assert!(!somebody_listens(table, Path::new("b.sock")));
        assert!(!somebody_listens(table, Path::new("/run/connected.sock")));
    }
}
