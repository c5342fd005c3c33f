//! The client's side, byte for byte as usbip(8) and vhci_hcd send it.

use proptest::prelude::*;

use super::*;
use crate::modem::Port;
use crate::profile::Profile;
use crate::usb::device::Event;

const MAC: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];
const LIST: [u8; 8] = [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0];

fn device() -> Device {
    let profile = Profile::load("a7670e-ecm").unwrap();
    Device::new(&profile.usb, profile.network.framing, MAC, true)
}

fn import(id: &str) -> Vec<u8> {
    let mut bytes = vec![0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
    bytes.extend(id.bytes());
    bytes.resize(40, 0);
    bytes
}

/// A header with these fields, as many as are given.
fn header(fields: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = fields.iter().flat_map(|it| it.to_be_bytes()).collect();
    bytes.resize(48, 0);
    bytes
}

/// USBIP_CMD_SUBMIT as vhci_hcd sends it: device 1-2, no flags, packets -1.
fn submit(number: u32, input: bool, endpoint: u32, length: u32, setup: [u8; 8]) -> Vec<u8> {
    let direction = u32::from(input);
    let fields = [1, number, 0x0001_0002, direction, endpoint, 0, length, 0, u32::MAX, 0];
    let mut bytes = header(&fields);
    bytes[40..].copy_from_slice(&setup);
    bytes
}

/// USBIP_RET_SUBMIT.
fn submitted(number: u32, status: i32, length: u32) -> Vec<u8> {
    header(&[3, number, 0, 0, 0, status as u32, length])
}

/// A host that has the device.
struct Host {
    session: Session,
    device: Device,
}

impl Host {
    fn new() -> Self {
        let mut host = Self { session: Session::default(), device: device() };
        host.say(&import(BUS_ID));
        let configured = host.say(&submit(1, false, 0, 0, [0, 9, 1, 0, 0, 0, 0, 0]));
        assert_eq!(configured, submitted(1, 0, 0));
        assert_eq!(host.device.configuration(), 1);
        host
    }

    fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.session.receive(bytes, Some(&mut self.device), true).unwrap();
        self.session.output()
    }
}

#[test]
fn the_device_is_listed_with_its_interfaces() {
    let mut session = Session::default();
    session.receive(&LIST, Some(&mut device()), true).unwrap();
    let list = session.output();
    assert_eq!(list[..12], [0x01, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
    let device = &list[12..];
    assert!(device[..256].starts_with(b"/sys/devices/"));
    assert_eq!(device[256..260], *b"1-1\0");
    // Bus 1, device 2, high speed; ids; class; not configured, of 1; interfaces.
    assert_eq!(device[288..300], [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    assert_eq!(device[300..306], [0x1e, 0x0e, 0x90, 0x11, 1, 0]);
    assert_eq!(device[309..312], [0, 1, 5]);
    assert_eq!(device.len(), 312 + 5 * 4);
    // The first interface is CDC Ethernet's.
    assert_eq!(device[312..316], [2, 6, 0, 0]);
    let mut nobody = Session::default();
    nobody.receive(&LIST, None, true).unwrap();
    assert_eq!(nobody.output(), [0x01, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_device_is_imported_once_by_its_name() {
    let refused = [0x01, 0x11, 0, 3, 0, 0, 0, 1];
    let mut session = Session::default();
    for (id, free) in [("1-2", true), (BUS_ID, false)] {
        session.receive(&import(id), Some(&mut device()), free).unwrap();
        assert_eq!((session.output(), session.has_device()), (refused.to_vec(), false));
    }
    session.receive(&import(BUS_ID), None, true).unwrap();
    assert_eq!(session.output(), refused);
    session.receive(&import(BUS_ID), Some(&mut device()), true).unwrap();
    let answer = session.output();
    assert_eq!((answer.len(), &answer[..8]), (320, &[0x01, 0x11, 0, 3, 0, 0, 0, 0][..]));
    assert!(session.has_device());
}

#[test]
fn control_transfers_carry_descriptors_and_stalls() {
    let mut host = Host::new();
    // GET_DESCRIPTOR of the device, with more room than it has bytes.
    let answer = host.say(&submit(7, true, 0, 64, [0x80, 6, 0, 1, 0, 0, 64, 0]));
    assert_eq!(answer[..48], submitted(7, 0, 18));
    assert_eq!(answer[48..58], [18, 1, 0, 2, 0xef, 2, 1, 64, 0x0e, 0x1e]);
    // A descriptor that it does not have stalls: -EPIPE.
    let answer = host.say(&submit(8, true, 0, 8, [0x80, 6, 0, 0x0f, 0, 0, 8, 0]));
    assert_eq!(answer, submitted(8, -32, 0));
    // SET_LINE_CODING has data.
    let mut coding = submit(9, false, 0, 7, [0x21, 0x20, 0, 0, 4, 0, 7, 0]);
    coding.extend([0x80, 0x25, 0, 0, 0, 0, 8]);
    assert_eq!(host.say(&coding), submitted(9, 0, 7));
    let answer = host.say(&submit(10, true, 0, 7, [0xa1, 0x21, 0, 0, 4, 0, 7, 0]));
    assert_eq!(answer, [submitted(10, 0, 7), vec![0x80, 0x25, 0, 0, 0, 0, 8]].concat());
}

#[test]
fn bulk_input_waits_and_is_taken_back() {
    let mut host = Host::new();
    for number in [20, 21] {
        assert!(host.say(&submit(number, true, 6, 4096, [0; 8])).is_empty());
    }
    let mut command = submit(22, false, 15, 3, [0; 8]);
    command.extend(b"AT\r");
    host.device.take();
    // In two pieces, as TCP may have it.
    assert!(host.say(&command[..49]).is_empty());
    assert_eq!(host.say(&command[49..]), submitted(22, 0, 3));
    assert_eq!(host.device.take(), [Event::Serial(Port::At, b"AT\r".to_vec())]);
    host.device.send_serial(Port::At, b"\r\nOK\r\n");
    host.session.service(&mut host.device);
    assert_eq!(host.session.output(), [submitted(20, 0, 6), b"\r\nOK\r\n".to_vec()].concat());
    // USBIP_CMD_UNLINK: -ECONNRESET and no other answer, or 0 when too late.
    let unlink = |number, victim| header(&[2, number, 0x0001_0002, 0, 0, victim]);
    assert_eq!(host.say(&unlink(23, 21)), header(&[4, 23, 0, 0, 0, -104_i32 as u32]));
    assert_eq!(host.say(&unlink(24, 20)), header(&[4, 24, 0, 0, 0, 0]));
    host.device.send_serial(Port::At, b"late");
    host.session.service(&mut host.device);
    assert!(host.session.output().is_empty());
}

#[test]
fn frames_and_notifications_cross() {
    let mut host = Host::new();
    assert!(host.say(&submit(2, true, 7, 16, [0; 8])).is_empty());
    let answer = host.say(&submit(3, false, 0, 0, [1, 11, 1, 0, 1, 0, 0, 0]));
    let notification = [submitted(2, 0, 8), vec![0xa1, 0, 1, 0, 0, 0, 0, 0]].concat();
    assert_eq!(answer, [submitted(3, 0, 0), notification].concat());
    // A frame of a multiple of 512 bytes is whole in one transfer, both ways.
    let frame = vec![0x5a; 1024];
    let out = host.device.endpoints().iter().find_map(|(interface, end)| {
        (*interface == 1 && end.address & 0x80 == 0).then_some(end.address)
    });
    let mut transfer = submit(4, false, u32::from(out.unwrap()), 1024, [0; 8]);
    transfer.extend(&frame);
    host.device.take();
    assert_eq!(host.say(&transfer), submitted(4, 0, 1024));
    assert_eq!(host.device.take(), [Event::Frame(frame.clone())]);
    host.device.send_frame(frame.clone());
    host.device.send_frame(vec![1; 60]);
    let mut answer = host.say(&submit(5, true, 3, 2048, [0; 8]));
    answer.extend(host.say(&submit(6, true, 3, 2048, [0; 8])));
    let wanted = [submitted(5, 0, 1024), frame, submitted(6, 0, 60), vec![1; 60]].concat();
    assert_eq!(answer, wanted);
    // No such endpoint.
    assert_eq!(host.say(&submit(7, true, 14, 8, [0; 8])), submitted(7, -32, 0));
}

#[test]
fn isochronous_and_overlong_transfers_are_refused() {
    let mut host = Host::new();
    let mut iso = submit(2, true, 3, 64, [0; 8]);
    iso[32..36].copy_from_slice(&4_u32.to_be_bytes());
    assert_eq!(host.say(&iso), submitted(2, -22, 0));
    let long = submit(3, false, 15, wire::LONGEST + 1, [0; 8]);
    let error = host.session.receive(&long, Some(&mut host.device), true).unwrap_err();
    assert_eq!(error, WireError::Length(wire::LONGEST + 1));
    let mut old = Session::default();
    assert_eq!(old.receive(&[1, 6, 0x80, 5], None, true), Err(WireError::Version(0x0106)));
    assert_eq!(old.receive(&[], None, true), Err(WireError::Version(0x0106)));
}

proptest! {
    #[test]
    fn no_bytes_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), command in 0_u32..4, imported: bool,
    ) {
        let (mut session, mut device) = (Session::default(), device());
        if imported {
            session.receive(&import(BUS_ID), Some(&mut device), true).unwrap();
        }
        let start = [&command.to_be_bytes()[..], &bytes].concat();
        let _ = session.receive(if imported { &start } else { &bytes }, Some(&mut device), true);
    }
}
