use super::*;
use proptest::prelude::*;

const GEOMETRY: Geometry = Geometry {
    small_len: 128 << 10,
    small_count: 4,
    large_len: 1 << 20,
    large_count: 2,
};

fn any_to_provider() -> impl Strategy<Value = ToProvider> {
    let geometry = any::<[u32; 4]>().prop_map(
        |[small_len, small_count, large_len, large_count]| Geometry {
            small_len,
            small_count,
            large_len,
            large_count,
        },
    );
    let read = any::<([u64; 2], [u32; 8])>().prop_map(
        |([request, offset], [epoch, promise, row, length, slot, slot_offset, pid, tid])| {
            ReadFrame {
                request,
                epoch,
                promise,
                row,
                offset,
                length,
                slot,
                slot_offset,
                pid,
                tid,
            }
        },
    );
    let event = (1..=4u32).prop_map(|number| SessionEvent::from_number(number).expect("known"));
    prop_oneof![
        (any::<u32>(), geometry).prop_map(|(epoch, geometry)| ToProvider::Hello {
            protocol: PROTOCOL_VERSION,
            epoch,
            geometry,
        }),
        read.prop_map(ToProvider::Read),
        any::<u64>().prop_map(|request| ToProvider::Cancel { request }),
        (event, any::<u32>(), any::<u64>()).prop_map(|(event, promise, argument)| {
            ToProvider::Event {
                event,
                promise,
                argument,
            }
        }),
        Just(ToProvider::Bell),
    ]
}

fn any_to_daemon() -> impl Strategy<Value = ToDaemon> {
    prop_oneof![
        any::<u32>().prop_map(|protocol| ToDaemon::Hello { protocol }),
        any::<(u64, u32, u32, u32)>().prop_map(|(request, epoch, status, length)| ToDaemon::Done {
            request,
            epoch,
            status,
            length,
        }),
        any::<(u64, u32)>().prop_map(|(request, epoch)| ToDaemon::Alive { request, epoch }),
        Just(ToDaemon::Bell),
    ]
}

/// The bytes of `frame` behind its last field.
fn fields_len(frame: &FrameBytes) -> usize {
    FRAME_LEN - frame.iter().rev().take_while(|byte| **byte == 0).count()
}

proptest! {
    #[test]
    fn what_the_daemon_says_comes_back(frame in any_to_provider()) {
        prop_assert_eq!(ToProvider::decode(&frame.encode()), Ok(frame));
        let kind = u32::from_ne_bytes(frame.encode()[..4].try_into().expect("four bytes"));
        prop_assert_eq!(
            ToDaemon::decode(&frame.encode()),
            Err(FrameError::UnknownKind(kind)),
            "no frame means something in both directions"
        );
    }

    #[test]
    fn what_the_provider_says_comes_back(frame in any_to_daemon()) {
        prop_assert_eq!(ToDaemon::decode(&frame.encode()), Ok(frame));
    }

    #[test]
    fn no_packet_breaks_the_decoders(packet in proptest::collection::vec(any::<u8>(), 0..80)) {
        let size = (packet.len() != FRAME_LEN).then_some(FrameError::Size(packet.len()));
        for error in [ToDaemon::decode(&packet).err(), ToProvider::decode(&packet).err()] {
            if size.is_some() {
                prop_assert_eq!(error, size);
            }
        }
    }

    #[test]
    fn what_is_decoded_is_encoded_alike(kind in 0..20u32, body in any::<[u32; 15]>()) {
        let mut writer = FieldWriter::new(kind);
        for word in body {
            writer = writer.u32(word);
        }
        let packet = writer.finish();
        if let Ok(frame) = ToDaemon::decode(&packet)
            && !matches!(frame, ToDaemon::Hello { .. })
        {
            prop_assert_eq!(frame.encode(), packet);
        }
        if let Ok(frame) = ToProvider::decode(&packet)
            && !matches!(frame, ToProvider::Hello { .. })
        {
            prop_assert_eq!(frame.encode(), packet);
        }
    }
}

#[test]
fn every_wrong_size_is_refused() {
    let frame = ToDaemon::Alive {
        request: 1,
        epoch: 1,
    }
    .encode();
    let mut long = frame.to_vec();
    long.push(0);
    for packet in [&frame[..0], &frame[..1], &frame[..63], &long] {
        let size = Err(FrameError::Size(packet.len()));
        assert_eq!(ToDaemon::decode(packet), size);
    }
}

#[test]
fn unknown_kinds_and_events_are_refused() {
    for kind in [0, 6, 16, 21, u32::MAX] {
        let packet = FieldWriter::new(kind).finish();
        assert_eq!(
            ToDaemon::decode(&packet),
            Err(FrameError::UnknownKind(kind))
        );
        assert_eq!(
            ToProvider::decode(&packet),
            Err(FrameError::UnknownKind(kind))
        );
    }
    for number in [0, 5, u32::MAX] {
        let packet = FieldWriter::new(kind::EVENT).u32(number).finish();
        assert_eq!(
            ToProvider::decode(&packet),
            Err(FrameError::UnknownEvent(number))
        );
    }
}

#[test]
fn every_reserved_byte_must_be_zero() {
    const FULL: u32 = u32::MAX;
    let to_daemon = [
        ToDaemon::Hello {
            protocol: PROTOCOL_VERSION,
        }
        .encode(),
        ToDaemon::Done {
            request: u64::MAX,
            epoch: FULL,
            status: FULL,
            length: FULL,
        }
        .encode(),
        ToDaemon::Alive {
            request: u64::MAX,
            epoch: FULL,
        }
        .encode(),
    ];
    for frame in to_daemon {
        // The hello's version is a small number with zeros behind it.
        for place in fields_len(&frame).next_multiple_of(4)..FRAME_LEN {
            let mut spoiled = frame;
            spoiled[place] = 1;
            assert_eq!(ToDaemon::decode(&spoiled), Err(FrameError::Reserved));
        }
    }
    let to_provider = [
        ToProvider::Hello {
            protocol: PROTOCOL_VERSION,
            epoch: FULL,
            geometry: GEOMETRY,
        }
        .encode(),
        ToProvider::Cancel { request: u64::MAX }.encode(),
        ToProvider::Event {
            event: SessionEvent::Ended,
            promise: FULL,
            argument: u64::MAX,
        }
        .encode(),
    ];
    for frame in to_provider {
        for place in fields_len(&frame).next_multiple_of(4)..FRAME_LEN {
            let mut spoiled = frame;
            spoiled[place] = 1;
            assert_eq!(ToProvider::decode(&spoiled), Err(FrameError::Reserved));
        }
    }
}

#[test]
fn the_hello_of_another_version_tells_its_version() {
    let mut packet = ToDaemon::Hello {
        protocol: PROTOCOL_VERSION + 1,
    }
    .encode();
    packet[FRAME_LEN - 1] = 7;
    assert_eq!(
        ToDaemon::decode(&packet),
        Ok(ToDaemon::Hello {
            protocol: PROTOCOL_VERSION + 1
        })
    );
    let mut packet = ToProvider::Hello {
        protocol: 9,
        epoch: 1,
        geometry: GEOMETRY,
    }
    .encode();
    packet[FRAME_LEN - 1] = 7;
    assert!(matches!(
        ToProvider::decode(&packet),
        Ok(ToProvider::Hello { protocol: 9, .. })
    ));
}
