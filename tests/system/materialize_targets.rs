//! Where a materialize may write: what is refused before anything is written,
//! and a disk that fills up.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use fuse_promise_testkit::process::{Ran, run};
use fuse_promise_testkit::{Session, Tree, both_shapes, programs};
use support::copying::{copy, named, names, target};

const INVALID_ARGUMENT: i32 = 11;
const PERMISSION: i32 = 13;
const NOT_FOUND: i32 = 14;
const ALREADY_EXISTS: i32 = 15;
const IO: i32 = 17;

/// Copies into a file system of its own, which only fpctl sees: the daemon gets
/// it as a descriptor. Says what is in it afterwards, one name a line.
fn copy_into_mount(session: &Session, mount_options: &str, source: &Path, target: &Path) -> Ran {
    const ENTER: &str = "mount -t tmpfs -o \"$1\" none \"$2\" && shift && \
        exec unshare -U --map-user=\"$USER_ID\" --map-group=\"$USER_ID\" sh -c \"$STEPS\" \"$@\"";
    // The words are: target, fpctl, source.
    const STEPS: &str =
        "\"$1\" materialize \"$2\" \"$0\"; code=$?; find \"$0\" -mindepth 1; exit $code";
    let mut command = session.command("unshare");
    command.args(["-rm", "sh", "-ec", ENTER, "sh", mount_options]);
    command
        .arg(target)
        .arg(programs::program("fpctl"))
        .arg(source);
    command.env("USER_ID", rustix::process::getuid().as_raw().to_string());
    run(command.env("STEPS", STEPS))
}

both_shapes! {
    /// > A target that is a symbolic link, lies in the mount or is read-only is refused
    /// > before anything is written.
    fn a_target_that_is_no_directory_of_ours_is_refused(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 3000));
        let (source, target) = (promise.join("dir"), target(&session));
        symlink(&target, session.dirs().root().join("link")).unwrap();
        fs::write(target.join("file"), "").unwrap();
        fs::create_dir(target.join("closed")).unwrap();
        fs::set_permissions(target.join("closed"), fs::Permissions::from_mode(0o555)).unwrap();
        for (refused, code, said) in [
            (session.dirs().root().join("link"), INVALID_ARGUMENT,
                "target directory must not be a symlink"),
            (target.join("file"), INVALID_ARGUMENT, "is not a directory"),
            (target.join("none"), NOT_FOUND, "does not exist"),
            (session.mount(), INVALID_ARGUMENT, "mount"),
            (promise.join("dir"), INVALID_ARGUMENT, "mount"),
            (target.join("closed"), PERMISSION, "dir"),
        ] {
            let ran = copy(&session, &["--overwrite"], &source, &refused);
            assert!(ran.err.contains(said), "{refused:?}: {}", ran.err);
            assert_eq!(ran.code, code, "{refused:?}: {}", ran.err);
        }
        assert_eq!(names(&target), named(["closed", "file"]));
        assert_eq!(provider.counters().requests, 0);
    }

    /// > Symbolic links in the target are neither followed nor replaced.
    fn symlinks_below_the_target_are_neither_followed_nor_replaced(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 3000).file("dir/sub/b", 10));
        let target = target(&session);
        let elsewhere = session.dirs().root().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir(target.join("dir")).unwrap();
        symlink(&elsewhere, target.join("dir/sub")).unwrap();
        symlink(elsewhere.join("a"), target.join("dir/a")).unwrap();
        let ran = copy(&session, &["--overwrite"], &promise.join("dir"), &target);
        assert_eq!(ran.code, ALREADY_EXISTS);
        for entry in ["failed: dir/a", "failed: dir/sub"] {
            assert!(ran.err.contains(entry), "{}", ran.err);
        }
        assert_eq!(names(&elsewhere), named([]));
        for link in ["dir/a", "dir/sub"] {
            assert!(target.join(link).is_symlink(), "{link}");
        }
    }

    fn a_source_that_is_not_promised_is_refused(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 1));
        let target = target(&session);
        for (source, code) in [
            (promise.join("none"), NOT_FOUND),
            (session.promised("promise-99"), NOT_FOUND),
            (session.mount(), INVALID_ARGUMENT),
            (target.clone(), NOT_FOUND),
        ] {
            let ran = copy(&session, &[], &source, &target);
            assert_eq!(ran.code, code, "{source:?}: {}", ran.err);
        }
        assert_eq!(names(&target), named([]));
    }

    fn a_read_only_file_system_is_refused_before_anything_is_asked(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 3000));
        let ran = copy_into_mount(&session, "ro", &promise.join("a"), &target(&session));
        assert!(ran.err.contains("read-only"), "{}", ran.err);
        assert_eq!((ran.code, ran.out.as_str()), (PERMISSION, ""));
        assert_eq!(provider.counters().requests, 0);
    }

    fn a_disk_that_fills_up_is_left_as_it_was(session) {
        let mut provider = session.provider();
        let target = target(&session);
        // One file that cannot fit, and many of which some can.
        let large = provider.publish(&Tree::new().file("dir/small", 10).file("dir/large", 2 << 20));
        let many = provider.publish(&Tree::new().files("dir/f", 40, 50_000));
        for promise in [large, many] {
            let source = promise.join("dir");
            let ran = copy_into_mount(&session, "size=1m", &source, &target);
            assert!(ran.err.contains("No space left"), "{}", ran.err);
            assert_eq!((ran.code, ran.out.as_str()), (IO, ""));
        }
        let fits = provider.publish(&Tree::new().file("a", 500_000));
        let ran = copy_into_mount(&session, "size=1m", &fits.join("a"), &target);
        assert!(ran.out.contains("/target/a\n"), "{}", ran.out);
        ran.ok();
    }
}
