//! The frame the other system tests stand on: a private `systemd --user`
//! with a session bus, a bus alone, and nothing left afterwards.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use fuse_promise_testkit::process::of_session;
use fuse_promise_testkit::{Session, Shape, mounts};

/// A unit of the session's own is found, started and stopped.
#[test]
fn a_private_service_manager_starts_and_stops_a_unit() {
    let mut session = Session::idle(Shape::Systemd);
    let told = session.runtime_dir().join("told");
    let manager = session.systemd();
    manager.write_unit(
        "tell.service",
        // A start that has returned means that this has been said.
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh -c 'echo $XDG_RUNTIME_DIR >%t/told'\n",
    );
    manager.systemctl(&["start", "tell.service"]).ok();
    assert_eq!(manager.property("tell.service", "ActiveState"), "active");
    manager.systemctl(&["stop", "tell.service"]).ok();
    assert_eq!(manager.property("tell.service", "ActiveState"), "inactive");
    let runtime = std::fs::read_to_string(told).unwrap();
    assert_eq!(runtime.trim_end(), session.runtime_dir().to_str().unwrap());
}

/// A call to a name that a unit owns starts the unit by the bus.
#[test]
fn a_private_bus_answers_and_reads_its_configuration_again() {
    let mut session = Session::idle(Shape::Systemd);
    let services = session.dirs().bus_services();
    let manager = session.systemd();
    std::fs::write(
        services.join("org.example.Late.service"),
        "[D-BUS Service]\nName=org.example.Late\nExec=/bin/false\n",
    )
    .unwrap();
    manager.reload_bus();
    let names = manager
        .busctl(&["list", "--activatable", "--no-legend"])
        .ok();
    assert!(names.contains("org.example.Late"), "{names}");
}

#[test]
fn a_bus_without_a_service_manager_answers() {
    let session = Session::idle(Shape::BareBus);
    let names = session
        .run("busctl", &["--user", "list", "--no-legend"])
        .ok();
    assert!(names.contains("org.freedesktop.DBus"), "{names}");
}

/// Every shape ends without a process, mount or file of its own.
#[test]
fn nothing_is_left_of_a_session() {
    for shape in [Shape::Private, Shape::Systemd, Shape::BareBus] {
        let session = Session::idle(shape);
        let root = session.dirs().root().to_owned();
        let mut stray = session
            .command("sh")
            .args(["-c", "echo started; exec sleep infinity"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(stray.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        drop(session);
        assert_eq!(of_session(&root), [], "{shape:?}");
        assert!(mounts::beneath(&root).is_empty(), "{shape:?}");
        assert!(!root.exists(), "{shape:?}");
        // It was killed with its session.
        assert_eq!(stray.wait().unwrap().code(), None, "{shape:?}");
    }
}
