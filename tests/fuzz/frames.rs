//! The frames of a provider's channel, in both directions.

use fuse_promise_testkit::fuzz::Campaign;
use fuse_promise_wire::{PROTOCOL_VERSION, ToDaemon, ToProvider};

#[test]
fn a_packet_is_refused_or_is_the_one_frame_that_it_encodes() {
    Campaign::new("frames").run(
        || (),
        |(), packet| {
            let to_daemon = ToDaemon::decode(packet);
            if let Ok(frame) = to_daemon {
                let foreign = matches!(frame, ToDaemon::Hello { protocol } if protocol != PROTOCOL_VERSION);
                assert_eq!(ToDaemon::decode(&frame.encode()), Ok(frame));
                assert!(foreign || frame.encode() == packet);
            }
            let to_provider = ToProvider::decode(packet);
            if let Ok(frame) = to_provider {
                let foreign = matches!(frame, ToProvider::Hello { protocol, .. } if protocol != PROTOCOL_VERSION);
                assert_eq!(ToProvider::decode(&frame.encode()), Ok(frame));
                assert!(foreign || frame.encode() == packet);
            }
            assert!(to_daemon.is_err() || to_provider.is_err(), "a kind has one direction");
            format!("{to_daemon:?} {to_provider:?}")
        },
    );
}
