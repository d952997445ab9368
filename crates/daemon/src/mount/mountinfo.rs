//! The kernel's list of what is mounted where (`/proc/self/mountinfo`). Reading it touches no
//! mounted file system, so it can be asked about a mount whose server is dead or busy.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Unique as long as the mount exists; used again later.
    pub id: u64,
    pub point: PathBuf,
    /// With the subtype, as in `fuse.fuse-promise`.
    pub fs_type: String,
    pub source: String,
}

/// The open list. It can be waited on for changes.
#[derive(Debug)]
pub struct MountInfo(File);

impl MountInfo {
    pub fn open() -> io::Result<Self> {
        Ok(Self(File::open("/proc/self/mountinfo")?))
    }

    /// What is mounted at the path, the bottom one first; the last is the one that is seen.
    pub fn at(&mut self, point: &Path) -> io::Result<Vec<Mounted>> {
        let mut text = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut text)?;
        let mounts = text.split(|&byte| byte == b'\n').filter_map(parse);
        Ok(mounts.filter(|mount| mount.point == point).collect())
    }

    /// Waits until the list has changed since the last wait, or since it was opened.
    pub fn wait_for_change(&self) -> io::Result<()> {
        let mut watched = [PollFd::new(&self.0, PollFlags::PRI)];
        loop {
            match poll(&mut watched, None) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// `id parent major:minor root point options [optional...] - type source options`
fn parse(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let point = unescape(fields.nth(3)?);
    let mut behind_dash = fields.skip_while(|&field| field != b"-").skip(1);
    let word = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    Some(Mounted {
        id,
        point: PathBuf::from(OsString::from_vec(point)),
        fs_type: word(behind_dash.next()?),
        source: word(behind_dash.next()?),
    })
}

/// The kernel writes space, tab, line break and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| byte == b'\\');
        let value = octal
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(value) => {
                plain.push(value);
                rest = &behind[3..];
            }
            None => {
                plain.push(byte);
                rest = behind;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_optional_fields() {
        let plain = b"42 27 0:39 / /run/user/1000/fuse-promise ro,nosuid,nodev,relatime - \
            fuse.fuse-promise fuse-promise ro,user_id=1000,group_id=1000,default_permissions";
        let expected = Mounted {
            id: 42,
            point: "/run/user/1000/fuse-promise".into(),
            fs_type: "fuse.fuse-promise".into(),
            source: "fuse-promise".into(),
        };
        assert_eq!(parse(plain), Some(expected));
        let shared = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw";
        let mount = parse(shared).unwrap();
        assert_eq!(
            (mount.fs_type.as_str(), mount.source.as_str()),
            ("ext3", "/dev/root")
        );
    }

    #[test]
    fn escaped_bytes_of_a_path_are_restored() {
        let line = b"1 2 0:1 / /a\\040b\\134c\\011\\012\\999 rw - tmpfs none rw";
        let point = parse(line).unwrap().point;
        assert_eq!(point, Path::new("/a b\\c\t\n\\999"));
    }

    #[test]
    fn what_is_no_mount_is_skipped() {
        for line in [
            "",
            "x",
            "1 2 0:1 / /a rw shared:1",
            "1 2 0:1 / /a rw -",
            "1 2 0:1",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_root_of_this_process_is_mounted_and_a_new_folder_is_not() {
        let mut mounts = MountInfo::open().unwrap();
        assert!(!mounts.at(Path::new("/")).unwrap().is_empty());
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(mounts.at(folder.path()).unwrap(), []);
    }
}
