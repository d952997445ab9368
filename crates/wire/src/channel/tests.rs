use super::*;
use crate::hang_guard::within_a_minute;
use fuse_promise_core::Status;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, dup, fcntl_getfd};

fn pair() -> (Channel, Channel) {
    Channel::pair().expect("a socket pair")
}

fn numbered(number: u8) -> FrameBytes {
    [number; FRAME_LEN]
}

fn recv_one(channel: &Channel) -> RecvOutcome {
    channel.recv(&mut [0; RECV_LEN]).expect("a working channel")
}

#[test]
fn frames_arrive_whole_and_in_order() {
    let (here, there) = pair();
    assert_eq!(recv_one(&there), RecvOutcome::Empty);
    for number in 0..100 {
        assert_eq!(here.send(&numbered(number)), Ok(SendOutcome::Sent));
    }
    for number in 0..100 {
        assert_eq!(recv_one(&there), RecvOutcome::Frame(numbered(number)));
    }
    assert_eq!(recv_one(&there), RecvOutcome::Empty);
}

#[test]
fn both_ends_are_closed_on_exec() {
    let (here, there) = pair();
    for end in [&here, &there] {
        let flags = fcntl_getfd(end).expect("an open descriptor");
        assert!(flags.contains(FdFlags::CLOEXEC));
    }
}

#[test]
fn a_full_channel_says_so_and_loses_nothing() {
    let (here, there) = pair();
    let mut sent = 0_u32;
    while here.send(&numbered(sent as u8)) == Ok(SendOutcome::Sent) {
        sent += 1;
        assert!(sent < 100_000, "a channel that never fills");
    }
    assert!(sent > 100, "only {sent} frames fit");
    assert_eq!(here.send(&numbered(0)), Ok(SendOutcome::Full));
    for number in 0..sent {
        assert_eq!(recv_one(&there), RecvOutcome::Frame(numbered(number as u8)));
    }
    assert_eq!(recv_one(&there), RecvOutcome::Empty);
    assert_eq!(here.send(&numbered(0)), Ok(SendOutcome::Sent));
}

#[test]
fn a_waiting_sender_goes_on_when_there_is_room() {
    within_a_minute(|| {
        let (here, there) = pair();
        let count = 2000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..count {
                    let sent = here.send_waiting(&numbered(number as u8));
                    assert_eq!(sent, Ok(SendOutcome::Sent));
                }
            });
            for number in 0..count {
                let received = there.recv_waiting(&mut [0; RECV_LEN]);
                assert_eq!(received, Ok(RecvOutcome::Frame(numbered(number as u8))));
            }
        });
    });
}

#[test]
fn packets_of_another_length_are_not_frames_and_do_not_stay() {
    let (here, there) = pair();
    for len in [1, FRAME_LEN - 1, FRAME_LEN + 1, RECV_LEN + 1, 4096] {
        send(&here, &vec![1; len], SendFlags::empty()).expect("room for one packet");
        here.send(&numbered(1)).expect("room for one more");
        assert_eq!(recv_one(&there), RecvOutcome::NotAFrame(len));
        assert_eq!(recv_one(&there), RecvOutcome::Frame(numbered(1)));
    }
}

#[test]
fn an_empty_packet_ends_it_like_a_close() {
    let (here, there) = pair();
    send(&here, &[], SendFlags::empty()).expect("room for one packet");
    assert_eq!(recv_one(&there), RecvOutcome::Closed);
}

#[test]
fn what_was_sent_before_the_end_still_arrives() {
    within_a_minute(|| {
        let (here, there) = pair();
        assert_eq!(here.send(&numbered(1)), Ok(SendOutcome::Sent));
        drop(here);
        assert_eq!(recv_one(&there), RecvOutcome::Frame(numbered(1)));
        assert_eq!(recv_one(&there), RecvOutcome::Closed);
        assert_eq!(there.send(&numbered(1)), Ok(SendOutcome::Closed));
        assert_eq!(there.send_waiting(&numbered(1)), Ok(SendOutcome::Closed));
    });
}

#[test]
fn a_peer_gone_with_frames_unread_is_closed() {
    let (here, there) = pair();
    assert_eq!(here.send(&numbered(1)), Ok(SendOutcome::Sent));
    drop(there);
    assert_eq!(recv_one(&here), RecvOutcome::Closed);
    assert_eq!(here.send(&numbered(1)), Ok(SendOutcome::Closed));
}

#[test]
fn a_shutdown_reaches_through_duplicates() {
    let (here, there) = pair();
    let kept = Channel::from_fd(dup(&here).expect("a descriptor")).expect("a channel");
    here.shutdown();
    drop(here);
    assert_eq!(recv_one(&there), RecvOutcome::Closed);
    assert_eq!(there.send(&numbered(1)), Ok(SendOutcome::Closed));
    assert_eq!(recv_one(&kept), RecvOutcome::Closed);
    kept.shutdown();
}

#[test]
fn a_waiting_receiver_is_woken_by_the_end() {
    within_a_minute(|| {
        let (here, there) = pair();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| there.recv_waiting(&mut [0; RECV_LEN]));
            here.shutdown();
            assert_eq!(waiting.join().expect("no panic"), Ok(RecvOutcome::Closed));
        });
    });
}

#[test]
fn a_descriptor_set_nonblocking_by_the_other_side_is_waited_on_all_the_same() {
    within_a_minute(|| {
        let (here, there) = pair();
        let flags = fcntl_getfl(&there).expect("an open descriptor");
        fcntl_setfl(&there, flags | OFlags::NONBLOCK).expect("an open descriptor");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| there.recv_waiting(&mut [0; RECV_LEN]));
            assert_eq!(here.send(&numbered(3)), Ok(SendOutcome::Sent));
            assert_eq!(
                waiting.join().expect("no panic"),
                Ok(RecvOutcome::Frame(numbered(3)))
            );
        });
    });
}

#[test]
fn only_a_seqpacket_unix_socket_becomes_a_channel() {
    let (stream, _peer) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    let refused = Channel::from_fd(stream.into()).unwrap_err();
    assert_eq!(refused.status, Status::InvalidArgument);
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("the loopback interface");
    assert!(Channel::from_fd(udp.into()).is_err());
    let null = std::fs::File::open("/dev/null").expect("always there");
    assert!(Channel::from_fd(null.into()).is_err());
    let (here, _there) = pair();
    assert!(Channel::from_fd(here.into_fd()).is_ok());
}
