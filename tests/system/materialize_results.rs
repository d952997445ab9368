//! What a materialize makes: content, modes and times, under each policy, and
//! what it says about it.

mod support;

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuse_promise_core::{NodeAttr, Record};
use fuse_promise_testkit::fixture::check::{assert_content, assert_tree};
use fuse_promise_testkit::{Published, Tree, both_shapes};
use support::copying::{copy, named, names, target};
use support::wait_until;

const ALREADY_EXISTS: i32 = 15;

fn attr(mode: u32, size: u64) -> NodeAttr {
    NodeAttr {
        mode,
        size,
        mtime_nsec: 1_234_567_890_987_654_321,
    }
}

/// The one file of a promise.
fn assert_is_copy(path: &Path, promise: &Published) {
    assert_content(path, &promise.tree.nodes()[0]);
}

fn set_age(path: &Path, time: SystemTime) {
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

both_shapes! {
    /// > A copy has the content, the permission bits and the modification times that were
    /// > declared, in read-only directories too.
    fn a_promise_becomes_a_directory_of_files(session) {
        let mut provider = session.provider();
        let tree = Tree::new()
            .dir_with("read-only", 0o555)
            .dir_with("read-only/deep", 0o711)
            .file_with("read-only/deep/big", attr(0o640, (5 << 20) + 1), "big")
            .file_with("read-only/set-id", attr(0o4755, 10), "set-id")
            .file_with("secret", attr(0o400, 4096), "secret")
            .file("empty", 0)
            .files("many/", 50, 1000);
        let promise = provider.publish(&tree);
        let target = target(&session);
        let said = copy(&session, &[], &promise.path, &target);
        let root = target.join("promise-1");
        assert_eq!(said.value("target_path"), root.to_str());
        let bytes = ((5 << 20) + 1 + 10 + 4096 + 50 * 1000).to_string();
        for (key, value) in [
            ("entries_done", "58"),
            ("entries_total", "58"),
            ("bytes_written", &bytes),
            ("bytes_total", &bytes),
            ("files_written", "54"),
            ("files_total", "54"),
            ("directories_created", "4"),
            ("directories_total", "4"),
        ] {
            assert_eq!(said.value(key), Some(value), "{key}");
        }
        assert_eq!((said.out.lines().count(), said.err.as_str()), (9, ""));
        assert_eq!(said.code, 0);
        assert_tree(&root, &tree);
        assert_eq!(names(&target).len(), 58);
        // So that the session's folder can be removed.
        fs::set_permissions(root.join("read-only"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn each_policy_treats_what_is_there_its_way(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a.txt", 3000));
        let (source, target) = (promise.join("a.txt"), target(&session));
        let file = target.join("a.txt");
        fs::write(&file, "the user's").unwrap();
        let is_users = || fs::read(&file).unwrap() == b"the user's";

        let refused = copy(&session, &[], &source, &target);
        assert!(refused.err.contains("a.txt"), "{}", refused.err);
        assert_eq!(refused.code, ALREADY_EXISTS);
        assert!(is_users());

        copy(&session, &["--rename"], &source, &target).ok();
        copy(&session, &["--rename"], &source, &target).ok();
        assert_eq!(names(&target), named(["a (1).txt", "a (2).txt", "a.txt"]));
        assert_is_copy(&target.join("a (2).txt"), &promise);
        assert!(is_users());

        let skipped = copy(&session, &["--skip"], &source, &target);
        assert!(skipped.err.contains("skipped: a.txt"), "{}", skipped.err);
        assert_eq!(skipped.code, 0);
        assert!(is_users());

        copy(&session, &["--newer"], &source, &target).ok();
        assert!(is_users(), "it is younger than the promised file");
        set_age(&file, SystemTime::UNIX_EPOCH + Duration::from_secs(5));
        copy(&session, &["--newer"], &source, &target).ok();
        assert_is_copy(&file, &promise);

        fs::write(&file, "the user's").unwrap();
        copy(&session, &["--overwrite", "--sync"], &source, &target).ok();
        assert_is_copy(&file, &promise);
        assert_eq!(names(&target), named(["a (1).txt", "a (2).txt", "a.txt"]));
    }

    fn progress_is_told_in_lines_of_the_same_keys(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().files("f", 20, 100_000));
        let said = copy(&session, &["--progress"], &promise.path, &target(&session));
        assert_eq!(said.code, 0);
        let keys: Vec<&str> = said.out.lines().filter_map(|line| line.split('=').next()).collect();
        let lines: Vec<Record> = said.err.lines().map(|line| Record::parse(line).unwrap()).collect();
        for line in &lines {
            assert_eq!(line.word(), "progress");
            assert_eq!(line.fields().map(|(key, _)| key).collect::<Vec<_>>(), keys);
        }
        let last = lines.last().expect("a line at the end at least");
        assert_eq!(last.get("bytes_written"), Some(&b"2000000"[..]));
    }

    fn a_detached_copy_needs_nobody(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 3 << 20));
        provider.answer(None, fuse_promise_testkit::Answer::Hang);
        let target = target(&session);
        let said = copy(&session, &["--detach"], &promise.join("a"), &target);
        assert_eq!(said.value("job"), Some("/io/github/fuse_promise/job/1"));
        assert_eq!((said.code, names(&target)), (0, named([])));
        provider.await_hung(1);
        provider.release();
        wait_until("the copy", || target.join("a").exists());
        assert_is_copy(&target.join("a"), &promise);
    }
}
