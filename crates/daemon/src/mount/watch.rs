//! Noticing that the mount was taken away. With open files an unmounted file system goes on being
//! served, so the end of the FUSE session may come hours later or never; the kernel's list of
//! mounts tells at once.

use std::io;
use std::path::PathBuf;

use super::mountinfo::MountInfo;

/// The mount that is watched: where, and which.
#[derive(Debug, Clone)]
pub struct Watched {
    pub point: PathBuf,
    pub id: u64,
}

impl Watched {
    /// What happened to the mount, if it is no longer what is seen at the point.
    pub fn loss(&self, mounts: &mut MountInfo) -> io::Result<Option<String>> {
        Ok(match mounts.at(&self.point)?.pop() {
            Some(top) if top.id == self.id => None,
            Some(top) => Some(format!("a {} file system hides it", top.fs_type)),
            None => Some("somebody unmounted it".into()),
        })
    }

    /// Why the FUSE session of this mount has ended, as far as the list of mounts tells.
    pub fn reason_of_end(&self) -> String {
        let loss = MountInfo::open().and_then(|mut mounts| self.loss(&mut mounts));
        match loss {
            Ok(Some(loss)) => loss,
            Ok(None) => "the kernel was told to end the connection".into(),
            Err(error) => format!("the kernel ended the connection ({error})"),
        }
    }
}

/// Starts a thread that calls `lost` once the mount is gone from the list. It ends with that, or
/// with the process.
pub fn start(
    mut mounts: MountInfo,
    watched: Watched,
    lost: impl FnOnce(&str) + Send + 'static,
) -> io::Result<()> {
    let watch = move || {
        loop {
            let outcome = match watched.loss(&mut mounts) {
                Ok(Some(loss)) => return lost(&loss),
                Ok(None) => mounts.wait_for_change(),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return tracing::error!("the list of mounts can no longer be watched: {error}");
            }
        }
    };
    std::thread::Builder::new()
        .name("fp-mount-watch".into())
        .spawn(watch)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    /// What the watch says about the root of this process, whose true id is handed in changed.
    fn loss(point: &Path, change: impl FnOnce(u64) -> u64) -> String {
        let mut mounts = MountInfo::open().unwrap();
        let id = mounts.at(Path::new("/")).unwrap().last().unwrap().id;
        let (sender, said) = channel();
        let lost = move |reason: &str| sender.send(reason.to_owned()).unwrap();
        let point = point.to_owned();
        let id = change(id);
        start(mounts, Watched { point, id }, lost).unwrap();
        said.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_mount_that_is_not_listed_was_unmounted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(loss(folder.path(), |id| id), "somebody unmounted it");
    }

    #[test]
    fn a_session_that_ended_under_its_mount_was_ended_by_the_kernel() {
        let root = PathBuf::from("/");
        let mut mounts = MountInfo::open().unwrap();
        let id = mounts.at(&root).unwrap().last().unwrap().id;
        let said = |point, id| Watched { point, id }.reason_of_end();
        assert!(said(root, id).contains("end the connection"));
        assert_eq!(said("/nowhere".into(), id), "somebody unmounted it");
    }

    #[test]
    fn another_mount_at_the_point_hides_ours() {
        assert!(loss(Path::new("/"), |id| id + 1_000_000).ends_with("hides it"));
    }
}
