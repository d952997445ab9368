//! The way in by the socket itself.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_core::limits::HANDSHAKES_MAX;
use fuse_promise_wire::bus::{IFACE_MANAGER, ROOT_PATH};

use super::rig::{Client, Rig, options, run, text};
use crate::bus::awaitable;
use crate::bus::listener::{Handshakes, listen};

/// Longer than any test lives.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_peer_comes_in_by_the_socket_and_is_known() {
    run(async {
        let (_rig, path) = served();
        let client = Client::over(UnixStream::connect(&path).unwrap()).await;
        let provider = client.register().await;
        let pid: u32 = client.provider_property("Pid", provider.number).await;
        assert_eq!(pid, std::process::id());
    });
}

#[test]
fn losing_the_connection_ends_nothing() {
    run(async {
        let (_rig, path) = served();
        let first = Client::over(UnixStream::connect(&path).unwrap()).await;
        let provider = first.register().await;
        first.commit_tree(&provider, 1).await;
        first.connection.close().await.unwrap();
        let second = Client::over(UnixStream::connect(&path).unwrap()).await;
        assert_eq!(second.provider_property::<String>("State", 1).await, "live");
        assert_eq!(second.commit_tree(&provider, 1).await, 2);
    });
}

#[test]
fn a_peer_that_says_nothing_is_shut_out() {
    run(async {
        let limits = Handshakes {
            deadline: Duration::from_millis(20),
            ..Handshakes::default()
        };
        let (_rig, path) = listening(limits);
        let mut silent = UnixStream::connect(&path).unwrap();
        assert_eq!(end_of(&mut silent).await, 0);
    });
}

#[test]
fn a_peer_that_talks_nonsense_is_shut_out() {
    run(async {
        let limits = Handshakes {
            deadline: LONG,
            ..Handshakes::default()
        };
        let (_rig, path) = listening(limits);
        let mut nonsense = UnixStream::connect(&path).unwrap();
        nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        end_of(&mut nonsense).await;
    });
}

#[test]
fn a_message_longer_than_any_call_ends_its_connection_only() {
    run(async {
        let rig = Rig::new();
        let (client, other) = (rig.on_socket().await, rig.on_socket().await);
        let filler = text(&"x".repeat(1 << 20));
        let long = (options(&[("filler", filler)]),);
        let call = client.connection.call_method(
            None::<()>,
            ROOT_PATH,
            Some(IFACE_MANAGER),
            "RegisterProvider",
            &long,
        );
        call.await.unwrap_err();
        client.connection.closed().await;
        assert_eq!(other.manager_property::<u32>("Providers").await, 0);
    });
}

#[test]
fn only_so_many_unfinished_handshakes_are_let_in() {
    run(async {
        let limits = Handshakes {
            deadline: LONG,
            ..Handshakes::default()
        };
        let (rig, path) = listening(limits);
        let silent = [(); HANDSHAKES_MAX].map(|()| UnixStream::connect(&path).unwrap());
        let waiting = tokio::spawn(Client::over(UnixStream::connect(&path).unwrap()));
        // Whoever is already in is served meanwhile.
        let inside = rig.on_socket().await;
        for _ in 0..50 {
            inside.manager_property::<u32>("Providers").await;
        }
        assert!(!waiting.is_finished(), "one handshake too many was let in");
        drop(silent);
        let client = waiting.await.unwrap();
        assert_eq!(client.manager_property::<u32>("Providers").await, 0);
    });
}

/// A daemon that serves its socket as it always does.
fn served() -> (Rig, PathBuf) {
    let rig = Rig::new();
    let path = rig.daemon.runtime_dir.socket_path();
    let listener = UnixListener::bind(&path).unwrap();
    rig.bus.serve_socket(awaitable(listener).unwrap());
    (rig, path)
}

/// A daemon that serves its socket with these limits.
fn listening(limits: Handshakes) -> (Rig, PathBuf) {
    let rig = Rig::new();
    let path = rig.daemon.runtime_dir.socket_path();
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let service = Arc::clone(&rig.bus.service);
    tokio::spawn(listen(listener, service, limits));
    (rig, path)
}

/// Reads until the daemon closes the connection; returns how much it said.
async fn end_of(stream: &mut UnixStream) -> usize {
    let mut stream = stream.try_clone().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        // A connection closed with unread bytes in it ends with an error.
        let _ = stream.read_to_end(&mut said);
        said.len()
    });
    reading.await.unwrap()
}
