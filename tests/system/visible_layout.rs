//! What `ls` and `df` of the mount show, and when a promise comes and goes.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fuse_promise_core::Record;
use fuse_promise_testkit::process::run;
use fuse_promise_testkit::{Answer, Published, Session, Shape, Tree, both_shapes, mounts};
use rustix::fs::{StatVfsMountFlags, statvfs};
use support::destroy;

/// The names that `ls` shows, directories marked by a slash.
fn ls(session: &Session, directory: &Path) -> Vec<String> {
    let mut command = session.command("ls");
    let shown = run(command.args(["-A1F", "--"]).arg(directory)).ok();
    shown.lines().map(str::to_owned).collect()
}

/// Size, used and available in units of 512 bytes, then the same of inodes.
fn df(session: &Session, path: &Path) -> [u64; 6] {
    let mut command = session.command("df");
    command.args([
        "--block-size=512",
        "--output=size,used,avail,itotal,iused,iavail",
    ]);
    let shown = run(command.arg(path)).ok();
    let figures = shown.lines().nth(1).expect("a line of figures");
    let figures: Vec<u64> = figures
        .split_whitespace()
        .map(|figure| if figure == "-" { "0" } else { figure })
        .map(|figure| figure.parse().expect("a number"))
        .collect();
    figures.try_into().expect("six figures")
}

/// Everything `find` can say about what is in a directory.
fn walk(session: &Session, directory: &Path) -> String {
    let mut command = session.command("sh");
    command
        .args([
            "-c",
            "cd \"$1\" && find . -printf '%P %y %i %s %m %n %b %U %G %T@ %A@ %C@\\n'",
            "sh",
        ])
        .arg(directory);
    run(&mut command).ok()
}

both_shapes! {
    /// > `ls` of the mount's root shows one directory per promise, named by its id, and nothing
    /// > else.
    fn the_root_shows_the_promises_and_nothing_else(session) {
        let mount = session.mount();
        assert!(ls(&session, &mount).is_empty());
        let (mut one, mut other) = (session.provider(), session.provider());
        let ids = [
            one.publish(&Tree::new().file("a", 1)).id(),
            other.publish(&Tree::new()).id(),
            one.publish(&Tree::new().file("dir/a", 1)).id(),
        ];
        let directories = ids.map(|id| format!("{id}/"));
        assert_eq!(ls(&session, &mount), directories);
        for name in ["promise-0", "promise-01", "promise-4", "promise-", "promise", "1", "a"] {
            assert!(!mount.join(name).exists(), "{name}");
        }
    }

    /// > `df` of the mount shows the sum of the published sizes as used and the number of published
    /// > nodes, the promises' own directories among them, as used inodes.
    fn df_shows_what_is_published(session) {
        let mount = session.mount();
        assert_eq!(df(&session, &mount), [0; 6]);
        let (mut one, mut other) = (session.provider(), session.provider());
        one.publish(&Tree::new().file("dir/a", 1000).file("b", 25));
        assert_eq!(df(&session, &mount), [3, 3, 0, 4, 4, 0]);
        let promise = other.publish(&Tree::new().file("big", 1 << 40));
        let blocks = (1 << 31) + 3;
        assert_eq!(df(&session, &mount), [blocks, blocks, 0, 6, 6, 0]);
        assert_eq!(df(&session, &promise.join("big")), df(&session, &mount));
        one.unregister();
        assert_eq!(df(&session, &mount), [1 << 31, 1 << 31, 0, 2, 2, 0]);
        let figures = statvfs(&mount).unwrap();
        assert_eq!(figures.f_namemax, 255);
        let restricted =
            StatVfsMountFlags::RDONLY | StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV;
        assert!(figures.f_flag.contains(restricted), "{:?}", figures.f_flag);
    }

    /// > A promise's name appears in the root when its commit returns, with all its nodes at once.
    fn a_promise_appears_whole(session) {
        const FILES: usize = 2000;
        let root = session.mount();
        // Asked before: an answer that the kernel kept would hide the promise.
        let path = root.join("promise-1");
        assert!(!path.exists());
        let mut provider = session.provider();
        provider.ask(&Record::new("begin")).unwrap();
        for number in 0..FILES {
            provider.ask(&file(number)).unwrap();
        }
        assert!(ls(&session, &root).is_empty());
        let seen_first = thread::spawn({
            let path = path.clone();
            move || {
                while !path.exists() {
                    thread::yield_now();
                }
                fs::read_dir(path).unwrap().count()
            }
        });
        provider.ask(&Record::new("commit")).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), FILES);
        assert_eq!(ls(&session, &root), ["promise-1/"]);
        assert_eq!(seen_first.join().unwrap(), FILES);
    }

    /// > A promise's name is gone from the root when the destroy or the unregister that removes it
    /// > has returned.
    fn a_promise_is_gone_at_once_when_its_provider_leaves(session) {
        for round in 0..20 {
            let mut provider = session.provider();
            let promises = [1, 2].map(|size| provider.publish(&Tree::new().file("a", size)));
            for promise in &promises {
                promise.check();
            }
            if round % 2 == 0 {
                provider.unregister();
            } else {
                provider.close();
            }
            for promise in &promises {
                assert_gone(&session, promise);
            }
        }
    }

    /// The kernel keeps what it is told of the root, and is told of each change before the caller
    /// who made it: also while others look at it all the time.
    fn the_root_shows_each_change_when_the_call_returns(session) {
        let root = session.mount();
        let over = Arc::new(AtomicBool::new(false));
        let looking = thread::spawn({
            let (root, over) = (root.clone(), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Relaxed) {
                    fs::metadata(&root).unwrap();
                }
            }
        });
        let state = || {
            let shown = fs::metadata(&root).unwrap();
            (shown.nlink(), shown.modified().unwrap())
        };
        let mut provider = session.provider();
        let (mut links, mut changed) = state();
        assert_eq!(links, 2);
        for _ in 0..50 {
            provider.publish(&Tree::new());
            let now = state();
            assert_eq!(now.0, links + 1);
            assert!(now.1 > changed);
            (links, changed) = now;
        }
        provider.unregister();
        let now = state();
        assert_eq!(now.0, 2);
        assert!(now.1 > changed);
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
    }

    /// > The directory of a promise shows mode 0755 and a modification time of 0.
    fn the_directory_of_a_promise(session) {
        let mut provider = session.provider();
        for tree in [Tree::new(), Tree::new().file("a", 1)] {
            let shown = fs::metadata(provider.publish(&tree).path).unwrap();
            assert_eq!(shown.mode(), 0o040755);
            assert_eq!((shown.mtime(), shown.mtime_nsec()), (0, 0));
        }
    }

    /// > Content, names, sizes, modes and times of a committed promise never change.
    fn a_committed_promise_never_changes(session) {
        let mut provider = session.provider();
        let tree = Tree::new().file("dir/a", 1000).file("b", 70_000);
        let promise = provider.publish(&tree);
        let before = walk(&session, &promise.path);
        promise.check();
        // The same names and node ids with other attributes are another promise.
        let other = Tree::new().file("dir/a", 2000).file("b", 1).file("c", 1);
        provider.publish(&other).check();
        assert_eq!(walk(&session, &promise.path), before);
        promise.check();
        provider.answer(None, Answer::Empty);
        assert!(fs::read(promise.join("b")).is_ok());
        provider.answer(None, Answer::Right);
        assert_eq!(walk(&session, &promise.path), before);
        promise.check();
        provider.kill();
        assert_eq!(walk(&session, &promise.path), before);
    }
}

/// By `Promise.Destroy`, which every program on the bus may call.
#[test]
fn a_promise_is_gone_at_once_when_it_is_destroyed() {
    let session = Session::start(Shape::Systemd);
    let mut provider = session.provider();
    for _ in 0..10 {
        let promise = provider.publish(&Tree::new().file("a", 1));
        promise.check();
        destroy(&session, &promise.id());
        assert_gone(&session, &promise);
    }
}

/// > Only processes of the session's user can look into the mount; everybody else, root included,
/// > gets EACCES.
///
/// The kernel sees to that for a mount without `allow_other`, by the user it is mounted for.
#[test]
fn the_mount_is_for_its_user_alone() {
    let session = Session::start(Shape::Private);
    let mount = mounts::at(&session.mount()).expect("a mount");
    let options: Vec<&str> = mount.super_options.split(',').collect();
    let user = format!("user_id={}", rustix::process::getuid().as_raw());
    assert!(options.contains(&user.as_str()), "{mount:?}");
    assert!(options.contains(&"default_permissions"), "{mount:?}");
    assert!(!options.contains(&"allow_other"), "{mount:?}");
    let mode = fs::metadata(session.mount()).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

fn file(number: usize) -> Record {
    Record::new("file")
        .field("path", format!("f{number}"))
        .field("mode", 0o644)
        .field("size", 1)
        .field("mtime_nsec", 0)
        .field("id", number)
}

#[track_caller]
fn assert_gone(session: &Session, promise: &Published) {
    assert!(!promise.path.exists());
    assert!(!promise.join("a").exists());
    let shown = ls(session, &session.mount());
    assert!(!shown.contains(&format!("{}/", promise.id())), "{shown:?}");
}
