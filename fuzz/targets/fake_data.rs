//! The emulated modem's network: no frame makes it panic, and what it gives to
//! the far end is IPv4 from the carrier's address.
#![no_main]

use std::net::Ipv4Addr;
use std::time::Duration;

use a7670e_emulator::data::DataPath;
use a7670e_emulator::data::packet::{Header, Side, echo_reply, ports, rewrite, rewrite_quoted};
use a7670e_emulator::link::{Framing, Lan, Link, LinkFaults};
use libfuzzer_sys::fuzz_target;

const CARRIER: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 100);

/// Frames that a host may send, each behind its length, one byte.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first()?;
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        Some(frame)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let raw = choice & 1 != 0;
    let link = Link {
        framing: if raw { Framing::RawIp } else { Framing::Ecm },
        carrier: true,
        forwarding: true,
        call: choice & 4 != 0,
        lan: if choice & 2 != 0 || raw {
            Lan::Public
        } else {
            Lan::Private { third: 0, first_host: 100, last_host: 200 }
        },
        address: CARRIER,
        faults: LinkFaults::default(),
    };
    let now = Duration::ZERO;
    let mut path = DataPath::new(1);
    path.attach(now, &link);
    for frame in frames(bytes) {
        path.from_host(now, frame);
        path.from_call(now, frame);
        for packet in path.advance(now) {
            let header = Header::of(&packet).expect("what is no IPv4 stays here");
            assert_eq!(header.source, CARRIER);
        }
        path.from_far(now, frame.to_vec());
        path.advance(now);
        while path.to_host().is_some() || path.to_call().is_some() {}

        let mut copy = frame.to_vec();
        rewrite(&mut copy, Side::Destination, OTHER);
        rewrite_quoted(&mut copy, Side::Source, OTHER, CARRIER);
        assert_eq!(copy.len(), frame.len());
        _ = (ports(frame), echo_reply(frame));
    }
});
