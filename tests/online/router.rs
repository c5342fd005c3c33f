//! An IPv6 router behind the modem's link: answers a solicitation with an
//! advertisement (RFC 4861 sections 4.1 and 4.2), and counts what it would forward.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use a7670e_emulator::data::packet::checksum;

/// The network that it advertises, a /64 of the range for documentation.
pub const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa7, 0x670e, 0, 0, 0, 0);
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const EVERYBODY: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const MAC: [u8; 6] = [0x02, 0x0c, 0x29, 0xa3, 0x9b, 0x06];
/// EtherType, next header.
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
/// Bytes of the headers of Ethernet and IPv6.
const HEADERS: usize = 14 + 40;

/// Shared with a test; it is silent until it is switched on.
#[derive(Debug, Default)]
pub struct Router {
    pub on: AtomicBool,
    /// Solicitations that it heard.
    pub asked: AtomicU32,
    /// Packets from its network to hosts beyond it.
    pub forwarded: AtomicU32,
}

impl Router {
    /// Hears a frame of the host; gives its answer.
    pub fn hear(&self, frame: &[u8]) -> Option<Vec<u8>> {
        if frame.len() < HEADERS + 1 || frame[12..14] != IPV6 {
            return None;
        }
        let address =
            |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
        let (source, destination) = (address(22), address(38));
        if source.segments()[..4] == PREFIX.segments()[..4] && !destination.is_multicast() {
            self.forwarded.fetch_add(1, Ordering::Relaxed);
        }
        let solicits = frame[20] == ICMPV6 && frame[HEADERS] == 133 && frame[21] == 255;
        if !solicits || !self.on.load(Ordering::Relaxed) {
            return None;
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(advertisement())
    }
}

/// For half an hour, with its Ethernet address and a network for addresses.
fn advertisement() -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(1800_u16.to_be_bytes());
    message.extend([0; 8]);
    message.extend([1, 1]);
    message.extend(MAC);
    // On this link, and for addresses; valid, preferred (seconds), reserved.
    message.extend([3, 4, 64, 0xc0]);
    for seconds in [7200_u32, 3600, 0] {
        message.extend(seconds.to_be_bytes());
    }
    message.extend(PREFIX.octets());
    let length = u16::try_from(message.len()).unwrap();
    let mut pseudo = [ADDRESS.octets(), EVERYBODY.octets()].concat();
    pseudo.extend([0, 0]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, ICMPV6]);
    let sum = checksum(u32::from(!checksum(0, &pseudo)), &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(MAC);
    frame.extend(IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(ADDRESS.octets());
    frame.extend(EVERYBODY.octets());
    frame.extend(message);
    frame
}
