//! usbredir packets to bytes; the other direction is [`super::wire`]'s.

use super::wire::{Body, Packet, VERSION, cap, kind};

/// The bytes of `packet` between peers that have `caps` in common.
pub fn encode(packet: &Packet, caps: u32) -> Vec<u8> {
    let mut b = Vec::new();
    let kind = encode_body(&packet.body, caps, &mut b);
    let mut out = Vec::with_capacity(16 + b.len());
    out.extend(kind.to_le_bytes());
    // Nothing that is encoded here comes near 4 GiB.
    out.extend(u32::try_from(b.len()).unwrap_or(u32::MAX).to_le_bytes());
    if cap::has(caps, cap::IDS_64) && kind != kind::HELLO {
        out.extend(packet.id.to_le_bytes());
    } else {
        out.extend((packet.id as u32).to_le_bytes());
    }
    out.append(&mut b);
    out
}

/// Writes the body, gives the type's number.
fn encode_body(body: &Body, caps: u32, b: &mut Vec<u8>) -> u32 {
    match body {
        Body::Hello { version, caps } => {
            let mut text = [0; VERSION];
            // The last byte stays 0.
            for (to, from) in text[..VERSION - 1].iter_mut().zip(version.bytes()) {
                *to = from;
            }
            b.extend(text);
            b.extend(caps.to_le_bytes());
            kind::HELLO
        }
        Body::DeviceConnect { speed, class, vendor, product, version } => {
            b.push(*speed);
            b.extend(class);
            b.extend(vendor.to_le_bytes());
            b.extend(product.to_le_bytes());
            if cap::has(caps, cap::CONNECT_DEVICE_VERSION) {
                b.extend(version.to_le_bytes());
            }
            kind::DEVICE_CONNECT
        }
        Body::DeviceDisconnect => kind::DEVICE_DISCONNECT,
        Body::Reset => kind::RESET,
        Body::InterfaceInfo(table) => {
            let rows = &table.rows[..table.rows.len().min(32)];
            b.extend((rows.len() as u32).to_le_bytes());
            for column in 0..4 {
                let mut bytes = [0; 32];
                for (to, row) in bytes.iter_mut().zip(rows) {
                    *to = row[column];
                }
                b.extend(bytes);
            }
            kind::INTERFACE_INFO
        }
        Body::EpInfo(table) => {
            b.extend(table.kind);
            b.extend(table.interval);
            b.extend(table.interface);
            if cap::has(caps, cap::EP_INFO_MAX_PACKET_SIZE) {
                b.extend(table.max_packet.iter().flat_map(|size| size.to_le_bytes()));
            }
            kind::EP_INFO
        }
        Body::SetConfiguration { configuration } => {
            b.push(*configuration);
            kind::SET_CONFIGURATION
        }
        Body::GetConfiguration => kind::GET_CONFIGURATION,
        Body::ConfigurationStatus { status, configuration } => {
            b.extend([*status as u8, *configuration]);
            kind::CONFIGURATION_STATUS
        }
        Body::SetAltSetting { interface, alt } => {
            b.extend([*interface, *alt]);
            kind::SET_ALT_SETTING
        }
        Body::GetAltSetting { interface } => {
            b.push(*interface);
            kind::GET_ALT_SETTING
        }
        Body::AltSettingStatus { status, interface, alt } => {
            b.extend([*status as u8, *interface, *alt]);
            kind::ALT_SETTING_STATUS
        }
        Body::StartInterruptReceiving { endpoint } => {
            b.push(*endpoint);
            kind::START_INTERRUPT_RECEIVING
        }
        Body::StopInterruptReceiving { endpoint } => {
            b.push(*endpoint);
            kind::STOP_INTERRUPT_RECEIVING
        }
        Body::InterruptReceivingStatus { status, endpoint } => {
            b.extend([*status as u8, *endpoint]);
            kind::INTERRUPT_RECEIVING_STATUS
        }
        Body::CancelDataPacket => kind::CANCEL_DATA_PACKET,
        Body::FilterReject => kind::FILTER_REJECT,
        Body::FilterFilter(text) => {
            b.extend(text.as_bytes());
            b.push(0);
            kind::FILTER_FILTER
        }
        Body::DeviceDisconnectAck => kind::DEVICE_DISCONNECT_ACK,
        Body::Control(c) => {
            b.extend([c.endpoint, c.request, c.request_type, c.status as u8]);
            b.extend([c.value, c.index, c.length].iter().flat_map(|v| v.to_le_bytes()));
            b.extend(&c.data);
            kind::CONTROL_PACKET
        }
        Body::Bulk { endpoint, status, length, stream, data } => {
            b.extend([*endpoint, *status as u8]);
            b.extend((*length as u16).to_le_bytes());
            b.extend(stream.to_le_bytes());
            if cap::has(caps, cap::BULK_LENGTH_32) {
                b.extend(((length >> 16) as u16).to_le_bytes());
            }
            b.extend(data);
            kind::BULK_PACKET
        }
        Body::Interrupt { endpoint, status, length, data } => {
            b.extend([*endpoint, *status as u8]);
            b.extend(length.to_le_bytes());
            b.extend(data);
            kind::INTERRUPT_PACKET
        }
        Body::Other { kind, data } => {
            b.extend(data);
            *kind
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{Control, Decoder, EndpointTable, InterfaceTable, Status, WireError};
    use super::*;

    fn hello(caps: u32) -> Packet {
        Packet { id: 0, body: Body::Hello { version: "peer".into(), caps } }
    }

    /// Decodes `bytes` in pieces of `step` after a hello with `caps`.
    fn decode(caps: u32, bytes: &[u8], step: usize) -> Result<Vec<Packet>, WireError> {
        let mut decoder = Decoder::default();
        decoder.push(&encode(&hello(caps), 0));
        assert_eq!(decoder.packet(), Ok(Some(hello(caps))));
        let mut found = Vec::new();
        for piece in bytes.chunks(step) {
            decoder.push(piece);
            while let Some(packet) = decoder.packet()? {
                found.push(packet);
            }
        }
        Ok(found)
    }

    fn status() -> impl Strategy<Value = Status> {
        prop_oneof![
            Just(Status::Success),
            Just(Status::Cancelled),
            Just(Status::Invalid),
            Just(Status::IoError),
            Just(Status::Stall),
        ]
    }

    fn data() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..600)
    }

    fn body() -> impl Strategy<Value = Body> {
        let control = (any::<[u8; 3]>(), status(), any::<[u16; 3]>(), data());
        prop_oneof![
            Just(Body::DeviceDisconnect),
            Just(Body::Reset),
            Just(Body::GetConfiguration),
            Just(Body::CancelDataPacket),
            Just(Body::FilterReject),
            Just(Body::DeviceDisconnectAck),
            (any::<u8>(), any::<[u8; 3]>(), any::<[u16; 3]>()).prop_map(|(speed, class, v)| {
                Body::DeviceConnect { speed, class, vendor: v[0], product: v[1], version: v[2] }
            }),
            proptest::collection::vec(any::<[u8; 4]>(), 0..32)
                .prop_map(|rows| Body::InterfaceInfo(InterfaceTable { rows })),
            (any::<[[u8; 32]; 3]>(), any::<[u16; 32]>()).prop_map(|(t, max_packet)| {
                let [kind, interval, interface] = t;
                Body::EpInfo(Box::new(EndpointTable { kind, interval, interface, max_packet }))
            }),
            any::<u8>().prop_map(|configuration| Body::SetConfiguration { configuration }),
            (status(), any::<u8>()).prop_map(|(status, configuration)| {
                Body::ConfigurationStatus { status, configuration }
            }),
            any::<[u8; 2]>().prop_map(|[interface, alt]| Body::SetAltSetting { interface, alt }),
            any::<u8>().prop_map(|interface| Body::GetAltSetting { interface }),
            (status(), any::<[u8; 2]>()).prop_map(|(status, [interface, alt])| {
                Body::AltSettingStatus { status, interface, alt }
            }),
            any::<u8>().prop_map(|endpoint| Body::StartInterruptReceiving { endpoint }),
            any::<u8>().prop_map(|endpoint| Body::StopInterruptReceiving { endpoint }),
            (status(), any::<u8>()).prop_map(|(status, endpoint)| {
                Body::InterruptReceivingStatus { status, endpoint }
            }),
            "[a-z0-9,:|]{0,40}".prop_map(Body::FilterFilter),
            control.prop_map(|([endpoint, request, request_type], status, v, data)| {
                let [value, index, length] = v;
                Body::Control(Control {
                    endpoint,
                    request,
                    request_type,
                    status,
                    value,
                    index,
                    length,
                    data,
                })
            }),
            (any::<u8>(), status(), any::<[u32; 2]>(), data()).prop_map(
                |(endpoint, status, [length, stream], data)| Body::Bulk {
                    endpoint,
                    status,
                    length,
                    stream,
                    data,
                }
            ),
            (any::<u8>(), status(), any::<u16>(), data()).prop_map(
                |(endpoint, status, length, data)| Body::Interrupt {
                    endpoint,
                    status,
                    length,
                    data,
                }
            ),
            data().prop_map(|data| Body::Other { kind: 102, data }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_however_it_is_cut(
            packets in proptest::collection::vec((any::<u64>(), body()), 0..8),
            step in 1_usize..700,
        ) {
            let packets: Vec<Packet> =
                packets.into_iter().map(|(id, body)| Packet { id, body }).collect();
            let bytes: Vec<u8> =
                packets.iter().flat_map(|packet| encode(packet, cap::OURS)).collect();
            prop_assert_eq!(decode(0xff, &bytes, step), Ok(packets));
        }

        #[test]
        fn no_bytes_harm(bytes in data(), caps in any::<u32>(), step in 1_usize..64) {
            // Errors are fine; to come back is what counts.
            let _ = decode(caps, &bytes, step);
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            let _ = decoder.packet();
        }

        #[test]
        fn no_body_harms(kind in 0_u32..110, body in data(), caps in any::<u32>()) {
            let packet = Packet { id: 1, body: Body::Other { kind, data: body } };
            let common = caps & cap::OURS;
            let _ = decode(caps, &encode(&packet, common), 4096);
        }
    }

    #[test]
    fn layouts_are_the_protocols() {
        // Lengths by usbredirproto.h: header 12 or 16, hello 68, ep_info 96 + 64,
        // device_connect 8 + 2, bulk header 8 + 2, control header 10.
        let lengths = |body: Body| {
            let packet = Packet { id: 7, body };
            (encode(&packet, 0).len() - 12, encode(&packet, cap::OURS).len() - 16)
        };
        assert_eq!(encode(&hello(0), cap::OURS).len(), 12 + 68);
        let connect =
            Body::DeviceConnect { speed: 2, class: [0; 3], vendor: 1, product: 2, version: 3 };
        assert_eq!(lengths(connect), (8, 10));
        let bulk = Body::Bulk {
            endpoint: 0x83,
            status: Status::Success,
            length: 0x0001_0002,
            stream: 0,
            data: Vec::new(),
        };
        assert_eq!(lengths(bulk.clone()), (8, 10));
        assert_eq!(lengths(Body::InterfaceInfo(InterfaceTable::default())), (132, 132));
        assert_eq!(
            encode(&Packet { id: 0x11_2233_4455, body: bulk }, cap::OURS),
            [
                101, 0, 0, 0, 10, 0, 0, 0, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0x83, 0, 2, 0, 0,
                0, 0, 0, 1, 0
            ]
        );
    }

    #[test]
    fn a_second_hello_changes_nothing() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(&hello(0xff), 0));
        assert_eq!(decoder.packet(), Ok(Some(hello(0xff))));
        // Its header has the form that the first one has settled: a wide id.
        let mut second = encode(&hello(0), 0);
        second.splice(12..12, [0; 4]);
        decoder.push(&second);
        assert_eq!(decoder.packet(), Ok(Some(hello(0))));
        assert_eq!(decoder.common(), Some(cap::OURS));
    }

    #[test]
    fn nonsense_is_named() {
        let mut decoder = Decoder::default();
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert_eq!(decoder.packet(), Err(WireError::NoHello(0x2054_4547)));
        let long = [0_u8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        let mut decoder = Decoder::default();
        decoder.push(&long);
        assert!(matches!(decoder.packet(), Err(WireError::TooLong { .. })));
    }
}
