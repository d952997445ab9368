//! How sessions begin, misbehave and end.

mod support;

use std::time::Duration;

use fuse_promise_core::ids::{Inode, Token};
use fuse_promise_core::status::Status;
use fuse_promise_core::words::{NodeState, ProviderState};
use fuse_promise_engine::{Client, CommitOptions, EngineEvent, ProviderConfig};
use fuse_promise_wire::{SessionEvent, ToDaemon, ToProvider};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use support::{FakeProvider, HANG, Rig, Told, bytes, node};

const EIO: i32 = Errno::IO.raw_os_error();
const ETIMEDOUT: i32 = Errno::TIMEDOUT.raw_os_error();

/// Waited for by some tests, and long enough that a busy machine answers within it in the same
/// tests.
const TIMEOUT: Duration = Duration::from_secs(3);

fn impatient() -> Rig {
    Rig::with(|options| options.read_timeout = TIMEOUT)
}

#[test]
fn a_closed_channel_fails_its_reads_at_once_and_marks_the_promises() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 30)]);
    let inode = node(promise, 1);
    rig.engine.open(inode, false).unwrap();
    let readers: Vec<_> = (0..40).map(|n| rig.read(inode, n << 20, 1 << 20)).collect();
    let number = provider.number;
    rig.events();
    drop(provider);
    for reader in readers {
        assert_eq!(reader.answer(), Err(EIO));
    }
    rig.assert_idle();
    assert_eq!(
        rig.told.recv_timeout(HANG).unwrap(),
        Told::PagesStale(inode)
    );
    assert_eq!(
        rig.next_events(2),
        [
            EngineEvent::PromiseChanged(promise),
            EngineEvent::ProviderChanged(number)
        ]
    );
    let snapshot = rig.engine.promise(promise).unwrap();
    assert_eq!(snapshot.state, NodeState::ProviderGone);
    let snapshot = rig.engine.provider(number).unwrap();
    assert_eq!(snapshot.state, ProviderState::Disconnected);
    assert_eq!(rig.engine.open(inode, false), Err(EIO));
    assert_eq!(rig.read(inode, 0, 10).answer(), Err(EIO));
    assert_eq!(
        rig.engine.xattr(inode, b"user.fuse-promise.state"),
        Ok(b"provider-gone".to_vec())
    );
    // Names and attributes stay.
    assert_eq!(rig.engine.attr(inode).unwrap().size, 1 << 30);
}

#[test]
fn the_end_of_the_process_ends_the_session_though_the_channel_is_open() {
    let rig = Rig::new();
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let client = Client {
        pid: child.id(),
        uid: 0,
        program: "cat".into(),
        process: Some(pidfd_open(pid, PidfdFlags::empty()).unwrap()),
    };
    let provider = rig.provider_of(client, ProviderConfig::default());
    let promise = rig.commit(&provider, &[("a", 100)]);
    let reader = rig.read(node(promise, 1), 0, 10);
    provider.asked();
    child.kill().unwrap();
    assert_eq!(reader.answer(), Err(EIO));
    assert!(provider.is_closed());
    child.wait().unwrap();
}

#[test]
fn an_answer_sent_before_death_still_counts() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100)]);
    let reader = rig.read(node(promise, 1), 0, 10);
    let asked = provider.asked();
    provider.answer(&asked);
    drop(provider);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
}

#[test]
fn promises_of_a_lost_provider_go_after_the_lingering() {
    let rig = Rig::with(|options| options.linger = Duration::from_millis(1));
    let provider = rig.provider();
    let number = provider.number;
    let promise = rig.commit(&provider, &[("a", 100)]);
    drop(provider);
    let removed = EngineEvent::ProviderRemoved(number);
    let mut events = Vec::new();
    while !events.contains(&removed) {
        events.extend(rig.next_events(1));
    }
    let gauges = rig.engine.gauges();
    assert_eq!((gauges.promises, gauges.providers), (0, 0));
    // First what is inside, so that no answer of before brings a name back.
    for gone in [
        Told::EntryGone(node(promise, 0), "a".to_owned()),
        Told::EntryGone(Inode::ROOT, promise.id()),
    ] {
        assert_eq!(rig.told.recv_timeout(HANG).unwrap(), gone);
    }
    assert!(
        rig.engine
            .lookup(Inode::ROOT, promise.id().as_bytes())
            .is_err()
    );
    let last = [EngineEvent::PromiseRemoved(promise), removed];
    assert!(events.ends_with(&last), "{events:?}");
}

#[test]
fn unregister_takes_the_promises_out_and_fails_reads_of_open_files() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100)]);
    let inode = node(promise, 1);
    rig.engine.open(inode, false).unwrap();
    let waiting = rig.read(inode, 0, 10);
    rig.engine
        .unregister(provider.number, &provider.token)
        .unwrap();
    assert_eq!(waiting.answer(), Err(EIO));
    assert_eq!(rig.engine.promises(), []);
    assert_eq!(rig.read(inode, 0, 10).answer(), Err(EIO));
    rig.engine.release(inode, 0);
    let gauges = rig.engine.gauges();
    assert_eq!((gauges.image_bytes, gauges.opens), (0, 0), "{gauges:?}");
    let again = rig.engine.unregister(provider.number, &provider.token);
    assert_eq!(again.unwrap_err().status, Status::NotFound);
}

#[test]
fn only_the_session_secret_commits_and_unregisters() {
    let rig = Rig::new();
    let (mine, other) = (rig.provider(), rig.provider());
    let forged = FakeProvider {
        token: Token([0; 32]),
        ..mine
    };
    for token in [Token([0; 32]), other.token] {
        let refused = rig.engine.unregister(forged.number, &token).unwrap_err();
        assert_eq!(refused.status, Status::Permission);
    }
    let refused = rig.try_commit(&forged, &[("a", 1)], CommitOptions::default());
    assert_eq!(refused.unwrap_err().status, Status::Permission);
    assert_eq!(rig.engine.promises(), []);
}

#[test]
fn destroy_unlists_at_once_and_goes_on_serving_open_files() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 100)]);
    let inode = node(promise, 1);
    rig.engine.open(inode, false).unwrap();
    rig.engine.destroy(promise).unwrap();
    // Told before destroy returned, the promise's own name last.
    let told: Vec<Told> = rig.told.try_iter().collect();
    let inside = Told::EntryGone(node(promise, 0), "a".to_owned());
    let (own, before) = told.split_last().unwrap();
    assert!(before.contains(&inside), "{told:?}");
    assert_eq!(*own, Told::EntryGone(Inode::ROOT, promise.id()));
    assert!(rig.engine.lookup(node(promise, 0), b"a").is_err());
    assert!(
        rig.engine
            .lookup(Inode::ROOT, promise.id().as_bytes())
            .is_err()
    );
    assert_eq!(rig.engine.totals().promises, 0);
    let told = provider.frame();
    assert!(
        matches!(told, ToProvider::Event { event: SessionEvent::Destroyed, promise: p, .. } if p == promise.0),
        "{told:?}"
    );
    let reader = rig.read(inode, 0, 10);
    let asked = provider.asked();
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
    assert_eq!(
        rig.engine.destroy(promise).unwrap_err().status,
        Status::NotFound
    );
    rig.engine.release(inode, 0);
    let told = provider.frame();
    assert!(
        matches!(told, ToProvider::Event { event: SessionEvent::Released, promise: p, .. } if p == promise.0),
        "{told:?}"
    );
    assert_eq!(rig.engine.gauges().image_bytes, 0);
}

#[test]
fn a_late_answer_reaches_nobody_and_frees_its_slot() {
    let rig = impatient();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let late = rig.read(node(promise, 1), 0, 100);
    let first = provider.asked();
    assert_eq!(late.answer(), Err(ETIMEDOUT));
    let cancel = provider.frame();
    assert!(matches!(cancel, ToProvider::Cancel { request } if request == first.request));
    // The request still owns its slot.
    assert_eq!(rig.engine.gauges().slots_in_use, 1);
    let reader = rig.read(node(promise, 1), 500, 100);
    let second = provider.asked();
    assert_ne!(second.slot, first.slot);
    provider.answer(&first);
    provider.answer(&second);
    assert_eq!(reader.answer(), Ok(bytes(1, 500, 100)));
    rig.assert_idle();
    assert_eq!(rig.engine.gauges().late_replies, 1);
}

#[test]
fn a_late_write_after_a_timeout_is_in_nobody_elses_answer() {
    let rig = impatient();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let late = rig.read(node(promise, 1), 0, 100);
    let first = provider.asked();
    assert_eq!(late.answer(), Err(ETIMEDOUT));
    let reader = rig.read(node(promise, 1), 500, 100);
    let second = loop {
        if let ToProvider::Read(read) = provider.frame() {
            break read;
        }
    };
    provider.write(&second, 100);
    // The hung callback wakes up now, between the write and the Done of another.
    provider.write(&first, 100);
    provider.done(&second, Status::Ok.code(), 100);
    assert_eq!(reader.answer(), Ok(bytes(1, 500, 100)));
}

#[test]
fn any_sign_of_life_restarts_the_deadline() {
    let rig = impatient();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let slow = rig.read(node(promise, 1), 0, 100);
    let slow_asked = provider.asked();
    // Twice the deadline passes while the provider answers other reads.
    let begin = std::time::Instant::now();
    while begin.elapsed() < 2 * TIMEOUT {
        let quick = rig.read(node(promise, 1), 500, 10);
        let asked = provider.asked();
        provider.answer(&asked);
        assert_eq!(quick.answer(), Ok(bytes(1, 500, 10)));
    }
    assert!(slow.peek().is_none());
    provider.answer(&slow_asked);
    assert_eq!(slow.answer(), Ok(bytes(1, 0, 100)));
}

#[test]
fn a_hung_provider_delays_no_other() {
    let rig = Rig::new();
    let (hung, good) = (rig.provider(), rig.provider());
    let stuck = rig.commit(&hung, &[("a", 1 << 30)]);
    let served = rig.commit(&good, &[("a", 1 << 20)]);
    let waiting: Vec<_> = (0..500u64)
        .map(|n| rig.read(node(stuck, 1), n << 20, 1 << 20))
        .collect();
    for round in 0..1000 {
        let reader = rig.read(node(served, 1), round, 10);
        let asked = good.asked();
        good.answer(&asked);
        assert_eq!(reader.answer(), Ok(bytes(1, round, 10)));
    }
    assert!(waiting.iter().all(|reader| reader.peek().is_none()));
}

#[test]
fn what_is_no_honest_answer_closes_that_session_only() {
    type Misdeed = fn(&FakeProvider, &fuse_promise_wire::ReadFrame);
    let misdeeds: &[(&str, Misdeed)] = &[
        ("unknown request", |provider, read| {
            provider.done(
                &fuse_promise_wire::ReadFrame {
                    request: 77 << 32,
                    ..*read
                },
                0,
                1,
            )
        }),
        ("too long", |provider, read| {
            provider.done(read, 0, read.length + 1)
        }),
        ("undefined status", |provider, read| {
            provider.done(read, 11, 0)
        }),
        ("answered twice", |provider, read| {
            provider.answer(read);
            provider.answer(read);
        }),
        ("half a frame", |provider, _| provider.send_bytes(&[0; 32])),
        ("too long a packet", |provider, _| {
            provider.send_bytes(&[0; 65])
        }),
        ("an unknown kind", |provider, _| {
            provider.send_bytes(&[0xff; 64])
        }),
        ("another protocol", |provider, _| {
            provider.send(&ToDaemon::Hello { protocol: 999 })
        }),
    ];
    for (what, misdeed) in misdeeds {
        let rig = Rig::new();
        let (bad, good) = (rig.provider(), rig.provider());
        let theirs = rig.commit(&bad, &[("a", 1 << 20)]);
        let ours = rig.commit(&good, &[("a", 1 << 20)]);
        let victim = rig.read(node(theirs, 1), 0, 100);
        let asked = bad.asked();
        let second = rig.read(node(theirs, 1), 200, 100);
        bad.asked();
        misdeed(&bad, &asked);
        assert_eq!(second.answer(), Err(EIO), "{what}");
        victim.answer().ok();
        assert!(bad.is_closed(), "{what}");
        let reader = rig.read(node(ours, 1), 0, 10);
        good.answer(&good.asked());
        assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)), "{what}");
        rig.assert_idle();
        assert_eq!(rig.engine.gauges().faulty_sessions, 1, "{what}");
    }
}

#[test]
fn an_answer_of_an_earlier_epoch_is_dropped() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 0, 100);
    let asked = provider.asked();
    let earlier = fuse_promise_wire::ReadFrame {
        epoch: asked.epoch.wrapping_sub(1),
        ..asked
    };
    provider.done(&earlier, 0, 100);
    provider.answer(&asked);
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 100)));
}

#[test]
fn a_frame_before_hello_is_refused() {
    let rig = Rig::new();
    let client = Client {
        pid: 1,
        uid: 0,
        program: "rude".into(),
        process: None,
    };
    let registration = rig
        .engine
        .register(client, ProviderConfig::default())
        .unwrap();
    let channel = fuse_promise_wire::Channel::from_fd(registration.channel).unwrap();
    let frame = ToDaemon::Alive {
        request: 1,
        epoch: 1,
    }
    .encode();
    channel.send(&frame).unwrap();
    rig.settle("not closed", |gauges| gauges.faulty_sessions == 1);
}

#[test]
fn impossible_settings_are_refused() {
    let rig = Rig::new();
    let limit = fuse_promise_core::limits::CONCURRENT_READS_MAX;
    for concurrent in [0, limit + 1] {
        let config = ProviderConfig {
            max_concurrent_reads: concurrent,
            ..ProviderConfig::default()
        };
        let client = Client {
            pid: 1,
            uid: 0,
            program: "x".into(),
            process: None,
        };
        let refused = rig.engine.register(client, config).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        assert!(
            refused.message.contains(&concurrent.to_string()),
            "{refused}"
        );
    }
}

#[test]
fn stop_answers_what_is_in_flight() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 0, 100);
    provider.asked();
    rig.engine.stop();
    assert_eq!(reader.answer(), Err(EIO));
    assert!(provider.is_closed());
}

#[test]
fn pages_of_idle_slots_are_given_back() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 20)]);
    let reader = rig.read(node(promise, 1), 0, 1 << 20);
    let asked = provider.asked();
    provider.answer(&asked);
    reader.answer().unwrap();
    let resident = || rustix::fs::fstat(&provider.arena).unwrap().st_blocks * 512;
    assert!(resident() >= 1 << 20);
    let end = std::time::Instant::now() + HANG;
    // What stays are words of the rings.
    while resident() > 16 << 10 {
        assert!(std::time::Instant::now() < end, "{} bytes stay", resident());
        std::thread::yield_now();
    }
}

#[test]
fn a_commit_that_is_sent_again_happens_once() {
    let rig = Rig::new();
    let provider = rig.provider();
    let commit = |commit_id| {
        let options = CommitOptions {
            commit_id,
            ..CommitOptions::default()
        };
        rig.try_commit(&provider, &[("a", 1)], options).unwrap()
    };
    let first = commit(77);
    assert_eq!(commit(77), first);
    assert_ne!(commit(78), first);
    assert_ne!(commit(0), commit(0));
    assert_eq!(rig.engine.promises().len(), 4);
    let into_nothing = CommitOptions {
        commit_id: 77,
        path_capacity: Some(0),
        ..CommitOptions::default()
    };
    let refused = rig.try_commit(&provider, &[("a", 1)], into_nothing);
    assert_eq!(refused.unwrap_err().status, Status::InvalidArgument);
}

#[test]
fn a_lost_provider_can_still_be_unregistered() {
    let rig = Rig::new();
    let provider = rig.provider();
    rig.commit(&provider, &[("a", 1)]);
    let (number, token) = (provider.number, provider.token);
    drop(provider);
    rig.settle("not noticed", |_| {
        let now = rig.engine.provider(number).unwrap();
        now.state == ProviderState::Disconnected
    });
    rig.engine.unregister(number, &token).unwrap();
    assert_eq!(
        (rig.engine.promises(), rig.engine.providers()),
        (vec![], vec![])
    );
}
