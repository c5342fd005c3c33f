//! QEMU's side of a connection.

use super::*;
use crate::modem::Port;
use crate::profile::Profile;
use proptest::prelude::*;

const MAC: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];
/// QEMU 10.0's capabilities.
const QEMU: u32 = 0xff;

fn device() -> Device {
    let profile = Profile::load("a7670e-ecm").unwrap();
    Device::new(&profile.usb, profile.network.framing, MAC, true)
}

/// The host: decodes what the session sends.
struct Host {
    session: Session,
    device: Device,
    decoder: Decoder,
}

impl Host {
    fn new(care: Care) -> Self {
        let mut host =
            Self { session: Session::new(care), device: device(), decoder: Decoder::default() };
        assert!(matches!(host.heard()[..], [Body::Hello { caps: cap::OURS, .. }]));
        let hello = Packet { id: 0, body: Body::Hello { version: "QEMU".into(), caps: QEMU } };
        let bytes = encode(&hello, 0);
        host.session.plug(&host.device);
        assert!(host.heard().is_empty(), "nothing before the peer's hello");
        host.session.receive(&bytes, Some(&mut host.device)).unwrap();
        host
    }

    fn at(&mut self, id: u64, body: Body) -> Vec<Body> {
        let bytes = encode(&Packet { id, body }, QEMU & cap::OURS);
        self.session.receive(&bytes, Some(&mut self.device)).unwrap();
        self.heard()
    }

    fn heard(&mut self) -> Vec<Body> {
        self.decoder.push(&self.session.output());
        std::iter::from_fn(|| self.decoder.packet().unwrap()).map(|packet| packet.body).collect()
    }

    fn configured(care: Care) -> Self {
        let mut host = Self::new(care);
        host.heard();
        host.at(1, Body::SetConfiguration { configuration: 1 });
        host
    }

    fn ask(&mut self, id: u64, endpoint: u8) -> Vec<Body> {
        self.at(
            id,
            Body::Bulk { endpoint, status: Status::Success, length: 4096, stream: 0, data: vec![] },
        )
    }
}

fn reply(endpoint: u8, status: Status, data: &[u8]) -> Body {
    Body::Bulk { endpoint, status, length: data.len() as u32, stream: 0, data: data.to_vec() }
}

#[test]
fn the_device_is_described_before_it_is_connected() {
    let mut host = Host::new(Care::None);
    let heard = host.heard();
    let [
        Body::InterfaceInfo(interfaces),
        Body::EpInfo(table),
        Body::DeviceConnect { speed: 2, vendor: 0x1e0e, product: 0x9011, .. },
    ] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!(interfaces.rows[4], [5, 0xff, 0, 0]);
    // ECM's data endpoints are not there yet, AT's are.
    assert_eq!(table.kind[endpoint_index(0x83)], 255);
    assert_eq!(
        (table.kind[endpoint_index(0x86)], table.max_packet[endpoint_index(0x86)]),
        (2, 512)
    );
    assert!(table.interval[endpoint_index(0x87)] > 0, "QEMU refuses 0");
}

#[test]
fn endpoints_are_told_again_before_each_change() {
    let mut host = Host::new(Care::None);
    host.heard();
    let heard = host.at(1, Body::SetConfiguration { configuration: 1 });
    assert!(matches!(
        heard[..],
        [Body::EpInfo(_), Body::ConfigurationStatus { status: Status::Success, configuration: 1 }]
    ));
    let heard = host.at(2, Body::SetAltSetting { interface: 1, alt: 1 });
    let [
        Body::EpInfo(table),
        Body::AltSettingStatus { status: Status::Success, interface: 1, alt: 1 },
    ] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!(table.kind[endpoint_index(0x83)], 2);
}

#[test]
fn input_waits_for_data_and_ids_may_repeat() {
    let mut host = Host::configured(Care::None);
    assert!(host.ask(77, 0x86).is_empty() && host.ask(77, 0x81).is_empty());
    host.device.send_serial(Port::At, b"OK");
    let Host { session, device, .. } = &mut host;
    session.service(device);
    assert_eq!(host.heard(), [reply(0x86, Status::Success, b"OK")]);
    // A cancel of what is pending is answered, any other is not.
    assert_eq!(host.at(77, Body::CancelDataPacket), [reply(0x81, Status::Cancelled, b"")]);
    assert!(host.at(77, Body::CancelDataPacket).is_empty());
}

#[test]
fn unplugging_cancels_first_and_in_one_piece() {
    let mut host = Host::configured(Care::None);
    host.ask(1, 0x86);
    host.ask(2, 0x81);
    host.session.unplug();
    let cancelled = |endpoint| reply(endpoint, Status::Cancelled, b"");
    assert_eq!(host.heard(), [cancelled(0x86), cancelled(0x81), Body::DeviceDisconnect]);
    // Not in again before QEMU says that it is out.
    host.session.plug(&host.device);
    assert!(host.heard().is_empty());
    let heard = host.at(0, Body::DeviceDisconnectAck);
    assert!(matches!(heard[..], [.., Body::DeviceConnect { .. }]), "{heard:?}");
}

/// SET_CONTROL_LINE_STATE of the AT port's interface.
fn line_state(value: u16) -> Body {
    Body::Control(Control {
        endpoint: 0,
        request: 0x22,
        request_type: 0x21,
        status: Status::Success,
        value,
        index: 4,
        length: 0,
        data: vec![],
    })
}

fn pushed(endpoint: u8, data: &[u8]) -> Body {
    let length = data.len() as u16;
    Body::Interrupt { endpoint, status: Status::Success, length, data: data.to_vec() }
}

impl Host {
    fn serviced(&mut self) -> Vec<Body> {
        self.session.service(&mut self.device);
        self.heard()
    }
}

#[test]
fn with_care_for_dwc2_bulk_input_is_pushed() {
    let mut host = Host::new(Care::Dwc2);
    host.heard();
    let heard = host.at(1, Body::SetConfiguration { configuration: 1 });
    let [Body::EpInfo(table), Body::ConfigurationStatus { .. }] = &heard[..] else {
        panic!("{heard:?}")
    };
    let input = endpoint_index(0x86);
    assert_eq!((table.kind[input], table.interval[input]), (3, 1));
    let (outputs, inputs) = table.kind.split_at(endpoint_index(0x80));
    assert!(outputs.contains(&2) && !inputs.contains(&2), "{table:?}");
    let heard = host.at(2, Body::StartInterruptReceiving { endpoint: 0x86 });
    let status = Status::Success;
    assert_eq!(heard, [Body::InterruptReceivingStatus { status, endpoint: 0x86 }]);
    // Nobody has the port open: the modem keeps it.
    host.device.send_serial(Port::At, b"\r\nRDY\r\n");
    assert!(host.serviced().is_empty());
    assert_eq!(host.at(3, line_state(1))[1..], [pushed(0x86, b"\r\nRDY\r\n")]);
    host.at(4, line_state(0));
    host.device.send_serial(Port::At, b"+CMTI");
    assert!(host.serviced().is_empty());
}

#[test]
fn with_care_for_dwc2_frames_come_in_packets_and_have_an_end() {
    let mut host = Host::configured(Care::Dwc2);
    host.at(2, Body::SetAltSetting { interface: 1, alt: 1 });
    host.at(3, Body::StartInterruptReceiving { endpoint: 0x83 });
    for length in [60, 600, 1024] {
        host.device.send_frame(vec![7; length]);
        let lengths: Vec<usize> = host
            .serviced()
            .iter()
            .map(|body| match body {
                Body::Interrupt { endpoint: 0x83, data, .. } => data.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lengths.iter().sum::<usize>(), length);
        // A packet that is not full ends the transfer.
        assert!(lengths.last().is_some_and(|last| *last < 512), "{lengths:?}");
        assert!(lengths.iter().rev().skip(1).all(|it| *it == 512), "{lengths:?}");
    }
    // A setting without endpoints has no more input.
    host.at(4, Body::SetAltSetting { interface: 1, alt: 0 });
    host.device.send_frame(vec![7; 60]);
    assert!(host.serviced().is_empty());
}

#[test]
fn a_reset_and_a_new_configuration_answer_what_is_pending() {
    for body in [Body::Reset, Body::SetConfiguration { configuration: 1 }] {
        let mut host = Host::configured(Care::None);
        host.ask(1, 0x86);
        let heard = host.at(2, body);
        assert_eq!(heard.first(), Some(&reply(0x86, Status::Cancelled, b"")));
    }
}

#[test]
fn notifications_are_pushed_when_asked_for() {
    let mut host = Host::configured(Care::None);
    host.at(2, Body::SetAltSetting { interface: 1, alt: 1 });
    let heard = host.at(3, Body::StartInterruptReceiving { endpoint: 0x87 });
    assert!(matches!(
        heard[..],
        [
            Body::InterruptReceivingStatus { status: Status::Success, endpoint: 0x87 },
            Body::Interrupt { endpoint: 0x87, length: 8, .. },
            Body::Interrupt { endpoint: 0x87, length: 16, .. }
        ]
    ));
}

proptest! {
    #[test]
    fn no_packets_harm(
        packets in proptest::collection::vec(
            (0_u32..110, proptest::collection::vec(any::<u8>(), 0..40)), 0..30),
    ) {
        let mut host = Host::configured(Care::Dwc2);
        for (kind, data) in packets {
            let packet = Packet { id: 3, body: Body::Other { kind, data } };
            let bytes = encode(&packet, cap::OURS);
            if host.session.receive(&bytes, Some(&mut host.device)).is_err() {
                break;
            }
        }
    }
}
