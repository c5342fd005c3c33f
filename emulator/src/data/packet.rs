//! IPv4 packets as bytes: checksums, rewriting of addresses, making new ones.

use std::net::Ipv4Addr;

/// Protocol numbers (IANA).
pub mod protocol {
    /// ICMP
    pub const ICMP: u8 = 1;
    /// TCP
    pub const TCP: u8 = 6;
    /// UDP
    pub const UDP: u8 = 17;
}

/// Bytes of an IPv4 header without options.
pub const HEADER: usize = 20;

/// The Internet checksum (RFC 1071) of `bytes` on top of `start`, a sum of
/// 16-bit words.
pub fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What an IPv4 header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header, options included.
    pub length: usize,
    /// Bytes of the whole packet.
    pub total: usize,
    /// Protocol.
    pub protocol: u8,
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
    /// Not the first fragment: no ports within.
    pub is_later_fragment: bool,
    /// Part of a fragmented packet, the first included.
    pub is_fragment: bool,
}

impl Header {
    /// The header of `packet`, which may have bytes after its end, or lack
    /// some when it is the quotation in an ICMP error.
    pub fn of(packet: &[u8]) -> Option<Header> {
        let length = usize::from(packet.first()? & 15) * 4;
        let total = usize::from(word(packet, 2)?);
        if packet[0] >> 4 != 4 || length < HEADER || packet.len() < length || total < length {
            return None;
        }
        let offset = word(packet, 6)?;
        Some(Header {
            length,
            total,
            protocol: packet[9],
            source: address(packet, 12)?,
            destination: address(packet, 16)?,
            is_later_fragment: offset & 0x1fff != 0,
            is_fragment: offset & 0x3fff != 0,
        })
    }
}

/// The 16-bit word at `at`.
pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    bytes.get(at..)?.first_chunk().map(|octets| Ipv4Addr::from(*octets))
}

/// Source and destination port of a whole packet or first fragment of TCP or
/// UDP.
pub fn ports(packet: &[u8]) -> Option<(u16, u16)> {
    let header = Header::of(packet)?;
    let has = matches!(header.protocol, protocol::TCP | protocol::UDP);
    if !has || header.is_later_fragment {
        return None;
    }
    Some((word(packet, header.length)?, word(packet, header.length + 2)?))
}

/// Which address to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

/// Rewrites an address and the checksums that it is part of (RFC 1624): the
/// header's, TCP's, and UDP's unless that is 0, which is none.
pub fn rewrite(packet: &mut [u8], side: Side, new: Ipv4Addr) {
    let Some(header) = Header::of(packet) else { return };
    let (at, old) = match side {
        Side::Source => (12, header.source),
        Side::Destination => (16, header.destination),
    };
    packet[at..at + 4].copy_from_slice(&new.octets());
    adjust(packet, 10, old, new);
    if header.is_later_fragment {
        return;
    }
    match header.protocol {
        protocol::TCP => adjust(packet, header.length + 16, old, new),
        protocol::UDP => {
            let at = header.length + 6;
            if word(packet, at).is_some_and(|sum| sum != 0) {
                adjust(packet, at, old, new);
                if word(packet, at) == Some(0) {
                    packet[at..at + 2].fill(0xff);
                }
            }
        }
        _ => {}
    }
}

/// The checksum at `at` after `old` became `new`; a quotation may lack it.
fn adjust(packet: &mut [u8], at: usize, old: Ipv4Addr, new: Ipv4Addr) {
    let Some(sum) = word(packet, at) else { return };
    let [a, b, c, d] = old.octets();
    let mut start = u32::from(!sum);
    start += u32::from(!u16::from_be_bytes([a, b])) + u32::from(!u16::from_be_bytes([c, d]));
    let sum = checksum(start, &new.octets());
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Rewrites an address in the packet that an ICMP error quotes, and the
/// error's own checksum. Other packets are left as they are.
pub fn rewrite_quoted(packet: &mut [u8], side: Side, from: Ipv4Addr, to: Ipv4Addr) {
    let Some(header) = Header::of(packet) else { return };
    // Unreachable, source quench, redirect, time exceeded, parameter problem.
    let error = matches!(packet.get(header.length), Some(3 | 4 | 5 | 11 | 12));
    let end = header.total.min(packet.len());
    if header.protocol != protocol::ICMP || header.is_fragment || !error {
        return;
    }
    let Some(icmp) = packet.get_mut(header.length..end).filter(|icmp| icmp.len() > 8) else {
        return;
    };
    let quoted = &mut icmp[8..];
    let Some(inner) = Header::of(quoted) else { return };
    let old = if side == Side::Source { inner.source } else { inner.destination };
    if old == from {
        rewrite(quoted, side, to);
        icmp[2..4].fill(0);
        let sum = checksum(0, icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// A packet of `payload`, with 64 hops to live.
pub fn make(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    // Callers make packets of less than 64 KiB.
    packet.extend(((HEADER + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(0, &packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A UDP packet from and to these addresses and ports.
pub fn udp(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let mut payload = Vec::with_capacity(usize::from(length));
    for word in [source.1, destination.1, length, 0] {
        payload.extend(word.to_be_bytes());
    }
    payload.extend(data);
    let mut pseudo = [source.0.octets(), destination.0.octets()].concat();
    pseudo.extend([0, protocol::UDP]);
    pseudo.extend(length.to_be_bytes());
    let start = u32::from(!checksum(0, &pseudo));
    let sum = match checksum(start, &payload) {
        0 => 0xffff,
        sum => sum,
    };
    payload[6..8].copy_from_slice(&sum.to_be_bytes());
    make(protocol::UDP, source.0, destination.0, &payload)
}

/// An ICMP packet of this type and code; `rest` begins with the second word.
pub fn icmp(from: Ipv4Addr, to: Ipv4Addr, kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let mut payload = vec![kind[0], kind[1], 0, 0];
    payload.extend(rest);
    let sum = checksum(0, &payload);
    payload[2..4].copy_from_slice(&sum.to_be_bytes());
    make(protocol::ICMP, from, to, &payload)
}

/// The answer to an echo request, `None` for other packets.
pub fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let header = Header::of(packet)?;
    let request = packet.get(header.length..header.total)?;
    let whole = header.protocol == protocol::ICMP && !header.is_fragment;
    if !whole || request.len() < 8 || request[..2] != [8, 0] {
        return None;
    }
    Some(icmp(header.destination, header.source, [0, 0], &request[4..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 100);
    const B: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);
    const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

    proptest! {
        #[test]
        fn a_rewritten_packet_is_as_if_made_with_the_new_address(
            new in any::<[u8; 4]>(), data in proptest::collection::vec(any::<u8>(), 0..64),
            port in any::<u16>(),
        ) {
            let new = Ipv4Addr::from(new);
            let mut packet = udp((A, port), (C, 53), &data);
            rewrite(&mut packet, Side::Source, new);
            prop_assert_eq!(&packet, &udp((new, port), (C, 53), &data));
            rewrite(&mut packet, Side::Destination, A);
            prop_assert_eq!(packet, udp((new, port), (A, 53), &data));
        }

        #[test]
        fn no_bytes_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), v4: bool) {
            if let (true, Some(first)) = (v4, bytes.first_mut()) {
                *first = 0x45;
            }
            rewrite(&mut bytes, Side::Source, B);
            rewrite_quoted(&mut bytes, Side::Source, A, B);
            let _ = (ports(&bytes), echo_reply(&bytes));
        }
    }

    #[test]
    fn udp_without_checksum_stays_without() {
        let mut packet = udp((A, 1), (C, 2), b"x");
        packet[26..28].fill(0);
        rewrite(&mut packet, Side::Source, B);
        assert_eq!(packet[26..28], [0, 0]);
        assert_eq!(checksum(0, &packet[..20]), 0);
    }

    #[test]
    fn what_an_error_quotes_is_rewritten_too() {
        let quote = |source| [vec![0; 4], udp((source, 7), (C, 9), b"hello")].concat();
        let mut packet = icmp(C, B, [3, 3], &quote(B));
        rewrite_quoted(&mut packet, Side::Source, B, A);
        assert_eq!(packet, icmp(C, B, [3, 3], &quote(A)));
    }

    #[test]
    fn echo_is_answered() {
        let reply = echo_reply(&icmp(A, C, [8, 0], b"\0\x01\0\x02data")).unwrap();
        assert_eq!(reply, icmp(C, A, [0, 0], b"\0\x01\0\x02data"));
        assert_eq!(echo_reply(&reply), None);
    }
}
