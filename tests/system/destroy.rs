//! Promises that are destroyed while programs look at them, read them or copy
//! them, and those that take their places.

mod support;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use fuse_promise_client::{
    Context, ContextOptions, PromiseBuilder, PromiseEvent, Provider, ProviderOptions, ReadHandler,
    ReadRequest,
};
use fuse_promise_core::{NodeAttr, Status};
use fuse_promise_testkit::fixture::answers::Answers;
use fuse_promise_testkit::process::{HANG_LIMIT, Process, run};
use fuse_promise_testkit::{Answer, Content, Published, Session, Tree, both_shapes};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use support::balance::{OF_PROMISES, OF_READS, await_zero, gauge};
use support::copying::{begin, named, names, target};
use support::reader::Reader;
use support::{errno, wait_until};

const INVALID_ARGUMENT: i32 = 11;
const UNAVAILABLE: i32 = 12;
const NOT_FOUND: i32 = 14;

const FILE: NodeAttr = NodeAttr {
    mode: 0o644,
    size: 5000,
    mtime_nsec: 0,
};

/// Destroys with `fpctl destroy`, which must succeed.
#[track_caller]
fn destroy(session: &Session, promise: &str, id: &str) {
    let said = session.fpctl(&["destroy", promise]).ok();
    assert_eq!(said, format!("destroyed promise={id}\n"));
}

fn open_at(directory: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty())
}

fn stat_at(directory: &OwnedFd, name: &str) -> Option<Errno> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).err()
}

fn directory(path: &Path) -> OwnedFd {
    File::open(path).expect("a directory").into()
}

/// A provider of this process, which notes what it hears of its promises.
#[derive(Default)]
struct Listener {
    answers: Answers,
    heard: Mutex<Vec<String>>,
    changed: Condvar,
}

impl ReadHandler for Listener {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        self.answers.read(request, buffer)
    }

    fn event(&self, promise_id: &std::ffi::CStr, event: PromiseEvent) {
        let told = format!("{} {event:?}", promise_id.to_string_lossy());
        self.heard.lock().unwrap().push(told);
        self.changed.notify_all();
    }
}

impl Listener {
    /// Waits until so much was heard; all of it.
    fn heard(&self, count: usize) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let fewer = |heard: &mut Vec<String>| heard.len() < count;
        let waited = self.changed.wait_timeout_while(heard, HANG_LIMIT, fewer);
        waited.unwrap().0.clone()
    }
}

/// A context and a provider of this process.
fn listen(session: &Session, at_once: u32) -> (Context, Provider, Arc<Listener>) {
    let runtime_dir = Some(session.runtime_dir());
    let context = Context::open(ContextOptions { runtime_dir }).unwrap();
    let listener = Arc::new(Listener::default());
    let options = ProviderOptions {
        max_concurrent_reads: Some(at_once),
        ..ProviderOptions::default()
    };
    let provider = context.register(listener.clone(), options).unwrap();
    (context, provider, listener)
}

fn publish(context: &Context, provider: &Provider) -> std::path::PathBuf {
    let mut builder = PromiseBuilder::new(context, provider).unwrap();
    builder.add_file(b"a", FILE, b"a").unwrap();
    builder.commit(usize::MAX).unwrap()
}

/// `cp -r`, which is in the middle of `dir/held`.
fn ordinary_copy(session: &Session, source: &Path, target: &Path) -> Process {
    let mut command = session.command("cp");
    command.env("LC_ALL", "C").arg("-r").arg(source).arg(target);
    Process::spawn(command, &session.dirs().log("cp"))
}

fn nested() -> Tree {
    let tree = Tree::new().file("a/b/held", 5000);
    tree.file("a/b/other", 10).file("z", 10)
}

/// A program that has a file and the directories above it open.
struct Held {
    root: OwnedFd,
    outer: OwnedFd,
    inner: OwnedFd,
    file: Arc<File>,
}

impl Held {
    /// Looks at every name, so that the kernel knows them all.
    fn of(promise: &Published) -> Self {
        promise.check();
        let outer = directory(&promise.join("a"));
        Self {
            root: directory(&promise.path),
            inner: open_at(&outer, "b", OFlags::RDONLY).unwrap(),
            outer,
            file: Arc::new(File::open(promise.join("a/b/held")).unwrap()),
        }
    }

    #[track_caller]
    fn assert_names_gone(&self, promise: &Published) {
        let gone = Some(Errno::NOENT);
        for name in ["", "a", "a/b", "a/b/held", "a/b/other", "z", "none"] {
            let path = promise.join(name);
            assert_eq!(errno(path.symlink_metadata()), gone, "{name}");
            assert_eq!(errno(File::open(path)), gone, "{name}");
        }
        for (open, names) in [
            (&self.root, ["a", "z"]),
            (&self.outer, ["b", "b/held"]),
            (&self.inner, ["held", "other"]),
        ] {
            for name in names {
                assert_eq!(stat_at(open, name), gone, "{name}");
                assert_eq!(open_at(open, name, OFlags::RDONLY).err(), gone, "{name}");
            }
        }
    }

    fn read(&self) -> Reader {
        Reader::of_open(&self.file, 0, 5000)
    }
}

both_shapes! {
    /// > Nothing is found any more by a name of a promise that was destroyed or whose provider
    /// > unregistered, not even by a program that has a directory of it open.
    fn destroyed_names_are_gone_for_everybody(session) {
        let mut provider = session.provider();
        let (promise, other) = (provider.publish(&nested()), provider.publish(&nested()));
        let held = Held::of(&promise);
        destroy(&session, &promise.id(), &promise.id());
        held.assert_names_gone(&promise);
        assert_eq!(session.mount().read_dir().unwrap().count(), 1);
        held.read().assert_got(&Content::of(b"a/b/held").bytes(0, 5000));
        other.check();
        drop(held);
        provider.unregister();
        await_zero(&session, &OF_PROMISES);
    }

    fn names_of_a_provider_that_unregistered_are_gone_for_everybody(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&nested());
        let held = Held::of(&promise);
        provider.unregister();
        held.assert_names_gone(&promise);
        assert_eq!(session.mount().read_dir().unwrap().count(), 0);
        assert_eq!(held.read().outcome(), Err(Errno::IO));
        drop(held);
        await_zero(&session, &OF_PROMISES);
    }

    fn a_listing_after_the_destroy_brings_no_name_back(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 10).files("n", 40, 10));
        let root = directory(&promise.path);
        destroy(&session, &promise.id(), &promise.id());
        let mut listing = rustix::fs::Dir::read_from(&root).unwrap();
        while let Some(entry) = listing.read() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_str().unwrap().to_owned();
            if name != "." && name != ".." {
                assert_eq!(stat_at(&root, &name), Some(Errno::NOENT), "{name}");
            }
        }
    }

    /// > A program that copies a promise while it is destroyed gets ENOENT for what it has not
    /// > opened yet, and never wrong bytes.
    fn an_ordinary_copy_of_a_destroyed_promise_fails_and_copies_nothing_wrong(session) {
        let mut provider = session.provider();
        let tree = Tree::new().file("dir/a", 3000).file("dir/held", 300_000).file("dir/z", 10);
        let promise = provider.publish(&tree.file("more/b", 10));
        provider.answer(Some("dir/held"), Answer::Hang);
        let target = target(&session);
        let mut cp = ordinary_copy(&session, &promise.path, &target.join("copy"));
        provider.await_hung(1);
        destroy(&session, &promise.id(), &promise.id());
        provider.release();
        assert_eq!(cp.wait().code(), Some(1), "{}", cp.log());
        assert!(cp.log().contains("No such file or directory"), "{}", cp.log());
        let copied = names(&target.join("copy"));
        assert!(copied.contains("dir/held"), "{copied:?}");
        assert!(!copied.contains("dir/z"), "{copied:?}");
        for node in promise.tree.file_nodes().filter(|node| copied.contains(&node.path)) {
            let bytes = std::fs::read(target.join("copy").join(&node.path)).unwrap();
            let wanted = Content::of(node.node_id.as_bytes()).bytes(0, node.attr.size as usize);
            assert!(bytes == wanted, "{}", node.path);
        }
        await_zero(&session, &["promises", "nodes", "image_bytes", "opens"]);
        await_zero(&session, &OF_READS);
    }

    /// > A copy that has begun when its promise is destroyed goes on to its end.
    fn a_job_on_a_destroyed_promise_goes_on_to_its_end(session) {
        let mut provider = session.provider();
        let tree = Tree::new().file("dir/a", 3000).file("dir/held", 300_000).file("dir/z", 10);
        let promise = provider.publish(&tree);
        provider.answer(Some("dir/held"), Answer::Hang);
        let target = target(&session);
        let mut fpctl = begin(&session, &[], &promise.join("dir"), &target);
        provider.await_hung(1);
        destroy(&session, &promise.id(), &promise.id());
        provider.release();
        assert_eq!(fpctl.wait().code(), Some(0), "{}", fpctl.log());
        assert_eq!(names(&target), named(["dir", "dir/a", "dir/held", "dir/z"]));
        for node in promise.tree.file_nodes() {
            let bytes = std::fs::read(target.join(&node.path)).unwrap();
            let wanted = Content::of(node.node_id.as_bytes()).bytes(0, node.attr.size as usize);
            assert!(bytes == wanted, "{}", node.path);
        }
        await_zero(&session, &["promises", "nodes", "image_bytes", "opens"]);
    }

    /// > When a promise is replaced, by committing a new one and destroying the old one, whoever
    /// > has files of the old one open goes on reading its bytes.
    fn readers_of_a_destroyed_promise_keep_its_bytes_when_it_is_replaced(session) {
        let mut provider = session.provider();
        let version = |id: &str| Tree::new().file_with("file", FILE, id);
        let mut old = provider.publish(&version("version 0"));
        for round in 1..4 {
            let before = format!("version {}", round - 1);
            let open = Arc::new(File::open(old.join("file")).unwrap());
            let new = provider.publish(&version(&format!("version {round}")));
            destroy(&session, old.path.to_str().unwrap(), &old.id());
            let bytes = Content::of(before.as_bytes()).bytes(0, 5000);
            Reader::of_open(&open, 0, 5000).assert_got(&bytes);
            new.check();
            assert_eq!(session.mount().read_dir().unwrap().count(), 1);
            old = new;
        }
        destroy(&session, &old.id(), &old.id());
        await_zero(&session, &["promises", "nodes", "image_bytes", "opens"]);
    }

    /// > A provider that asked for it hears when a promise of its is destroyed, and once more, when
    /// > the last open file of it is closed and everything held for it is freed.
    fn a_provider_hears_when_a_destroyed_promise_is_released(session) {
        for at_once in [1, 4] {
            let (context, provider, listener) = listen(&session, at_once);
            let (unread, open, last) = {
                let publish = || publish(&context, &provider);
                (publish(), publish(), publish())
            };
            let id = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
            let file = Arc::new(File::open(open.join("a")).unwrap());
            let mut told = Vec::new();
            context.destroy(unread.as_os_str()).unwrap();
            told.extend(["Destroyed", "Released"].map(|event| format!("{} {event}", id(&unread))));
            assert_eq!(listener.heard(told.len()), told);
            context.destroy(open.as_os_str()).unwrap();
            told.push(format!("{} Destroyed", id(&open)));
            assert_eq!(listener.heard(told.len()), told);
            Reader::of_open(&file, 0, 5000).assert_got(&Content::of(b"a").bytes(0, 5000));
            // What becomes of another provider changes nothing.
            let other = context.register(Arc::new(Answers::default()), ProviderOptions::default());
            publish_and_leave(&context, &other.unwrap());
            assert_eq!(gauge(&session, "opens"), 1);
            drop(file);
            told.push(format!("{} Released", id(&open)));
            assert_eq!(listener.heard(told.len()), told);
            // All there is to hear comes before the end of this one: nothing came twice.
            context.destroy(last.as_os_str()).unwrap();
            told.extend(["Destroyed", "Released"].map(|event| format!("{} {event}", id(&last))));
            assert_eq!(listener.heard(told.len()), told);
            await_zero(&session, &["promises", "nodes", "image_bytes", "opens"]);
            provider.unregister();
            assert_eq!(listener.heard(told.len()), told);
            await_zero(&session, &OF_PROMISES);
        }
    }

    /// > Any program of the session can destroy any promise.
    fn fpctl_destroys_what_others_have_published_and_says_so(session) {
        let (mut one, mut another) = (session.provider(), session.provider());
        let tree = Tree::new().file("a", 10);
        let promises = [&mut one, &mut another].map(|provider| provider.publish(&tree));
        let (first, second) = (promises[0].id(), &promises[1].path);
        let inside = promises[0].join("a");
        let (inside, second) = (inside.to_str().unwrap(), second.to_str().unwrap());
        let words = ["destroy", "promise-99", inside, &first, "./", second, &first];
        let mut command = session.command("fpctl");
        let ran = run(command.args(words).current_dir(session.mount()));
        let lines = promises.each_ref().map(|it| format!("destroyed promise={}\n", it.id()));
        assert_eq!(ran.out, lines.concat());
        let complaints: Vec<&str> = ran.err.lines().collect();
        for (complaint, said) in complaints.iter().zip([
            "promise-99",
            "names no promise, but something inside",
            "names no promise",
            &first,
        ]) {
            assert!(complaint.starts_with("fpctl: ") && complaint.contains(said), "{complaint}");
        }
        // The first failure decides.
        assert_eq!((ran.code, complaints.len()), (NOT_FOUND, 4), "{}", ran.err);
        let refused = session.fpctl(&["destroy", inside, "promise-99"]);
        assert_eq!(refused.code, INVALID_ARGUMENT);
        // A path as a shell completes it.
        let third = one.publish(&tree);
        let mut command = session.command("fpctl");
        command.args(["destroy", &format!("{}/", third.id())]);
        let ran = run(command.current_dir(session.mount()));
        assert_eq!(ran.ok(), format!("destroyed promise={}\n", third.id()));
    }

    fn a_destroyed_promise_is_as_gone_for_its_reader_as_for_others(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 300_000));
        provider.answer(None, Answer::Hang);
        let waiting = Reader::of(&promise.join("a"), 0, 300_000);
        provider.await_hung(1);
        destroy(&session, &promise.id(), &promise.id());
        assert_eq!((gauge(&session, "promises"), gauge(&session, "opens")), (0, 1));
        assert!(waiting.waits());
        provider.release();
        waiting.assert_got(&Content::of(b"a").bytes(0, 300_000));
        await_zero(&session, &["opens", "image_bytes"]);
        wait_until("the reads' end", || provider.counters().hung == 0);
    }

    fn destroy_without_a_daemon_starts_none(session) {
        session.stop_daemon();
        assert_eq!(session.fpctl(&["destroy", "promise-1"]).code, UNAVAILABLE);
        assert!(!session.is_mounted());
    }
}

/// A provider that comes and goes with a promise of its own.
fn publish_and_leave(context: &Context, provider: &Provider) {
    let promise = publish(context, provider);
    assert!(promise.join("a").exists());
    provider.unregister();
    assert!(!promise.exists());
}
