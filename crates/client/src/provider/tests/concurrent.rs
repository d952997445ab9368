//! Providers that allow several reads at a time.

use super::*;
use crate::fake_daemon::FakeSession;
use crate::gate::Gate;

fn gated(gate: &Arc<Gate>) -> Arc<dyn ReadHandler> {
    let gate = Arc::clone(gate);
    Arc::new(Handler(move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
        gate.pass();
        Ok(buffer.len())
    }))
}

fn register_for(context: &Context, handler: Arc<dyn ReadHandler>, reads: u32) -> Provider {
    let options = ProviderOptions {
        max_concurrent_reads: Some(reads),
        ..ProviderOptions::default()
    };
    context.register(handler, options).unwrap()
}

/// Commits a tree and asks for `count` reads of it.
fn ask(
    daemon: &FakeDaemon,
    context: &Context,
    provider: &Provider,
    count: u64,
) -> Arc<FakeSession> {
    builder(context, provider).commit(ROOM).unwrap();
    let session = daemon.session(provider.number().unwrap());
    (0..count).for_each(|request| session.ask(request, 1, daemon.row(1, "file")));
    session
}

#[test]
fn unregister_inside_a_call_waits_for_no_other() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let own: Arc<OnceLock<Weak<Provider>>> = Arc::default();
    let (unregistering, others): (Arc<Gate>, Arc<Gate>) = Default::default();
    let (returned, wait_returned) = channel();
    let calls = AtomicU64::new(0);
    let handler = Handler({
        let (own, unregistering, others) = (
            Arc::clone(&own),
            Arc::clone(&unregistering),
            Arc::clone(&others),
        );
        move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
            if calls.fetch_add(1, Ordering::Relaxed) < 2 {
                unregistering.pass();
                own.get().unwrap().upgrade().unwrap().unregister();
                returned.send(()).unwrap();
            } else {
                others.pass();
            }
            Ok(buffer.len())
        }
    });
    let provider = Arc::new(register_for(&context, Arc::new(handler), 4));
    own.set(Arc::downgrade(&provider)).unwrap();
    let session = ask(&daemon, &context, &provider, 6);
    unregistering.await_inside(2);
    others.await_inside(2);
    // Both at a time, while two others run and two are in the channel.
    unregistering.let_go(2);
    for _ in 0..2 {
        wait_returned.recv_timeout(GUARD).unwrap();
    }
    assert_eq!(session.answer(), None);
    assert_eq!(others.inside(), 2);

    let (done, wait_done) = channel();
    std::thread::spawn({
        let (provider, others) = (Arc::clone(&provider), Arc::clone(&others));
        move || {
            provider.unregister();
            done.send(others.inside()).unwrap();
        }
    });
    others.let_go(usize::MAX);
    assert_eq!(wait_done.recv_timeout(GUARD), Ok(0), "calls still ran");
    assert_eq!(others.entered(), 2, "no call began after it");
    assert_eq!(daemon.unregistered(), [1]);
}

#[test]
fn unregister_and_close_wait_for_all_calls() {
    type Ended = fn(&Context, &Provider);
    let ended: [Ended; 2] = [
        |_, provider| provider.unregister(),
        |context, _| context.close(),
    ];
    for end in ended {
        let place = Place::new();
        let daemon = FakeDaemon::start(&place);
        let context = place.context();
        let gate = Arc::default();
        let provider = register_for(&context, gated(&gate), 3);
        let session = ask(&daemon, &context, &provider, 4);
        gate.await_inside(3);
        let (done, wait_done) = channel();
        std::thread::spawn({
            let (context, gate) = (context.clone(), Arc::clone(&gate));
            move || {
                end(&context, &provider);
                done.send(gate.inside()).unwrap();
            }
        });
        daemon.wait_unregistered();
        assert_eq!(session.answer(), None);
        for left in [2, 1] {
            gate.let_go(1);
            gate.await_inside(left);
            assert!(wait_done.try_recv().is_err());
        }
        gate.let_go(usize::MAX);
        assert_eq!(wait_done.recv_timeout(GUARD), Ok(0), "calls still ran");
        assert_eq!(gate.entered(), 3, "no call began after it");
    }
}

#[test]
fn close_ends_threads_that_wait() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let gate = Arc::default();
    let provider = register_for(&context, gated(&gate), 4);
    let session = ask(&daemon, &context, &provider, 4);
    gate.await_inside(4);
    gate.let_go(4);
    for _ in 0..4 {
        assert!(session.answer().is_some());
    }
    let threads = provider.shared.session().unwrap();
    assert_eq!(threads.thread_count(), 4);
    context.close();
    assert_eq!(threads.thread_count(), 0);
    assert_eq!(session.answer(), None);
}

#[test]
fn calls_of_one_session_end_before_those_of_the_next_begin() {
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let gate = Arc::default();
    let provider = register_for(&context, gated(&gate), 2);
    ask(&before, &context, &provider, 2);
    gate.await_inside(2);
    drop(before);

    let after = FakeDaemon::start(&place);
    let session = ask(&after, &context, &provider, 2);
    gate.let_go(1);
    gate.await_inside(1);
    assert_eq!(gate.entered(), 2, "the other call has not returned");
    gate.let_go(usize::MAX);
    for _ in 0..2 {
        assert!(session.answer().is_some());
    }
    assert_eq!((gate.entered(), gate.most()), (4, 2));
}
