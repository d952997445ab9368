//! The whole way, with a bus and a daemon of the test's own.

use fuse_promise_wire::PROTOCOL_VERSION;

use super::*;
use crate::fake_bus::{Activates, Facts, FakeBus, FakeUnit};
use crate::fake_daemon::{FakeDaemon, Place};
use crate::runner::{Runner, run};
use crate::test_support::GUARD;

/// What the way led to.
#[derive(Debug, PartialEq, Eq)]
enum Reached {
    Bus,
    Socket,
    Nothing,
    Refused(Status),
}

fn reach(place: &Place, bus: Option<&FakeBus>, start: Start, limit: Duration) -> Reached {
    match connect_through(place, bus, start, limit) {
        Ok(Some(daemon)) if daemon.is_on_bus() => Reached::Bus,
        Ok(Some(_)) => Reached::Socket,
        Ok(None) => Reached::Nothing,
        Err(failure) => Reached::Refused(failure.status),
    }
}

fn connect_through(
    place: &Place,
    bus: Option<&FakeBus>,
    start: Start,
    limit: Duration,
) -> Result<Option<Daemon>, Failure> {
    let site = Site {
        directory: Directory::Session,
        bus: bus.map_or_else(Vec::new, FakeBus::addresses),
        limit,
        ..place.site()
    };
    let runner = Runner::start()?;
    run(runner.handle(), async move {
        within(GUARD, connect(&site, start))
            .await
            .expect("it hangs")
    })
}

/// Long enough for every local answer, short where one never comes.
const LIMIT: Duration = Duration::from_secs(4);

#[test]
fn a_running_daemon_on_the_bus_is_reached_there() {
    let place = Place::new();
    let _lock = place.lock();
    let bus = FakeBus::start(Facts::of(&place));
    for start in [Start::Never, Start::IfNeeded] {
        assert_eq!(reach(&place, Some(&bus), start, LIMIT), Reached::Bus);
    }
    assert_eq!(bus.starts(), 0);
}

#[test]
fn a_running_daemon_that_the_bus_does_not_know_is_reached_by_its_socket() {
    let place = Place::new();
    let _daemon = FakeDaemon::start(&place);
    let known = Facts::of(&place);
    let elsewhere = Place::new();
    for facts in [
        Facts {
            owned: false,
            ..known.clone()
        },
        Facts {
            serves: elsewhere.path().to_owned(),
            ..known.clone()
        },
        Facts {
            owner_uid: known.owner_uid + 1,
            ..known.clone()
        },
        Facts {
            protocol: PROTOCOL_VERSION + 1,
            ..known.clone()
        },
    ] {
        let bus = FakeBus::start(facts);
        let reached = reach(&place, Some(&bus), Start::IfNeeded, LIMIT);
        assert_eq!(reached, Reached::Socket);
        assert_eq!(bus.starts(), 0);
    }
    assert_eq!(reach(&place, None, Start::Never, LIMIT), Reached::Socket);
}

#[test]
fn a_bus_that_says_nothing_does_not_hide_the_socket() {
    let place = Place::new();
    let _daemon = FakeDaemon::start(&place);
    let _silent = std::os::unix::net::UnixListener::bind(place.path().join("bus")).unwrap();
    let site = Site {
        directory: Directory::Session,
        bus: vec![BusAddress::Path(place.path().join("bus"))],
        limit: Duration::from_millis(400),
        ..place.site()
    };
    let runner = Runner::start().unwrap();
    let reached = run(runner.handle(), async move {
        let connected = connect(&site, Start::IfNeeded);
        within(GUARD, connected).await.expect("it hangs")
    });
    assert!(!reached.unwrap().unwrap().is_on_bus());
}

#[test]
fn a_daemon_that_does_not_run_is_started_by_the_bus() {
    let place = Place::new();
    let bus = FakeBus::start(Facts {
        owned: false,
        activates: Activates::Succeeds,
        ..Facts::of(&place)
    });
    assert_eq!(
        reach(&place, Some(&bus), Start::Never, LIMIT),
        Reached::Nothing
    );
    assert_eq!(bus.starts(), 0);
    assert_eq!(
        reach(&place, Some(&bus), Start::IfNeeded, LIMIT),
        Reached::Bus
    );
    assert_eq!(bus.starts(), 1);
}

#[test]
fn a_bus_that_starts_the_daemon_of_another_directory_is_no_help() {
    let place = Place::new();
    let elsewhere = Place::new();
    let bus = FakeBus::start(Facts {
        activates: Activates::Succeeds,
        serves: elsewhere.path().to_owned(),
        ..Facts::of(&place)
    });
    let failure = connect_through(&place, Some(&bus), Start::IfNeeded, LIMIT)
        .err()
        .unwrap();
    assert_eq!(failure.status, Status::Unavailable);
    for path in [place.path(), elsewhere.path()] {
        assert!(
            failure.message.contains(path.to_str().unwrap()),
            "{failure}"
        );
    }
}

#[test]
fn where_the_bus_cannot_start_it_the_socket_may() {
    for activates in [Activates::Unknown, Activates::Refuses] {
        let place = Place::new();
        let bus = FakeBus::start(Facts {
            owned: false,
            activates,
            ..Facts::of(&place)
        });
        let reached = reach(&place, Some(&bus), Start::IfNeeded, LIMIT);
        assert_eq!(reached, Reached::Refused(Status::Unavailable));

        // As systemd does: it listens, and the daemon that it starts takes the lock later.
        let daemon = FakeDaemon::unlocked(&place);
        let reached = reach(&place, Some(&bus), Start::IfNeeded, LIMIT);
        assert_eq!(reached, Reached::Socket);
        assert_eq!(daemon.connections(), 1);
    }
}

#[test]
fn a_unit_that_fails_is_told_with_its_result_long_before_the_bus_gives_up() {
    let place = Place::new();
    // The socket would only start the same unit.
    let daemon = FakeDaemon::unlocked(&place);
    let bus = FakeBus::start(Facts {
        owned: false,
        activates: Activates::Never,
        unit: Some(FakeUnit {
            active: "failed",
            is_started: true,
            can_start: true,
        }),
        ..Facts::of(&place)
    });
    let failure = connect_through(&place, Some(&bus), Start::IfNeeded, GUARD)
        .err()
        .unwrap();
    assert_eq!(failure.status, Status::Unavailable);
    for part in ["failed", "exit-code", place.path().to_str().unwrap()] {
        assert!(failure.message.contains(part), "{failure}");
    }
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn where_the_bus_waits_for_an_earlier_start_systemd_is_asked_for_another() {
    for (active, can_start, reached) in [
        ("failed", true, Reached::Bus),
        ("inactive", true, Reached::Bus),
        ("failed", false, Reached::Socket),
    ] {
        let place = Place::new();
        let _daemon = FakeDaemon::unlocked(&place);
        let bus = FakeBus::start(Facts {
            owned: false,
            activates: Activates::Never,
            unit: Some(FakeUnit {
                active,
                is_started: false,
                can_start,
            }),
            ..Facts::of(&place)
        });
        let found = reach(&place, Some(&bus), Start::IfNeeded, GUARD);
        assert_eq!(found, reached, "{active} {can_start}");
    }
}

#[test]
fn a_start_that_never_ends_is_given_up_with_what_is_known_of_the_unit() {
    let activating = FakeUnit {
        active: "activating",
        is_started: true,
        can_start: true,
    };
    for (unit, told) in [(Some(activating), "activating"), (None, "did not answer")] {
        let place = Place::new();
        let bus = FakeBus::start(Facts {
            owned: false,
            activates: Activates::Never,
            unit,
            ..Facts::of(&place)
        });
        let failure = connect_through(&place, Some(&bus), Start::IfNeeded, LIMIT)
            .err()
            .unwrap();
        assert_eq!(failure.status, Status::Unavailable);
        assert!(failure.message.contains(told), "{failure}");
    }
}

#[test]
fn another_version_on_the_bus_is_told_where_there_is_nothing_else() {
    let place = Place::new();
    let bus = FakeBus::start(Facts {
        protocol: PROTOCOL_VERSION + 41,
        activates: Activates::Succeeds,
        ..Facts::of(&place)
    });
    let failure = connect_through(&place, Some(&bus), Start::IfNeeded, LIMIT)
        .err()
        .unwrap();
    assert_eq!(failure.status, Status::VersionMismatch);
}
