//! What a Linux host does to the device, without a transport.

use super::*;
use crate::profile::Profile;
use crate::usb::rndis;

const MAC: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];

fn device(profile: &str) -> Device {
    let profile = Profile::load(profile).unwrap();
    let mut device = Device::new(&profile.usb, profile.network.framing, MAC, true);
    device.set_configuration(1).unwrap();
    assert_eq!(device.take(), [Event::Reset]);
    device
}

fn setup(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> Setup {
    Setup { request_type, request, value, index, length }
}

#[test]
fn a_port_is_opened_written_and_read() {
    let mut device = device("a7670e-ecm");
    assert_eq!(device.control(setup(0x21, 0x22, 3, 4, 0), &[]), Ok(vec![]));
    assert_eq!(device.dtr(0x86), Some(true));
    assert_eq!(device.interrupt_in(0x89), Some(vec![0xa1, 0x20, 0, 0, 4, 0, 2, 0, 2, 0]));
    assert_eq!(device.bulk_out(0x0f, b"AT\r", false), Ok(()));
    let wanted = [Event::Line(Port::At, true), Event::Serial(Port::At, b"AT\r".to_vec())];
    assert_eq!(device.take(), wanted);
    assert_eq!(device.bulk_in(0x86, 4096), Ok(None));
    device.send_serial(Port::At, b"\r\nOK\r\n");
    assert_eq!(device.bulk_in(0x86, 4), Ok(Some(b"\r\nOK".to_vec())));
    assert_eq!(device.bulk_in(0x86, 4096), Ok(Some(b"\r\n".to_vec())));
    let coding = vec![0x80, 0x25, 0, 0, 0, 0, 8];
    assert_eq!(device.control(setup(0x21, 0x20, 0, 4, 7), &coding), Ok(vec![]));
    assert_eq!(device.control(setup(0xa1, 0x21, 0, 4, 7), &[]), Ok(coding));
    // A reset drops DTR.
    device.reset();
    assert_eq!(device.take(), [Event::Reset, Event::Line(Port::At, false)]);
}

#[test]
fn descriptors_are_cut_to_what_was_asked_for() {
    let mut device = device("a7670e-ecm");
    assert_eq!(device.control(setup(0x80, 6, 0x0200, 0, 9), &[]).unwrap().len(), 9);
    assert_eq!(device.control(setup(0x80, 6, 0x0200, 0, 512), &[]).unwrap().len(), 209);
    assert_eq!(device.control(setup(0x80, 6, 0x0f00, 0, 5), &[]), Err(Stall));
    assert_eq!(device.control(setup(0xc0, 1, 0, 0, 5), &[]), Err(Stall), "vendor request");
    assert_eq!(device.control(setup(0x21, 0x22, 1, 9, 0), &[]), Err(Stall), "no interface 9");
}

#[test]
fn ecm_has_data_in_setting_1_and_says_when_the_link_is_there() {
    let mut device = device("a7670e-ecm");
    assert_eq!(device.bulk_in(0x83, 2048), Err(Stall));
    device.set_interface(1, 1).unwrap();
    assert_eq!((device.interface(1), device.set_interface(1, 2)), (Ok(1), Err(Stall)));
    assert_eq!(device.control(setup(0x21, 0x43, 0xc, 0, 0), &[]), Ok(vec![]));
    assert_eq!(device.interrupt_in(0x87), Some(vec![0xa1, 0, 1, 0, 0, 0, 0, 0]));
    assert_eq!(device.interrupt_in(0x87).unwrap()[..8], [0xa1, 0x2a, 0, 0, 0, 0, 8, 0]);
    // What the host does not fetch is replaced by later news.
    device.set_carrier(false);
    device.set_carrier(true);
    device.set_carrier(false);
    assert_eq!(device.interrupt_in(0x87), Some(vec![0xa1, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(device.interrupt_in(0x87), None);
}

#[test]
fn transfers_of_whole_packets_end_with_an_empty_one() {
    let mut device = device("a7670e-ecm");
    device.set_interface(1, 1).unwrap();
    for (frame, asked) in [(512, 2048), (1024, 2048), (1514, 2048)] {
        device.send_frame(vec![7; frame]);
        assert_eq!(device.bulk_in(0x83, asked).unwrap().unwrap().len(), frame);
        // As QEMU's dwc2 goes on: with the remainder.
        let wanted = (frame % 512 == 0).then(Vec::new);
        assert_eq!(device.bulk_in(0x83, asked - frame).unwrap(), wanted);
    }
    // As a host that takes the short answer for the end.
    device.send_frame(vec![7; 512]);
    device.send_frame(vec![8; 60]);
    assert_eq!(device.bulk_in(0x83, 2048).unwrap().unwrap().len(), 512);
    assert_eq!(device.bulk_in(0x83, 2048).unwrap().unwrap(), [8; 60]);
    // As a host that asks packet by packet.
    device.send_frame(vec![7; 1024]);
    let pieces: Vec<_> = std::iter::from_fn(|| device.bulk_in(0x83, 512).unwrap()).collect();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512, 0]);
}

#[test]
fn frames_from_the_host_are_put_together() {
    let mut device = device("a7670e-ecm");
    device.set_interface(1, 1).unwrap();
    for piece in [512, 512, 490] {
        device.bulk_out(0x0c, &vec![1; piece], false).unwrap();
    }
    assert_eq!(device.take(), [Event::Frame(vec![1; 1514])]);
    device.bulk_out(0x0c, &[2; 512], true).unwrap();
    assert_eq!(device.take(), [Event::Frame(vec![2; 512])]);
}

#[test]
fn rndis_packs_what_waits_into_one_transfer() {
    let mut device = device("a7670e-rndis");
    let initialize: Vec<u8> =
        [2_u32, 24, 1, 1, 0, 2048].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(device.control(setup(0x21, 0, 0, 0, 24), &initialize), Ok(vec![]));
    assert_eq!(device.interrupt_in(0x87), Some(vec![1, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(device.control(setup(0xa1, 1, 0, 0, 1025), &[]).unwrap().len(), 52);
    device.send_frame(vec![1; 60]);
    device.send_frame(vec![2; 1514]);
    device.send_frame(vec![3; 1514]);
    let transfer = device.bulk_in(0x83, 2048).unwrap().unwrap();
    assert_eq!(rndis::unpack(&transfer), [vec![1; 60], vec![2; 1514]]);
    let mut out = Vec::new();
    rndis::pack(&[4; 1514], &mut out);
    device.bulk_out(0x0c, &out, false).unwrap();
    assert_eq!(device.take(), [Event::Frame(vec![4; 1514])]);
}

#[test]
fn raw_ip_transfers_are_packets() {
    let mut device = device("sim7600-ndis");
    assert_eq!(device.control(setup(0x21, 0x22, 1, 5, 0), &[]), Ok(vec![]));
    let mut packet = vec![0; 1024];
    packet[..4].copy_from_slice(&[0x45, 0, 4, 0]);
    // Two whole USB packets: the IP header says that this is all.
    device.bulk_out(0x06, &packet[..512], false).unwrap();
    device.bulk_out(0x06, &packet[512..], false).unwrap();
    device.bulk_out(0x06, &[], false).unwrap();
    assert_eq!(device.take(), [Event::Frame(packet.clone())]);
    device.send_frame(packet.clone());
    assert_eq!(device.bulk_in(0x8a, 2048), Ok(Some(packet)));
}
