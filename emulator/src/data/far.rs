//! A far end within the emulator: enough of an Internet to prove a connection,
//! without any privilege. It answers echo requests to every address, and DNS
//! questions: every name under `example.test` is [`HOST`].

use std::net::Ipv4Addr;

use super::packet::{self, Header, protocol};

/// The resolver that the modem's gateway asks (TEST-NET-1, RFC 5737).
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// Every host of `example.test`.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// The only zone.
const ZONE: &str = "example.test";
/// Seconds that an answer may be kept.
const TTL: u32 = 60;
/// DNS by UDP (RFC 1035).
const DNS: u16 = 53;

/// What comes back for `packet`.
pub fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    if let Some(reply) = packet::echo_reply(packet) {
        return Some(reply);
    }
    let header = Header::of(packet)?;
    if header.protocol != protocol::UDP || header.is_fragment {
        return None;
    }
    let (source, destination) = packet::ports(packet)?;
    if destination == DNS {
        let question = packet.get(header.length + 8..header.total)?;
        let reply = resolve(question)?;
        return Some(packet::udp((header.destination, DNS), (header.source, source), &reply));
    }
    unreachable(packet, header.destination)
}

/// "Port unreachable" for `packet`, sent by `from`.
pub fn unreachable(packet: &[u8], from: Ipv4Addr) -> Option<Vec<u8>> {
    let header = Header::of(packet)?;
    // Not about errors, later fragments and broadcasts (RFC 1122 section 3.2.2).
    if header.is_later_fragment
        || header.protocol == protocol::ICMP
        || header.source.is_unspecified()
    {
        return None;
    }
    let quoted = packet.get(..header.total.min(header.length + 8))?;
    Some(packet::icmp(from, header.source, [3, 3], &[&[0; 4], quoted].concat()))
}

/// The answer to a DNS message with one question.
fn resolve(message: &[u8]) -> Option<Vec<u8>> {
    let flags = packet::word(message, 2)?;
    // A standard query with one question.
    if flags & 0xf800 != 0 || packet::word(message, 4)? != 1 {
        return None;
    }
    let (name, end) = name(message)?;
    let (kind, class) = (packet::word(message, end)?, packet::word(message, end + 2)?);
    let ours = name == ZONE || name.ends_with(".example.test");
    let answers = u16::from(ours && (kind, class) == (1, 1));
    let code = if ours { 0 } else { 3 };
    let mut reply = message[..2].to_vec();
    // A response, authoritative, recursion available, and as was desired.
    for word in [0x8480 | (flags & 0x0100) | code, 1, answers, 0, 0] {
        reply.extend(word.to_be_bytes());
    }
    reply.extend(message.get(12..end + 4)?);
    if answers == 1 {
        // The name as in the question, at offset 12; A; IN.
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(TTL.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(HOST.octets());
    }
    Some(reply)
}

/// The question's name in lower case, and where it ends.
fn name(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        // A question's name is not compressed.
        let label = message.get(at..at + length).filter(|_| length < 64)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);

    fn ask(name: &str) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.extend([0, 0, 1, 0, 1]);
        let reply = answer(&packet::udp((ME, 4000), (RESOLVER, 53), &message)).unwrap();
        assert_eq!(packet::ports(&reply), Some((53, 4000)));
        reply[28..].to_vec()
    }

    #[test]
    fn names_of_the_zone_resolve_and_others_do_not_exist() {
        let reply = ask("www.Example.test");
        assert_eq!(reply[..8], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1]);
        assert!(reply.ends_with(&HOST.octets()));
        assert_eq!(ask("notexample.test")[..8], [0xab, 0xcd, 0x85, 0x83, 0, 1, 0, 0]);
    }

    #[test]
    fn closed_ports_are_said_to_be_closed() {
        let reply = answer(&packet::udp((ME, 4000), (HOST, 9), b"x")).unwrap();
        assert_eq!((reply[20], reply[21]), (3, 3));
    }

    proptest! {
        #[test]
        fn no_bytes_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = answer(&packet::udp((ME, 1), (HOST, 53), &bytes));
        }
    }
}
