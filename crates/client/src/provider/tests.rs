mod cached;
mod concurrent;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{OnceLock, Weak};
use std::time::Instant;

use fuse_promise_wire::clock::monotonic_nanoseconds;

use super::*;
use crate::builder::PromiseBuilder;
use crate::fake_daemon::{FakeDaemon, Manners, Place};
use crate::handler::ReadRequest;
use crate::test_support::{FILE, GUARD, Handler};

const ROOM: usize = 4096;

fn zeros() -> Arc<dyn ReadHandler> {
    Arc::new(Handler(|_: &ReadRequest<'_>, buffer: &mut [u8]| {
        buffer.fill(b'z');
        Ok(buffer.len())
    }))
}

fn builder(context: &Context, provider: &Provider) -> PromiseBuilder {
    let mut builder = PromiseBuilder::new(context, provider).unwrap();
    builder.add_file(b"file", FILE, b"id").unwrap();
    builder
}

fn register(context: &Context, handler: Arc<dyn ReadHandler>) -> Provider {
    context
        .register(handler, ProviderOptions::default())
        .unwrap()
}

/// Reads 16 bytes of `file` in a promise.
fn read(daemon: &FakeDaemon, provider: &Provider, promise: u32) -> Option<(Status, Vec<u8>)> {
    let session = daemon.session(provider.number().unwrap());
    session.ask(1, promise, daemon.row(promise, "file"));
    session.answer()
}

/// A handler that tells when it is called and returns when it is told to.
fn held() -> (Arc<dyn ReadHandler>, Receiver<()>, Sender<()>) {
    let (entered, wait_entered) = channel();
    let (leave, wait_leave) = channel();
    let wait_leave = Mutex::new(wait_leave);
    let handler = Handler(move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
        entered.send(()).unwrap();
        wait_leave.lock().unwrap().recv_timeout(GUARD).unwrap();
        Ok(buffer.len())
    });
    (Arc::new(handler), wait_entered, leave)
}

#[test]
fn a_tree_is_committed_read_and_taken_away() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let path = builder(&context, &provider).commit(ROOM).unwrap();
    assert_eq!(path, place.path().join("fuse-promise/promise-1"));
    let answer = read(&daemon, &provider, 1);
    assert_eq!(answer, Some((Status::Ok, vec![b'z'; 16])));

    let session = daemon.session(provider.number().unwrap());
    provider.unregister();
    assert_eq!(daemon.unregistered(), [1]);
    assert_eq!(session.answer(), None);
    provider.unregister();
    assert_eq!(
        daemon.unregistered(),
        [1],
        "the second time nothing is said"
    );
    assert_eq!(daemon.connections(), 1);

    let refused = PromiseBuilder::new(&context, &provider)
        .unwrap()
        .commit(ROOM);
    assert_eq!(refused.unwrap_err().status, Status::ProviderGone);
}

#[test]
fn a_builder_is_usable_after_a_failure_and_spent_after_success() {
    let place = Place::new();
    let manners = Manners {
        refuse_commits: Some(Status::Unavailable),
        ..Manners::default()
    };
    let refusing = FakeDaemon::with(&place, manners);
    let context = place.context();
    let provider = register(&context, zeros());
    let mut builder = builder(&context, &provider);
    let refused = builder.commit(ROOM).unwrap_err();
    assert_eq!(
        (refused.status, refused.message.as_str()),
        (Status::Unavailable, "as told")
    );
    drop(refusing);

    let daemon = FakeDaemon::start(&place);
    builder.add_file(b"more", FILE, b"id").unwrap();
    let room = place
        .path()
        .join("fuse-promise/promise-1")
        .as_os_str()
        .len();
    let refused = builder.commit(room).unwrap_err();
    assert_eq!(refused.status, Status::InvalidArgument);
    assert_eq!(daemon.promises(), 0);
    builder.commit(room + 1).unwrap();
    assert_eq!(daemon.promises(), 1);

    for spent in [
        builder.commit(ROOM).map(drop),
        builder.add_file(b"late", FILE, b"id"),
        builder.add_dir(b"later", FILE, b"id"),
    ] {
        assert_eq!(spent.unwrap_err().status, Status::InvalidArgument);
    }
}

#[test]
fn a_provider_of_another_context_is_refused() {
    let place = Place::new();
    let _daemon = FakeDaemon::start(&place);
    let (context, other) = (place.context(), place.context());
    let provider = register(&context, zeros());
    let refused = PromiseBuilder::new(&other, &provider).err().unwrap();
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(PromiseBuilder::new(&context.clone(), &provider).is_ok());
}

#[test]
fn a_commit_whose_answer_is_lost_is_made_once() {
    let place = Place::new();
    let manners = Manners {
        lost_answers: 1,
        ..Manners::default()
    };
    let daemon = FakeDaemon::with(&place, manners);
    let context = place.context();
    let provider = register(&context, zeros());
    let path = builder(&context, &provider).commit(ROOM).unwrap();
    assert!(path.ends_with("promise-1"));
    assert_eq!(daemon.promises(), 1);
    let calls = daemon.commit_calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], calls[1], "the second try carries the same id");
    assert_eq!(daemon.connections(), 2);
    assert!(read(&daemon, &provider, 1).is_some());
}

#[test]
fn a_commit_says_until_when_it_is_waited_for() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let limit = u64::try_from(context.limit().as_nanos()).unwrap();
    let before = monotonic_nanoseconds();
    builder(&context, &provider).commit(ROOM).unwrap();
    let waited_for = before + limit..=monotonic_nanoseconds() + limit;
    assert!(waited_for.contains(&daemon.expires()));
}

#[test]
fn after_a_restart_of_the_daemon_the_next_commit_registers_again() {
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let mut unfinished = builder(&context, &provider);
    builder(&context, &provider).commit(ROOM).unwrap();
    drop(before);

    let after = FakeDaemon::start(&place);
    unfinished.commit(ROOM).unwrap();
    assert_eq!(after.promises(), 1);
    let answer = read(&after, &provider, 1);
    assert_eq!(answer, Some((Status::Ok, vec![b'z'; 16])));
}

#[test]
fn a_daemon_that_forgot_the_provider_gets_it_again() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    daemon.forget_providers();
    builder(&context, &provider).commit(ROOM).unwrap();
    assert!(read(&daemon, &provider, 1).is_some());
}

#[test]
fn unregister_inside_the_callback_returns_and_is_the_last_call() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let own: Arc<OnceLock<Weak<Provider>>> = Arc::default();
    let (returned, wait_returned) = channel();
    let handler = Handler({
        let own = Arc::clone(&own);
        move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
            own.get().unwrap().upgrade().unwrap().unregister();
            returned.send(()).unwrap();
            Ok(buffer.len())
        }
    });
    let provider = Arc::new(register(&context, Arc::new(handler)));
    own.set(Arc::downgrade(&provider)).unwrap();
    builder(&context, &provider).commit(ROOM).unwrap();
    let session = daemon.session(provider.number().unwrap());
    let row = daemon.row(1, "file");
    session.ask(1, 1, row);
    session.ask(2, 1, row);
    wait_returned.recv_timeout(GUARD).unwrap();
    assert_eq!(session.answer(), None);
    // From outside it waits for the thread, which has called nothing more.
    provider.unregister();
    assert!(wait_returned.try_recv().is_err());
    assert_eq!(daemon.unregistered(), [1]);
}

#[test]
fn unregister_waits_for_a_running_callback() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let (handler, wait_entered, leave) = held();
    let provider = Arc::new(register(&context, handler));
    builder(&context, &provider).commit(ROOM).unwrap();
    daemon
        .session(provider.number().unwrap())
        .ask(1, 1, daemon.row(1, "file"));
    wait_entered.recv_timeout(GUARD).unwrap();

    let (done, wait_done) = channel();
    for _ in 0..2 {
        let (provider, done) = (Arc::clone(&provider), done.clone());
        std::thread::spawn(move || {
            provider.unregister();
            done.send(()).unwrap();
        });
    }
    // The daemon has heard of it while the callback still runs, and nobody has come back.
    daemon.wait_unregistered();
    assert!(wait_done.try_recv().is_err());
    leave.send(()).unwrap();
    for _ in 0..2 {
        wait_done.recv_timeout(GUARD).unwrap();
    }
}

#[test]
fn closing_the_context_ends_its_providers() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let mut builder = builder(&context, &provider);
    let session = daemon.session(provider.number().unwrap());
    context.close();
    assert_eq!(daemon.unregistered(), [1]);
    assert_eq!(session.answer(), None);
    // Although handles are left that belong to it.
    daemon.wait_disconnected();
    assert_eq!(
        builder.commit(ROOM).unwrap_err().status,
        Status::ProviderGone
    );
    let refused = context.register(zeros(), ProviderOptions::default());
    assert_eq!(refused.err().unwrap().status, Status::Unavailable);
    context.close();
}

#[test]
fn a_provider_that_comes_while_the_context_closes_is_refused() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let (handler, wait_entered, leave) = held();
    let provider = register(&context, handler);
    builder(&context, &provider).commit(ROOM).unwrap();
    daemon
        .session(provider.number().unwrap())
        .ask(1, 1, daemon.row(1, "file"));
    wait_entered.recv_timeout(GUARD).unwrap();

    let (done, wait_done) = channel();
    let closing = context.clone();
    std::thread::spawn(move || {
        closing.close();
        done.send(()).unwrap();
    });
    // The close waits for the callback, and can still speak to the daemon.
    daemon.wait_unregistered();
    let late = context.register(zeros(), ProviderOptions::default());
    assert_eq!(late.err().unwrap().status, Status::Unavailable);
    leave.send(()).unwrap();
    wait_done.recv_timeout(GUARD).unwrap();
    assert_eq!(daemon.unregistered(), [1, 2]);
}

#[test]
fn those_who_wait_for_a_registration_take_its_outcome() {
    const WAITING: usize = 3;
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let provider = Arc::new(register(&context, zeros()));
    let ended = provider.shared.session().unwrap();
    drop(before);

    let attempt = Attempt::default();
    provider
        .shared
        .set(State::Registering(Arc::clone(&attempt)));
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let provider = Arc::clone(&provider);
            std::thread::spawn(move || provider.shared.session().map(drop))
        })
        .collect();
    let begun = Instant::now();
    // Ours, the provider's, and one of each that waits.
    while Arc::strong_count(&attempt) < 2 + WAITING {
        assert!(begun.elapsed() < GUARD, "they do not wait");
        std::thread::yield_now();
    }
    // Whoever tried by itself would succeed.
    let _after = FakeDaemon::start(&place);
    attempt.set(Err(Failure::timeout("as told"))).ok().unwrap();
    provider.shared.set(State::Registered(ended));
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Err(Failure::timeout("as told")));
    }
    provider.shared.session().unwrap();
}

#[test]
fn a_commit_inside_the_callback_works() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let own: Arc<OnceLock<Weak<Provider>>> = Arc::default();
    let handler = Handler({
        let (own, context) = (Arc::clone(&own), context.clone());
        move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
            let provider = own.get().unwrap().upgrade().unwrap();
            let path = builder(&context, &provider).commit(ROOM).unwrap();
            let name = Path::file_name(&path).unwrap().as_encoded_bytes();
            buffer[..name.len()].copy_from_slice(name);
            Ok(name.len())
        }
    });
    let provider = Arc::new(register(&context, Arc::new(handler)));
    own.set(Arc::downgrade(&provider)).unwrap();
    builder(&context, &provider).commit(ROOM).unwrap();
    for promise in 1..=2 {
        let made = format!("promise-{}", promise + 1).into_bytes();
        assert_eq!(read(&daemon, &provider, promise), Some((Status::Ok, made)));
    }
}

#[test]
fn one_callback_at_a_time_even_over_a_restart_of_the_daemon() {
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let (handler, wait_entered, leave) = held();
    let provider = register(&context, handler);
    builder(&context, &provider).commit(ROOM).unwrap();
    before
        .session(provider.number().unwrap())
        .ask(1, 1, before.row(1, "file"));
    wait_entered.recv_timeout(GUARD).unwrap();
    drop(before);

    let after = FakeDaemon::start(&place);
    builder(&context, &provider).commit(ROOM).unwrap();
    let session = after.session(provider.number().unwrap());
    session.ask(1, 1, after.row(1, "file"));
    // The first call has not returned, so the second has not begun.
    assert!(wait_entered.try_recv().is_err());
    leave.send(()).unwrap();
    wait_entered.recv_timeout(GUARD).unwrap();
    leave.send(()).unwrap();
    assert!(session.answer().is_some());
}
