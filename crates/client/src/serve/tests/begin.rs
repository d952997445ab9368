//! The first frames of a session.

use fuse_promise_wire::Geometry;

use super::*;

#[test]
fn a_session_that_does_not_begin_with_a_hello_is_refused() {
    let begin = |frame: Option<ToProvider>| {
        let (ours, theirs) = Channel::pair().unwrap();
        let (_arena, memory) = arena();
        match frame {
            Some(frame) => assert_eq!(ours.send(&frame.encode()), Ok(SendOutcome::Sent)),
            None => ours.shutdown(),
        }
        let registered = Registered {
            number: ProviderNumber(1),
            token: Token([7; 32]),
            channel: theirs.into_fd(),
            arena: memory,
        };
        let handler = Arc::new(counting(&Arc::default()));
        let opened = Session::open(registered, 1, handler, 1, None, GUARD);
        opened.err().map(|failure| failure.status)
    };
    let other_version = ToProvider::Hello {
        protocol: PROTOCOL_VERSION + 1,
        epoch: 1,
        geometry: GEOMETRY,
    };
    let other_geometry = ToProvider::Hello {
        protocol: PROTOCOL_VERSION,
        epoch: 1,
        geometry: Geometry {
            large_count: 2,
            ..GEOMETRY
        },
    };
    assert_eq!(begin(Some(other_version)), Some(Status::VersionMismatch));
    assert!(begin(Some(other_geometry)).is_some());
    let cancel = ToProvider::Cancel { request: 1 };
    assert_eq!(begin(Some(cancel)), Some(Status::Io));
    assert_eq!(begin(None), Some(Status::Unavailable));
}
