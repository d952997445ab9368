//! A daemon that may have no more files open turns newcomers away, says why, and goes on with those
//! who are there.

mod support;

use std::fs;

use fuse_promise_client::{Context, ContextOptions, Provider, Start};
use fuse_promise_core::{Failure, Status};
use fuse_promise_testkit::fixture::check::assert_content;
use fuse_promise_testkit::{Published, Session, Shape, Tree};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::balance::{await_descriptors, descriptors, gauge, lasting_descriptors};
use support::copying::{copy, names, target};
use support::in_process::Publisher;

/// Beside the few dozen that a daemon needs this is room for some fifty providers.
const LIMIT: u64 = 256;
/// Each keeps a channel, an arena and the process.
const PROVIDERS_AT_LEAST: usize = 30;
const LARGE_AT_MOST: usize = 10;
const UNAVAILABLE: i32 = 12;

fn limit_daemon(session: &mut Session) {
    let pid = session.daemon_pid().expect("a running daemon");
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    prlimit(Pid::from_raw(pid as i32), Resource::Nofile, limit).unwrap();
}

#[track_caller]
fn assert_says_why(refused: &Failure) {
    assert_eq!(refused.status, Status::Unavailable, "{refused}");
    assert!(refused.message.contains("RLIMIT_NOFILE"), "{refused}");
    assert!(refused.message.contains(&LIMIT.to_string()), "{refused}");
}

/// Providers until no more are let in.
fn fill(publisher: &Publisher) -> Vec<Provider> {
    let mut present = Vec::new();
    loop {
        match publisher.register() {
            Ok(provider) => present.push(provider),
            Err(refused) => {
                assert_says_why(&refused);
                return present;
            }
        }
    }
}

/// Large images of a provider until no more are taken. (The provider that was refused would have
/// needed more descriptors than an image.)
fn fill_with_images(publisher: &Publisher, provider: &Provider) -> usize {
    for count in 0..LARGE_AT_MOST {
        if let Err(refused) = publisher.publish(provider, &large()) {
            assert_says_why(&refused);
            return count;
        }
    }
    panic!("{LARGE_AT_MOST} large images are taken");
}

/// An image that keeps a descriptor of its own.
fn large() -> Tree {
    Tree::new().files("in-a-large-tree-", 5000, 10)
}

/// Those who are there notice nothing.
fn assert_serves(promise: &Published) {
    assert_eq!(names(&promise.path).len(), promise.tree.nodes().len());
    for node in promise.tree.nodes() {
        assert_content(&promise.join(&node.path), node);
    }
}

/// Connections that stay, until one is refused.
fn connect_until_refused(session: &Session) -> Vec<Context> {
    let mut connected = Vec::new();
    for _ in 0..LIMIT {
        let runtime_dir = Some(session.runtime_dir());
        let context = Context::open(ContextOptions { runtime_dir }).unwrap();
        match context.status(Start::Never) {
            Ok(_) => connected.push(context),
            Err(refused) => {
                assert_says_why(&refused);
                return connected;
            }
        }
    }
    panic!("{LIMIT} connections are open");
}

#[test]
fn without_descriptors_newcomers_are_refused_and_others_served() {
    let mut session = Session::start(Shape::Private);
    let before = lasting_descriptors(&mut session);
    let mut first = session.provider();
    let promise = first.publish(&Tree::new().files("file-", 5, 300_000));
    limit_daemon(&mut session);
    let publisher = Publisher::of(&session);
    let mut present = fill(&publisher);
    assert!(present.len() >= PROVIDERS_AT_LEAST, "{}", present.len());
    assert_eq!(gauge(&session, "providers"), present.len() as u64 + 1);
    assert_serves(&promise);
    // A provider that is there goes on publishing what needs no descriptor.
    let small = Tree::new().file("small", 100);
    let path = publisher.publish(&present[0], &small).unwrap();
    assert_content(&path.join("small"), &small.nodes()[0]);
    let images = fill_with_images(&publisher, &present[0]);
    assert_eq!(fs::read_dir(session.mount()).unwrap().count(), 2 + images);
    let target = target(&session);
    let refused = copy(&session, &[], &promise.path, &target).fails_with(UNAVAILABLE);
    assert!(refused.contains("RLIMIT_NOFILE"), "{refused}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_serves(&promise);

    // Even connections come to an end, and do not take the last descriptors.
    let connected = connect_until_refused(&session);
    let refused = session.fpctl(&["status"]).fails_with(UNAVAILABLE);
    assert!(refused.contains("RLIMIT_NOFILE"), "{refused}");
    session.wait_daemon_log("RLIMIT_NOFILE", 1);
    assert!((descriptors(&mut session).len() as u64) < LIMIT);
    assert_serves(&promise);
    first.publish(&Tree::new().file("of-the-first", 10)).check();

    // Who comes after others have left is let in.
    connected.iter().for_each(Context::close);
    drop(present.split_off(PROVIDERS_AT_LEAST / 2));
    support::wait_until("a new provider", || publisher.register().is_ok());
    let path = publisher.publish(&present[0], &large()).unwrap();
    assert_eq!(names(&path).len(), large().nodes().len());
    copy(&session, &[], &promise.path, &target).ok();
    session.fpctl(&["status"]).ok();
    drop(present);
    publisher.context.close();
    assert_serves(&promise);
    first.close();
    await_descriptors(&mut session, &before);
}
