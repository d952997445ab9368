//! `fpctl inspect`: what it says of a node as things happen to it.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuse_promise_core::record::Record;
use fuse_promise_core::status::Status;
use fuse_promise_testkit::process::{Ran, run};
use fuse_promise_testkit::{Answer, ProviderProcess, Session, Tree, both_shapes, programs};
use rustix::io::Errno;
use support::balance::await_reads;
use support::copying::{copy, target};
use support::reader::Reader;
use support::{SHAPES, errno, wait_for_state, wait_until};

/// Of times and numbers of what is shown: they are text.
type Facts = BTreeMap<String, String>;

fn run_inspect(session: &Session, arguments: &[&Path]) -> Ran {
    let mut command = session.command(programs::program("fpctl"));
    command.arg("inspect").args(arguments);
    run(&mut command)
}

/// What the lines of one node say.
fn facts(lines: &str) -> Facts {
    let lines = lines.lines().filter(|line| !line.is_empty());
    let record = |line| Record::parse(line).expect("key=value");
    let field = |line| {
        let record: Record = record(line);
        let (key, value) = record.fields().next().expect("a field");
        (key.to_owned(), String::from_utf8_lossy(value).into_owned())
    };
    lines.map(field).collect()
}

#[track_caller]
fn inspect(session: &Session, path: &Path) -> Facts {
    facts(&run_inspect(session, &[path]).ok())
}

#[track_caller]
fn assert_facts(facts: &Facts, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        let found = facts.get(*key).map(String::as_str);
        assert_eq!(found, Some(*value), "{key} in {facts:?}");
    }
}

/// The time now, as it is shown to the second.
fn shown_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut date = std::process::Command::new("date");
    date.arg("-u").arg(format!("--date=@{}", since.as_secs()));
    let shown = run(date.arg("+%Y-%m-%dT%H:%M:%S")).ok();
    shown.trim_end().to_owned()
}

/// The last error of a file, of which 4096 bytes at 8192 were read since `began`.
#[track_caller]
fn assert_last_error(session: &Session, path: &Path, began: &str, status: Status, why: &str) {
    let facts = inspect(session, path);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_facts(&facts, &[("promise_last_error_path", name)]);
    for of in ["", "promise_"] {
        let key = |rest: &str| format!("{of}last_error{rest}");
        assert_eq!(facts[&key("")], status.text());
        assert_eq!(facts[&key("_reason")], why);
        assert_eq!(facts[&key("_offset")], "8192");
        assert_eq!(facts[&key("_length")], "4096");
        // Times that are written alike are in order when their text is.
        let time = &facts[&key("_time")];
        assert!(
            time.as_str() >= began && *time < format!("{}Z", shown_now()),
            "{time}"
        );
    }
}

both_shapes! {
    fn inspect_shows_a_node_and_who_serves_it(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a b", 5000).file("c", 7));
        let shown = run_inspect(&session, &[&promise.join("dir/a b")]).ok();
        let begins = "promise=promise-1\npath=dir/a\\x20b\n";
        assert!(shown.starts_with(begins), "{shown}");
        let node = facts(&shown);
        let pid = provider.process().pid().to_string();
        let inode = rustix::fs::stat(promise.join("dir/a b")).unwrap().st_ino.to_string();
        assert_facts(&node, &[
            ("inode", &inode),
            ("kind", "file"),
            ("size", "5000"),
            ("mode", "644"),
            ("mtime", "2001-09-09T01:46:40.123456789Z"),
            ("provider_node", "dir/a b"),
            ("provider", "1"),
            ("provider_pid", &pid),
            ("provider_state", "live"),
            ("state", "available"),
            ("cache_policy", "no-cache"),
            ("opens", "0"),
            ("errors", "0"),
        ]);
        assert!(node["provider_program"].ends_with("test-provider"), "{node:?}");
        assert!(!node.keys().any(|key| key.contains("last_error")), "{node:?}");
        assert_facts(&inspect(&session, &promise.join("dir/")), &[("kind", "directory")]);
        assert_facts(&inspect(&session, &promise.path), &[("path", ""), ("provider_node", "")]);
        provider.kill();
        wait_for_state(&promise.path, "provider-gone");
        let wanted = [("state", "provider-gone"), ("provider_state", "disconnected")];
        assert_facts(&inspect(&session, &promise.join("c")), &wanted);
    }

    fn inspect_shows_what_a_provider_refused(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 100_000).file("b", 100_000));
        provider.answer(Some("a"), Answer::Refuse(Status::Permission));
        let began = shown_now();
        for count in 1..3 {
            let outcome = Reader::of(&promise.join("a"), 8192, 4096).outcome();
            assert_eq!(outcome, Err(Errno::ACCESS));
            let why = "provider 1 refused the read: permission denied";
            assert_last_error(&session, &promise.join("a"), &began, Status::Permission, why);
            let errors = count.to_string();
            let wanted = [("errors", errors.as_str()), ("promise_errors", &errors)];
            assert_facts(&inspect(&session, &promise.join("a")), &wanted);
        }
        let other = inspect(&session, &promise.join("b"));
        assert_facts(&other, &[("errors", "0"), ("promise_last_error_path", "a")]);
        assert!(!other.contains_key("last_error"), "{other:?}");
    }

    fn inspect_shows_that_a_provider_was_too_slow_and_that_it_died(session) {
        let mut provider = ProviderProcess::launch(&session, None);
        provider.register(&[("read_timeout_ms", "1000")]).unwrap();
        let promise = provider.publish(&Tree::new().file("a", 100_000));
        let path = promise.join("a");
        provider.answer(None, Answer::Hang);
        let began = shown_now();
        let outcome = Reader::of(&path, 8192, 4096).outcome();
        assert_eq!(outcome, Err(Errno::TIMEDOUT));
        let why = "provider 1 did not answer a read in time";
        assert_last_error(&session, &path, &began, Status::Timeout, why);
        assert!(session.daemon_log().contains(why), "it is logged in the same words");
        // One that waits while it dies, behind the one that is still owed.
        let reader = Reader::of(&path, 8192, 4096);
        await_reads(&session, 2);
        provider.kill();
        assert_eq!(reader.outcome(), Err(Errno::IO));
        wait_for_state(&path, "provider-gone");
        let facts = inspect(&session, &path);
        assert_facts(&facts, &[("errors", "2"), ("last_error", Status::ProviderGone.text())]);
        let reason = &facts["last_error_reason"];
        assert!(reason.ends_with("before it answered"), "{reason}");
        // One that comes afterwards is refused when it opens the file.
        assert_eq!(errno(File::open(&path)), Some(Errno::IO));
        let facts = inspect(&session, &path);
        assert_facts(&facts, &[("errors", "3"), ("last_error_reason", "provider 1 is gone")]);
        assert!(!facts.contains_key("last_error_length"), "{facts:?}");
    }

    fn inspect_takes_relative_paths_and_links(session) {
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("dir/7", 5000));
        let place = target(&session);
        let node = session.promised("promise-1/dir/7");
        symlink(&node, place.join("link")).unwrap();
        symlink(session.promised("promise-1"), place.join("folder")).unwrap();
        symlink("link", place.join("again")).unwrap();
        for path in ["link", "again", "folder/dir/7", "./../target/link", "folder/dir/7/"] {
            let mut command = session.command(programs::program("fpctl"));
            command.current_dir(&place).args(["inspect", path]);
            assert_facts(&facts(&run(&mut command).ok()), &[("path", "dir/7")]);
        }
        let mut command = session.command(programs::program("fpctl"));
        command.current_dir(session.mount()).args(["inspect", "promise-1/dir/../dir"]);
        assert_facts(&facts(&run(&mut command).ok()), &[("path", "dir")]);
    }

    fn inspect_shows_or_names_each_path(session) {
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("dir/7", 5000));
        let node = session.promised("promise-1/dir/7");
        let (none, mount) = (session.promised("promise-1/none"), session.mount());
        let arguments: [&Path; 4] = [&node, &none, &mount, &node];
        let ran = run_inspect(&session, &arguments);
        let shown = ran.out.clone();
        let said = ran.fails_with(14);
        let said: Vec<_> = said.lines().collect();
        assert!(said.len() == 2 && said[0].contains("none"), "{said:?}");
        assert!(said[1].contains("root of the mount"), "{said:?}");
        let nodes: Vec<_> = shown.split("\n\n").map(facts).collect();
        assert!(nodes.len() == 2 && nodes[0] == nodes[1], "{shown}");
        let elsewhere = run_inspect(&session, &[Path::new("/etc/passwd")]).fails_with(11);
        assert!(elsewhere.contains(mount.to_str().unwrap()), "{elsewhere}");
        // The same as JSON, which another program reads.
        let json: [&Path; 3] = [Path::new("--json"), &node, &session.promised("promise-1")];
        let json = run_inspect(&session, &json).ok();
        assert_eq!(json.lines().count(), 2, "{json}");
        let file = target(&session).join("json");
        fs::write(&file, json).unwrap();
        let script = "import json,sys; print([(n['path'], n['size'], n['opens']) \
                      for n in map(json.loads, open(sys.argv[1]))])";
        let read = session.run("python3", &["-c", script, file.to_str().unwrap()]).ok();
        assert_eq!(read, "[('dir/7', 5000, 0), ('', 0, 0)]\n");
    }
}

/// Held bytes, opens and counters follow what programs do.
#[test]
fn what_inspect_shows_changes_with_what_happens() {
    const SIZE: u64 = 300_000;
    for shape in SHAPES {
        let session = Session::options(shape).flag("--cache=read-through").start();
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", SIZE).file("b", SIZE));
        let (a, dir) = (promise.join("dir/a"), promise.join("dir"));
        let number =
            |path: &PathBuf, key: &str| -> u64 { inspect(&session, path)[key].parse().unwrap() };
        assert_eq!(number(&a, "cached_bytes"), 0);
        let open = File::open(&a).unwrap();
        let again = File::open(&a).unwrap();
        assert_eq!((number(&a, "opens"), number(&dir, "opens")), (2, 0));
        drop((open, again));
        // The kernel closes a file in its own time.
        wait_until("the files being closed", || number(&a, "opens") == 0);
        fs::read(&a).unwrap();
        for path in [&a, &dir, &promise.path] {
            wait_until("the bytes being held", || {
                number(path, "cached_bytes") == SIZE
            });
        }
        let facts = inspect(&session, &a);
        let size = SIZE.to_string();
        let wanted = [
            ("state", "cached"),
            ("cache_policy", "read-through"),
            ("promise_served_bytes", size.as_str()),
            ("materialized_bytes", "0"),
            ("errors", "0"),
        ];
        assert_facts(&facts, &wanted);
        assert!(facts["promise_reads"] != "0");
        copy(&session, &[], &dir, &target(&session)).ok();
        for path in [&a, &dir, &promise.path] {
            assert_eq!(number(path, "materialized_bytes"), SIZE);
        }
        assert_facts(&inspect(&session, &a), &[("state", "materialized")]);
        assert_eq!(number(&promise.join("b"), "materialized_bytes"), 0);
    }
}

#[test]
fn inspect_starts_no_daemon_and_waits_for_no_provider() {
    for shape in SHAPES {
        let session = Session::idle(shape);
        let said = run_inspect(&session, &[&session.promised("promise-1")]).fails_with(12);
        assert!(said.contains("no fuse-promised runs"), "{said}");
        assert!(!session.is_mounted());
    }
    // A provider that answers nothing holds up nobody who asks about its files.
    let session = Session::start(SHAPES[0]);
    session.allow(Duration::from_secs(60));
    let mut provider = session.provider();
    let promise = provider.publish(&Tree::new().file("a", 100_000));
    provider.answer(None, Answer::Hang);
    let reader = Reader::of(&promise.join("a"), 0, 4096);
    provider.await_hung(1);
    let node = inspect(&session, &promise.join("a"));
    assert_facts(
        &node,
        &[("opens", "1"), ("errors", "0"), ("promise_reads", "0")],
    );
    assert!(reader.waits());
    provider.release();
    reader.outcome().unwrap();
    assert_facts(
        &inspect(&session, &promise.join("a")),
        &[("promise_reads", "1")],
    );
}
