use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;

use fuse_promise_core::Status;
use fuse_promise_wire::PROTOCOL_VERSION;

use super::*;
use crate::fake_daemon::{FakeDaemon, Manners, Place};
use crate::handler::ReadRequest;
use crate::test_support::{GUARD, Handler};

/// Long enough for anything local, short enough to wait for.
const SHORT: Duration = Duration::from_millis(500);

fn impatient(place: &Place) -> Context {
    Context::at(Site {
        limit: SHORT,
        ..place.site()
    })
}

fn register(context: &Context) -> Result<Provider> {
    let handler = Handler(|_: &ReadRequest<'_>, _: &mut [u8]| Ok(0));
    context.register(Arc::new(handler), ProviderOptions::default())
}

/// The status of a register call, which must come within the guard.
fn register_outcome(context: &Context) -> Failure {
    let (done, wait_done) = channel();
    let context = context.clone();
    std::thread::spawn(move || done.send(register(&context).map(drop)).unwrap());
    wait_done
        .recv_timeout(GUARD)
        .expect("it hangs")
        .unwrap_err()
}

#[test]
fn opening_needs_no_daemon_and_the_first_call_says_that_there_is_none() {
    let place = Place::new();
    let context = Context::open(ContextOptions {
        runtime_dir: Some(place.path().to_owned()),
    })
    .unwrap();
    assert_eq!(context.runtime_dir().path(), place.path());
    let failure = register(&context).err().unwrap();
    assert_eq!(failure.status, Status::Unavailable);
    assert!(
        failure.message.contains(place.path().to_str().unwrap()),
        "{failure}"
    );
    assert_eq!(context.status(Start::Never), Ok(None));
    let failure = context.list(true, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.status, Status::Unavailable);
}

#[test]
fn a_bad_runtime_directory_is_told_when_opening() {
    let place = Place::new();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (path, status) in [
        (PathBuf::new(), Status::InvalidArgument),
        (PathBuf::from("relative"), Status::InvalidArgument),
        (file, Status::InvalidArgument),
        (place.path().join("missing"), Status::Unavailable),
    ] {
        let options = ContextOptions {
            runtime_dir: Some(path.clone()),
        };
        assert_eq!(
            Context::open(options).err().unwrap().status,
            status,
            "{path:?}"
        );
    }
}

#[test]
fn nobody_connects_to_find_out_whether_a_daemon_runs() {
    let place = Place::new();
    let listener = UnixListener::bind(place.runtime_dir().socket_path()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let context = place.context();
    assert_eq!(context.status(Start::Never), Ok(None));
    assert!(context.list(false, &mut Vec::new()).is_err());
    let accepted = listener.accept().unwrap_err();
    assert_eq!(accepted.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_daemon_that_never_answers_is_a_timeout() {
    let place = Place::new();
    let _lock = place.lock();
    let _listener = UnixListener::bind(place.runtime_dir().socket_path()).unwrap();
    let context = impatient(&place);
    assert_eq!(register_outcome(&context).status, Status::Timeout);
    assert_eq!(
        context.status(Start::Never).unwrap_err().status,
        Status::Timeout
    );
}

#[test]
fn a_listener_whose_queue_is_full_hangs_nobody() {
    let place = Place::new();
    let _lock = place.lock();
    let socket = place.runtime_dir().socket_path();
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _waiting = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let context = impatient(&place);
    assert_eq!(register_outcome(&context).status, Status::Timeout);
}

#[test]
fn a_daemon_that_is_said_to_live_and_does_not_listen_is_waited_for() {
    let place = Place::new();
    let lock = place.lock();
    assert_eq!(register_outcome(&impatient(&place)).status, Status::Timeout);

    // One that begins to listen in the meantime is found.
    let context = place.context();
    let (begun, wait_begun) = channel();
    let registering = std::thread::spawn(move || {
        begun.send(()).unwrap();
        register(&context).map(drop)
    });
    wait_begun.recv_timeout(GUARD).unwrap();
    let _daemon = FakeDaemon::holding(Some(lock), &place, Manners::default());
    assert_eq!(registering.join().unwrap(), Ok(()));
}

#[test]
fn a_socket_that_never_leads_to_a_daemon_is_unavailable() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.runtime_dir().socket_path()).unwrap();
    let failure = register_outcome(&impatient(&place));
    assert_eq!(failure.status, Status::Unavailable);
}

#[test]
fn another_protocol_version_is_told_with_both_numbers() {
    let place = Place::new();
    let manners = Manners {
        protocol: PROTOCOL_VERSION + 41,
        ..Manners::default()
    };
    let _daemon = FakeDaemon::with(&place, manners);
    let failure = register(&place.context()).err().unwrap();
    assert_eq!(failure.status, Status::VersionMismatch);
    for version in [PROTOCOL_VERSION, PROTOCOL_VERSION + 41] {
        assert!(failure.message.contains(&version.to_string()), "{failure}");
    }
}

#[test]
fn a_daemon_of_another_directory_is_refused_with_both_paths() {
    let place = Place::new();
    let manners = Manners {
        runtime_directory: Some("/run/user/4242".into()),
        ..Manners::default()
    };
    let _daemon = FakeDaemon::with(&place, manners);
    let failure = register(&place.context()).err().unwrap();
    assert_eq!(failure.status, Status::Unavailable);
    for path in ["/run/user/4242", place.path().to_str().unwrap()] {
        assert!(failure.message.contains(path), "{failure}");
    }
}

#[test]
fn a_lost_connection_is_made_again() {
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let first = register(&context).unwrap();
    drop(before);
    let after = FakeDaemon::start(&place);
    let second = register(&context).unwrap();
    assert_eq!(after.connections(), 1);
    drop((first, second));
}

#[test]
fn a_listing_is_streamed_without_its_last_line() {
    let place = Place::new();
    let _daemon = FakeDaemon::start(&place);
    let mut lines = Vec::new();
    place.context().list(true, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("providers=0"));
    assert_eq!(lines.next_back(), Some("node path=19999"));
    assert!(text.ends_with('\n'));
}

#[test]
fn a_listing_that_is_cut_is_an_error() {
    let place = Place::new();
    let manners = Manners {
        cut_listing: true,
        ..Manners::default()
    };
    let _daemon = FakeDaemon::with(&place, manners);
    let failure = place.context().list(true, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.status, Status::Unavailable);
}
