//! The serving threads against a hand-driven daemon: the test holds the other end of the channel and
//! the other mapping of the arena.

mod begin;
mod events;
mod pool;
mod rig;
mod rings;

use std::ffi::CString;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fuse_promise_core::{ProviderNumber, Status, Token};
use fuse_promise_wire::{
    Channel, FrameBytes, PROTOCOL_VERSION, ReadFrame, SendOutcome, SessionEvent, ToProvider,
};
use rustix::net::SendFlags;

use crate::gate::Gate;
use crate::handler::{ReadHandler, ReadRequest};
use crate::registration::Registered;
use crate::session::{End, Session};
use crate::test_support::{GUARD, Handler};
use rig::{Done, GEOMETRY, LARGE_SLOT, Rig, arena, hello};

/// Fills the buffer with the lowest byte of the offset, behind a gate.
fn gated(gate: &Arc<Gate>) -> impl ReadHandler + 'static {
    let gate = Arc::clone(gate);
    Handler(move |request: &ReadRequest<'_>, buffer: &mut [u8]| {
        gate.pass();
        buffer.fill(request.offset.to_le_bytes()[0]);
        Ok(buffer.len())
    })
}

fn assert_failed(done: &Done, status: Status) {
    assert_eq!((done.status, done.length), (Some(status), 0));
}

#[test]
fn the_handler_is_told_everything_and_writes_into_the_slot() {
    type Seen = (CString, CString, CString, u64, usize);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let rig = Rig::new(Handler({
        let seen = Arc::clone(&seen);
        move |request: &ReadRequest<'_>, buffer: &mut [u8]| {
            seen.lock().unwrap().push((
                request.promise_id.to_owned(),
                request.node_id.to_owned(),
                request.relative_path.to_owned(),
                request.offset,
                request.length,
            ));
            buffer.copy_from_slice(b"sixteen bytes...");
            Ok(16)
        }
    }));
    let row = rig.commit();
    let done = rig.read(rig.frame(row));
    assert_eq!((done.status, done.length), (Some(Status::Ok), 16));
    assert_eq!(rig.slot(0, 16), b"sixteen bytes...");
    let expected = (
        c"promise-5".to_owned(),
        c"id of file".to_owned(),
        c"dir/file".to_owned(),
        1000,
        16,
    );
    assert_eq!(*seen.lock().unwrap(), [expected]);
}

#[test]
fn a_short_answer_is_continued_behind_its_end() {
    let rig = Rig::new(Handler(|request: &ReadRequest<'_>, buffer: &mut [u8]| {
        let count = buffer.len().min(10);
        buffer[..count].fill(u8::try_from(request.offset / 10).unwrap());
        Ok(count)
    }));
    let row = rig.commit();
    let whole = ReadFrame {
        offset: 0,
        length: 16,
        slot: LARGE_SLOT,
        ..rig.frame(row)
    };
    assert_eq!(rig.read(whole).length, 10);
    let rest = ReadFrame {
        offset: 10,
        length: 6,
        slot_offset: 10,
        ..whole
    };
    assert_eq!(rig.read(rest).length, 6);
    let slot = rig.slot(LARGE_SLOT, 17);
    assert_eq!(slot, [&[0; 10][..], &[1; 6], &[0]].concat());
}

#[test]
fn a_refusal_fails_its_read_with_the_handlers_status() {
    let next: Arc<Mutex<Status>> = Arc::new(Mutex::new(Status::Io));
    let rig = Rig::new(Handler({
        let next = Arc::clone(&next);
        move |_: &ReadRequest<'_>, _: &mut [u8]| Err(*next.lock().unwrap())
    }));
    let row = rig.commit();
    for status in Status::ALL {
        *next.lock().unwrap() = status;
        // Success is no refusal, and neither is what only a call can say.
        let expected = match Status::from_provider(status.code()) {
            Status::Ok => Status::Io,
            told => told,
        };
        assert_failed(&rig.read(rig.frame(row)), expected);
    }
}

#[test]
fn a_panic_or_too_many_bytes_fail_one_read_and_no_more() {
    let rig = Rig::new(Handler(
        |request: &ReadRequest<'_>, buffer: &mut [u8]| match request.offset {
            1 => panic!("the handler's own"),
            2 => Ok(buffer.len() + 1),
            _ => Ok(buffer.len()),
        },
    ));
    let row = rig.commit();
    for offset in [1, 2] {
        let frame = ReadFrame {
            offset,
            ..rig.frame(row)
        };
        assert_failed(&rig.read(frame), Status::Io);
        assert_eq!(rig.read(rig.frame(row)).length, 16);
    }
}

fn counting(calls: &Arc<AtomicU32>) -> impl ReadHandler + 'static {
    let calls = Arc::clone(calls);
    Handler(move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
        calls.fetch_add(1, Ordering::Relaxed);
        Ok(buffer.len())
    })
}

#[test]
fn what_is_not_known_is_not_found_and_the_handler_hears_nothing() {
    let calls = Arc::default();
    let rig = Rig::new(counting(&calls));
    let row = rig.commit();
    let known = rig.frame(row);
    for frame in [
        ReadFrame {
            promise: 6,
            ..known
        },
        ReadFrame {
            promise: 0,
            ..known
        },
        ReadFrame { row: 0, ..known },
        ReadFrame { row: 77, ..known },
        ReadFrame {
            row: u32::MAX,
            ..known
        },
    ] {
        assert_failed(&rig.read(frame), Status::NotFound);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(rig.read(rig.frame(row)).length, 16);
}

#[test]
fn a_promise_is_served_until_its_release() {
    let rig = Rig::new(counting(&Arc::default()));
    let row = rig.commit();
    rig.event(SessionEvent::Destroyed, 5, 0);
    assert_eq!(rig.read(rig.frame(row)).status, Some(Status::Ok));
    rig.event(SessionEvent::Released, 5, 0);
    assert_failed(&rig.read(rig.frame(row)), Status::NotFound);
}

#[test]
fn a_read_of_another_epoch_is_answered_without_the_handler() {
    let calls = Arc::default();
    let rig = Rig::new(counting(&calls));
    let row = rig.commit();
    let stale = ReadFrame {
        epoch: 2,
        ..rig.frame(row)
    };
    assert_failed(&rig.read(stale), Status::Io);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_new_hello_brings_a_new_arena() {
    let rig = Rig::new(Handler(|_: &ReadRequest<'_>, buffer: &mut [u8]| {
        buffer.fill(b'n');
        Ok(buffer.len())
    }));
    let row = rig.commit();
    let (renewed, memory) = arena();
    rig.send(hello(2));
    let greeting = hello(2).encode();
    let sent = rig.channel.send_with_fd(&greeting, memory.as_fd());
    assert_eq!(sent, Ok(SendOutcome::Sent));
    let frame = ReadFrame {
        epoch: 2,
        ..rig.frame(row)
    };
    assert_eq!(rig.read(frame).status, Some(Status::Ok));
    assert_eq!(renewed.claim(0).unwrap().bytes(16), [b'n'; 16]);
    assert_eq!(rig.slot(0, 16), [0; 16]);
    // The old epoch is over.
    assert_failed(&rig.read(rig.frame(row)), Status::Io);
}

#[test]
fn a_hello_without_memory_or_of_another_version_ends_the_session() {
    let rig = Rig::new(counting(&Arc::default()));
    rig.send(hello(2));
    rig.send(hello(2));
    assert!(rig.fault().contains("arena"));

    let rig = Rig::new(counting(&Arc::default()));
    let (_renewed, memory) = arena();
    let other = ToProvider::Hello {
        protocol: PROTOCOL_VERSION + 1,
        epoch: 2,
        geometry: GEOMETRY,
    };
    rig.send(other);
    rig.channel
        .send_with_fd(&other.encode(), memory.as_fd())
        .unwrap();
    assert!(rig.fault().contains("version"));
}

#[test]
fn slots_that_cannot_be_meant_end_the_session() {
    for (slot, slot_offset, length) in [
        (9, 0, 16),
        (u32::MAX, 0, 16),
        (0, 0, (64 << 10) + 1),
        (0, 64 << 10, 1),
        (0, u32::MAX, u32::MAX),
    ] {
        let rig = Rig::new(counting(&Arc::default()));
        let row = rig.commit();
        rig.send(ToProvider::Read(ReadFrame {
            slot,
            slot_offset,
            length,
            ..rig.frame(row)
        }));
        assert!(
            rig.fault().contains("slot"),
            "{slot} {slot_offset} {length}"
        );
    }
}

#[test]
fn packets_that_are_no_frames_end_the_session() {
    let nonsense: FrameBytes = [0xff; 64];
    for packet in [&nonsense[..], &[0; 64], &[1], &[0; 65]] {
        let rig = Rig::new(counting(&Arc::default()));
        rustix::net::send(&rig.channel, packet, SendFlags::empty()).unwrap();
        assert!(!rig.fault().is_empty());
    }
}

#[test]
fn the_daemons_end_ends_the_session() {
    let rig = Rig::new(counting(&Arc::default()));
    rig.event(SessionEvent::Ended, 0, 0);
    assert_eq!(rig.end(), End::EndedByDaemon);

    let Rig {
        channel, session, ..
    } = Rig::new(counting(&Arc::default()));
    assert!(!session.is_over());
    drop(channel);
    session.wait_until_ended();
    assert_eq!(session.end(), Some(End::HungUp));
    assert!(session.is_over());
}

#[test]
fn a_daemon_that_goes_away_during_a_call_is_noticed_after_it() {
    let (entered, wait_entered) = std::sync::mpsc::channel();
    let (leave, wait_leave) = std::sync::mpsc::channel();
    let wait_leave = Mutex::new(wait_leave);
    let rig = Rig::new(Handler(move |_: &ReadRequest<'_>, buffer: &mut [u8]| {
        entered.send(()).unwrap();
        wait_leave.lock().unwrap().recv_timeout(GUARD).unwrap();
        Ok(buffer.len())
    }));
    let row = rig.commit();
    rig.send(ToProvider::Read(rig.frame(row)));
    wait_entered.recv_timeout(GUARD).unwrap();
    let Rig {
        channel, session, ..
    } = rig;
    drop(channel);
    assert!(session.is_over(), "seen at once, though the thread is busy");
    leave.send(()).unwrap();
    session.wait_until_ended();
    assert_eq!(session.end(), Some(End::HungUp));
}

#[test]
fn a_cancelled_read_is_answered_all_the_same() {
    let rig = Rig::new(counting(&Arc::default()));
    let row = rig.commit();
    let frame = rig.frame(row);
    rig.send(ToProvider::Cancel {
        request: frame.request,
    });
    assert_eq!(rig.read(frame).status, Some(Status::Ok));
    assert_eq!(rig.session.cancelled(), 1);
}
