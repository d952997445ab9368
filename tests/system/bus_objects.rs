//! What `busctl --user` shows of the session.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Session, Shape, Tree};

const NAME: &str = "io.github.fuse_promise.Private1";
const ROOT: &str = "/io/github/fuse_promise";

const BUSES: [Shape; 2] = [Shape::Systemd, Shape::BareBus];

fn busctl(session: &Session, words: &[&str]) -> String {
    let mut all = vec!["--user"];
    all.extend(words);
    session.run("busctl", &all).ok()
}

fn property(session: &Session, object: &str, interface: &str, name: &str) -> String {
    let (object, interface) = (format!("{ROOT}/{object}"), format!("{NAME}.{interface}"));
    let said = busctl(session, &["get-property", NAME, &object, &interface, name]);
    said.trim_end().to_owned()
}

#[test]
fn the_tree_shows_providers_and_promises_while_they_are_there() {
    for shape in BUSES {
        let session = Session::start(shape);
        let tree = |session: &Session| busctl(session, &["tree", "--list", NAME]);
        assert!(!tree(&session).contains("provider"));
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("a", 100));
        provider.publish(&Tree::new().file("b", 100));
        let shown = tree(&session);
        for object in ["", "/provider/1", "/promise/1", "/promise/2"] {
            let path = format!("{ROOT}{object}");
            assert!(shown.lines().any(|line| line == path), "{path} in {shown}");
        }
        provider.unregister();
        let shown = tree(&session);
        assert!(!shown.contains("/promise/"), "{shown}");
        assert!(!shown.contains("/provider/"), "{shown}");
    }
}

#[test]
fn introspection_names_each_interface_with_its_members() {
    let session = Session::start(Shape::Systemd);
    let mut provider = session.provider();
    provider.publish(&Tree::new().file("a", 100));
    let members = [
        (
            "",
            "Manager",
            ".RegisterProvider .Commit .List .Mount .MountPath .Gauges",
        ),
        (
            "/provider/1",
            "Provider",
            ".Unregister .GetImage .Invalidate .Pid .State .ServedBytes .Errors",
        ),
        (
            "/promise/1",
            "Promise",
            ".Destroy .Nodes .Path .State .Size",
        ),
    ];
    for (object, interface, members) in members {
        let shown = busctl(&session, &["introspect", NAME, &format!("{ROOT}{object}")]);
        let interface = format!("{NAME}.{interface}");
        assert!(shown.contains(&interface), "{interface} in {shown}");
        for member in members.split(' ') {
            let there = shown
                .lines()
                .any(|line| line.split(' ').next() == Some(member));
            assert!(there, "{member} in {shown}");
        }
        assert!(shown.contains("org.freedesktop.DBus.Properties"), "{shown}");
    }
    let shown = busctl(&session, &["introspect", NAME, ROOT]);
    assert!(
        shown.contains("org.freedesktop.DBus.ObjectManager"),
        "{shown}"
    );
}

#[test]
fn properties_tell_the_state_of_a_provider_and_its_promise() {
    for shape in BUSES {
        let session = Session::start(shape);
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 5000).file("b", 7));
        promise.check();
        let of_provider = |name| property(&session, "provider/1", "Provider", name);
        let pid = provider.process().pid();
        assert_eq!(of_provider("Pid"), format!("u {pid}"));
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(of_provider("Uid"), format!("u {uid}"));
        let program = of_provider("Program");
        assert!(program.ends_with("/test-provider\""), "{program}");
        assert_eq!(of_provider("State"), "s \"live\"");
        assert_eq!(of_provider("InFlight"), "u 0");
        assert_eq!(of_provider("ServedBytes"), "t 5007");
        assert_eq!(of_provider("Errors"), "t 0");
        assert_eq!(of_provider("Promises"), "u 1");
        let of_promise = |name| property(&session, "promise/1", "Promise", name);
        assert_eq!(of_promise("Id"), "s \"promise-1\"");
        assert_eq!(
            of_promise("Path"),
            format!("s \"{}\"", promise.path.display())
        );
        assert_eq!(of_promise("State"), "s \"available\"");
        assert_eq!(of_promise("Provider"), "t 1");
        assert_eq!(of_promise("Size"), "t 5007");
        assert_eq!(of_promise("Files"), "t 2");
        provider.kill();
        wait_for(
            &session,
            "promise/1",
            "Promise",
            "State",
            "s \"provider-gone\"",
        );
        assert_eq!(of_provider("State"), "s \"disconnected\"");
    }
}

/// A change that is announced; `busctl monitor` would tell it too, this asks
/// until the daemon has noticed.
fn wait_for(session: &Session, object: &str, interface: &str, name: &str, wanted: &str) {
    while property(session, object, interface, name) != wanted {
        std::thread::yield_now();
    }
}

#[test]
fn monitor_shows_each_change() {
    for shape in BUSES {
        let session = Session::start(shape);
        let mut command = session.command("busctl");
        command
            .args(["--user", "monitor", NAME])
            .stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut monitor = Process::spawn_piped(command, &session.dirs().log("monitor"));
        // It says that it listens before it shows anything.
        let mut words = BufReader::new(monitor.child().stderr.take().unwrap());
        words.read_line(&mut String::new()).unwrap();
        let mut shown = BufReader::new(monitor.child().stdout.take().unwrap());
        let mut wait_for = |wanted: &[&str]| {
            let mut message = String::new();
            while !wanted.iter().all(|word| message.contains(word)) {
                let mut line = String::new();
                assert_ne!(shown.read_line(&mut line).unwrap(), 0, "{wanted:?}");
                // A new message: what the one before said does not count.
                if line.contains("Type=") {
                    message.clear();
                }
                message.push_str(&line);
            }
        };
        let mut provider = session.provider();
        wait_for(&["InterfacesAdded", "/provider/1"]);
        provider.publish(&Tree::new().file("a", 100));
        wait_for(&["InterfacesAdded", "/promise/1"]);
        provider.kill();
        wait_for(&["PropertiesChanged", "disconnected"]);
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("a", 100));
        wait_for(&["InterfacesAdded", "/promise/2"]);
        provider.unregister();
        wait_for(&["InterfacesRemoved", "/promise/2"]);
    }
}
