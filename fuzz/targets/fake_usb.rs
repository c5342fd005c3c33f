//! The emulated USB device behind usbredir: no peer makes it panic, and all
//! that it says is usbredir.
#![no_main]

use std::sync::OnceLock;

use a7670e_emulator::profile::Profile;
use a7670e_emulator::usb::device::{Device, Event};
use a7670e_emulator::usb::redir::encode::encode;
use a7670e_emulator::usb::redir::session::{Care, Session};
use a7670e_emulator::usb::redir::wire::{Body, Decoder, Packet, cap};
use a7670e_emulator::usb::rndis::{Rndis, unpack};
use libfuzzer_sys::fuzz_target;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

static PROFILES: OnceLock<Vec<Profile>> = OnceLock::new();

/// A peer with as many capabilities as the session, or with none.
struct Host(Option<Decoder>);

impl Host {
    /// Reads what the session says. The decoder offers what the session does, so
    /// it cannot stand for a peer with less.
    fn listen(&mut self, session: &mut Session) {
        let said = session.output();
        if let Some(decoder) = &mut self.0 {
            decoder.push(&said);
            while decoder.packet().expect("usbredir").is_some() {}
        }
    }
}

fn run(profile: &Profile, care: Care, able: bool, bytes: &[u8]) {
    let mut device = Device::new(&profile.usb, profile.network.framing, MAC, true);
    let mut session = Session::new(care);
    let mut host = Host(able.then(Decoder::default));
    let caps = if able { cap::OURS } else { 0 };
    session.plug(&device);
    let hello = Packet { id: 0, body: Body::Hello { version: "host".into(), caps } };
    session.receive(&encode(&hello, 0), Some(&mut device)).expect("a good hello");
    host.listen(&mut session);
    for piece in bytes.chunks(64) {
        if session.receive(piece, Some(&mut device)).is_err() {
            return;
        }
        for event in device.take() {
            match event {
                Event::Serial(port, bytes) => device.send_serial(port, &bytes),
                Event::Frame(frame) => device.send_frame(frame),
                _ => {}
            }
        }
        host.listen(&mut session);
    }
    session.unplug();
    host.listen(&mut session);
}

fuzz_target!(|bytes: &[u8]| {
    let profiles = PROFILES.get_or_init(|| {
        ["a7670e-ecm", "a7670e-rndis", "sim7600-ndis"]
            .map(|name| Profile::load(name).expect("ours"))
            .to_vec()
    });
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let profile = &profiles[usize::from(choice) % profiles.len()];
    let care = if choice & 0x40 == 0 { Care::None } else { Care::Dwc2 };
    run(profile, care, choice & 0x80 == 0, rest);

    let mut rndis = Rndis::new(MAC, true);
    if rndis.command(rest) {
        assert!(rndis.response().len() >= 12);
    }
    _ = unpack(rest);
});
