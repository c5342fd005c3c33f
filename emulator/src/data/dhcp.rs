//! The modem's DHCP server (RFC 2131), as far as one host needs it.
//!
//! Six options go out and three are read, so this has its own codec; hosts'
//! DHCP clients judge it.

use std::net::Ipv4Addr;

/// Seconds of a lease. No public source tells the modem's own; this is long
/// enough not to disturb and short enough to see a renewal in a day's test.
pub const LEASE: u32 = 43_200;
/// Where options begin, behind their cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Option numbers (RFC 2132).
mod option {
    pub const MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const REQUESTED: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const END: u8 = 255;
}

/// Message types.
mod kind {
    pub const DISCOVER: u8 = 1;
    pub const OFFER: u8 = 2;
    pub const REQUEST: u8 = 3;
    pub const ACK: u8 = 5;
    pub const NAK: u8 = 6;
    pub const INFORM: u8 = 8;
}

/// What the server gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The host's address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// Name server, the server itself, and usually the gateway.
    pub gateway: Ipv4Addr,
    /// The gateway that is told.
    pub router: Ipv4Addr,
    /// Seconds that the lease lasts.
    pub lease: u32,
    /// No lease is extended.
    pub nak_renewal: bool,
}

/// The value of an option in the message `bytes`.
fn find(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut options = bytes.get(OPTIONS..)?;
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [number, length, rest @ ..] if *number != option::END => {
                let value = rest.get(..usize::from(*length))?;
                if *number == wanted {
                    return Some(value);
                }
                options = &rest[usize::from(*length)..];
            }
            _ => return None,
        }
    }
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

/// The answer to the client's message `bytes`; `None` when none is due.
pub fn answer(bytes: &[u8], offer: Offer) -> Option<Vec<u8>> {
    // A request by Ethernet.
    if bytes.get(236..OPTIONS) != Some(&COOKIE) || bytes.get(..3) != Some(&[1, 1, 6]) {
        return None;
    }
    let server = find(bytes, option::SERVER).and_then(address);
    if server.is_some_and(|server| server != offer.gateway) {
        // The host chose another server.
        return None;
    }
    let current = address(&bytes[12..16]).filter(|it| !it.is_unspecified());
    let wanted = find(bytes, option::REQUESTED).and_then(address).or(current);
    let kind = match find(bytes, option::TYPE)? {
        // Only who has an address gives it there (RFC 2131 section 4.3.6).
        [kind::REQUEST] if offer.nak_renewal && current.is_some() => kind::NAK,
        [kind::DISCOVER] => kind::OFFER,
        [kind::REQUEST] if wanted == Some(offer.address) => kind::ACK,
        // The address of another network, or of the time before a reset.
        [kind::REQUEST] => kind::NAK,
        [kind::INFORM] => kind::ACK,
        _ => return None,
    };
    let inform = find(bytes, option::TYPE) == Some(&[kind::INFORM]);
    let mut reply = vec![2, 1, 6, 0];
    // xid; secs 0; flags; the client's own address when it has one
    reply.extend(&bytes[4..8]);
    reply.extend([0, 0]);
    reply.extend(&bytes[10..12]);
    reply.extend(if kind == kind::NAK { &[0; 4] } else { &bytes[12..16] });
    let given = kind != kind::NAK && !inform;
    reply.extend(if given { offer.address.octets() } else { [0; 4] });
    // siaddr, giaddr; chaddr; sname and file
    reply.extend([0; 8]);
    reply.extend(&bytes[28..44]);
    reply.resize(236, 0);
    reply.extend(COOKIE);
    let mut add = |number: u8, value: &[u8]| {
        reply.extend([number, value.len() as u8]);
        reply.extend(value);
    };
    let gateway = offer.gateway.octets();
    add(option::TYPE, &[kind]);
    add(option::SERVER, &gateway);
    if kind != kind::NAK {
        let mask = u32::MAX.checked_shl(32 - u32::from(offer.prefix)).unwrap_or(0);
        add(option::MASK, &mask.to_be_bytes());
        add(option::ROUTER, &offer.router.octets());
        add(option::DNS, &gateway);
        if given {
            add(option::LEASE, &offer.lease.to_be_bytes());
        }
    }
    reply.push(option::END);
    // BOOTP's least size (RFC 1542 section 2.1).
    reply.resize(reply.len().max(300), 0);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: Offer = Offer {
        address: Ipv4Addr::new(192, 168, 0, 100),
        prefix: 24,
        gateway: Ipv4Addr::new(192, 168, 0, 1),
        router: Ipv4Addr::new(192, 168, 0, 1),
        lease: LEASE,
        nak_renewal: false,
    };

    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 6, 0, 1, 2, 3, 4];
        bytes.resize(28, 0);
        bytes.extend([0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d]);
        bytes.resize(236, 0);
        bytes.extend(COOKIE);
        bytes.extend(options);
        bytes.push(option::END);
        bytes
    }

    #[test]
    fn a_lease_is_offered_confirmed_and_refused() {
        let reply = answer(&message(&[53, 1, 1]), OFFER).unwrap();
        assert_eq!(
            (reply[0], &reply[4..8], &reply[16..20]),
            (2, &[1, 2, 3, 4][..], &[192, 168, 0, 100][..])
        );
        assert_eq!(find(&reply, option::TYPE), Some(&[kind::OFFER][..]));
        assert_eq!(find(&reply, option::MASK), Some(&[255, 255, 255, 0][..]));
        assert_eq!(find(&reply, option::ROUTER), Some(&[192, 168, 0, 1][..]));
        let request = [53, 1, 3, 54, 4, 192, 168, 0, 1, 50, 4, 192, 168, 0, 100];
        let reply = answer(&message(&request), OFFER).unwrap();
        assert_eq!(find(&reply, option::TYPE), Some(&[kind::ACK][..]));
        assert_eq!(find(&reply, option::LEASE), Some(&LEASE.to_be_bytes()[..]));
        let stale = [53, 1, 3, 50, 4, 192, 168, 69, 100];
        let reply = answer(&message(&stale), OFFER).unwrap();
        assert_eq!(
            (find(&reply, option::TYPE), &reply[16..20]),
            (Some(&[kind::NAK][..]), &[0; 4][..])
        );
        let elsewhere = [53, 1, 3, 54, 4, 10, 0, 0, 1];
        assert_eq!(answer(&message(&elsewhere), OFFER), None);
        assert_eq!(answer(&message(&[53, 1, 7]), OFFER), None, "a release");
    }

    #[test]
    fn faulty_leases_are_short_and_not_renewed_and_lead_nowhere() {
        let nowhere = Ipv4Addr::new(192, 168, 0, 254);
        let offer = Offer { router: nowhere, lease: 10, nak_renewal: true, ..OFFER };
        let request = message(&[53, 1, 3, 50, 4, 192, 168, 0, 100]);
        let reply = answer(&request, offer).unwrap();
        assert_eq!(find(&reply, option::TYPE), Some(&[kind::ACK][..]));
        assert_eq!(find(&reply, option::LEASE), Some(&[0, 0, 0, 10][..]));
        assert_eq!(find(&reply, option::ROUTER), Some(&nowhere.octets()[..]));
        assert_eq!(find(&reply, option::DNS), Some(&OFFER.gateway.octets()[..]));
        let mut renewal = message(&[53, 1, 3]);
        renewal[12..16].copy_from_slice(&OFFER.address.octets());
        let kind = |offer| find(&answer(&renewal, offer).unwrap(), option::TYPE).unwrap().to_vec();
        assert_eq!(kind(offer), [kind::NAK]);
        assert_eq!(kind(Offer { nak_renewal: false, ..offer }), [kind::ACK]);
    }

    proptest! {
        #[test]
        fn no_bytes_harm(options in proptest::collection::vec(any::<u8>(), 0..60), cut in 0_usize..300) {
            let mut bytes = message(&options);
            bytes.truncate(cut);
            let _ = answer(&bytes, OFFER);
        }
    }
}
