//! DHCP messages (RFC 2131 section 2, options of RFC 2132): the few fields that
//! a client of a modem needs.

use std::net::Ipv4Addr;

/// Marks the start of options (RFC 2131 section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Length of the fixed part, the cookie included.
const FIXED: usize = 240;

/// Some servers drop what is shorter than BOOTP's 300 bytes (RFC 1542, 2.1).
const LEAST: usize = 300;

// Options, RFC 2132 (26: section 5.1).
const PAD: u8 = 0;
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const MTU: u8 = 26;
const REQUESTED: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const MAX_SIZE: u8 = 57;
const RENEWAL: u8 = 58;
const REBINDING: u8 = 59;
const END: u8 = 255;

/// What a message is for (RFC 2132 section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who gives leases?
    Discover = 1,
    /// One is on offer.
    Offer = 2,
    /// It is wanted, or to be kept.
    Request = 3,
    /// It is given.
    Ack = 5,
    /// It is refused.
    Nak = 6,
    /// It is given back.
    Release = 7,
}

/// A message of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// What for.
    pub kind: Kind,
    /// Number of the transaction; the answer repeats it.
    pub xid: u32,
    /// Seconds since the client began.
    pub seconds: u16,
    /// The client's Ethernet address.
    pub mac: [u8; 6],
    /// The client's address, if it has one that it may use.
    pub client: Ipv4Addr,
    /// The address that is asked for.
    pub requested: Option<Ipv4Addr>,
    /// The server that is meant.
    pub server: Option<Ipv4Addr>,
}

/// A message of a server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What for.
    pub kind: Kind,
    /// Number of the transaction.
    pub xid: u32,
    /// Whom it is for.
    pub mac: [u8; 6],
    /// The address on offer.
    pub address: Ipv4Addr,
    /// Which server.
    pub server: Option<Ipv4Addr>,
    /// Length of the network's prefix in bits.
    pub prefix: Option<u8>,
    /// The first router.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// MTU in bytes.
    pub mtu: Option<u16>,
    /// Seconds that the lease is good for; `u32::MAX` for ever.
    pub lease_s: Option<u32>,
    /// Seconds until it is to be renewed.
    pub renewal_s: Option<u32>,
    /// Seconds until any server may be asked.
    pub rebinding_s: Option<u32>,
}

impl Query {
    /// The bytes on the wire, without IP and UDP headers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // BOOTREQUEST, Ethernet, six bytes of address, no relay.
        let mut bytes = vec![1, 1, 6, 0];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        // No broadcast flag: the packet socket hears answers to an address that
        // is not ours yet.
        bytes.extend([0; 2]);
        bytes.extend(self.client.octets());
        bytes.extend([0; 12]);
        bytes.extend(self.mac);
        bytes.resize(FIXED - COOKIE.len(), 0);
        bytes.extend(COOKIE);
        bytes.extend([KIND, 1, self.kind as u8]);
        let mut address = |option, address: Option<Ipv4Addr>| {
            if let Some(address) = address {
                bytes.extend([option, 4]);
                bytes.extend(address.octets());
            }
        };
        address(REQUESTED, self.requested);
        address(SERVER, self.server);
        if self.kind != Kind::Release {
            // 576 bytes is what every host takes (RFC 2131 section 2).
            bytes.extend([MAX_SIZE, 2, 2, 64]);
            bytes.extend([PARAMETERS, 7]);
            bytes.extend([MASK, ROUTER, DNS, MTU, LEASE_TIME, RENEWAL, REBINDING]);
        }
        bytes.push(END);
        bytes.resize(bytes.len().max(LEAST), PAD);
        bytes
    }
}

impl Reply {
    /// Reads a server's message; `None` for anything else. Options that are
    /// malformed are left out, as are those cut off at the end.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Reply> {
        let fixed = bytes.get(..FIXED)?;
        if fixed[0] != 2 || fixed[FIXED - 4..] != COOKIE {
            return None;
        }
        let mut kind = None;
        let mut reply = Reply {
            kind: Kind::Offer,
            xid: u32::from_be_bytes(fixed[4..8].try_into().ok()?),
            mac: fixed[28..34].try_into().ok()?,
            address: address(&fixed[16..20])?,
            server: None,
            prefix: None,
            router: None,
            dns: Vec::new(),
            mtu: None,
            lease_s: None,
            renewal_s: None,
            rebinding_s: None,
        };
        let mut rest = &bytes[FIXED..];
        while let Some((&option, after)) = rest.split_first() {
            rest = after;
            match option {
                PAD => continue,
                END => break,
                _ => {}
            }
            let Some((&length, after)) = rest.split_first() else { break };
            let Some((value, after)) = after.split_at_checked(usize::from(length)) else { break };
            rest = after;
            match option {
                KIND => kind = value.first().copied(),
                MASK => reply.prefix = prefix(value),
                ROUTER => reply.router = value.get(..4).and_then(address),
                DNS => reply.dns = value.chunks_exact(4).filter_map(address).collect(),
                MTU => reply.mtu = value.try_into().ok().map(u16::from_be_bytes),
                LEASE_TIME => reply.lease_s = value.try_into().ok().map(u32::from_be_bytes),
                RENEWAL => reply.renewal_s = value.try_into().ok().map(u32::from_be_bytes),
                REBINDING => reply.rebinding_s = value.try_into().ok().map(u32::from_be_bytes),
                SERVER => reply.server = address(value),
                _ => {}
            }
        }
        reply.kind = match kind? {
            2 => Kind::Offer,
            5 => Kind::Ack,
            6 => Kind::Nak,
            _ => return None,
        };
        Some(reply)
    }
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

/// The number of leading ones; no prefix at all when others follow a zero.
fn prefix(mask: &[u8]) -> Option<u8> {
    let mask = u32::from_be_bytes(mask.try_into().ok()?);
    let ones = mask.leading_ones();
    (mask.count_ones() == ones).then_some(ones as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply() -> Vec<u8> {
        let mut bytes = vec![0; FIXED];
        bytes[0] = 2;
        bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
        bytes[16..20].copy_from_slice(&[192, 168, 0, 100]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        bytes[236..].copy_from_slice(&COOKIE);
        bytes.extend([0, 53, 1, 5, 1, 4, 255, 255, 255, 0, 3, 4, 192, 168, 0, 1]);
        bytes.extend([6, 8, 192, 168, 0, 1, 8, 8, 8, 8, 26, 2, 5, 148]);
        bytes.extend([51, 4, 0, 0, 14, 16, 54, 4, 192, 168, 0, 1, 255, 53, 1, 6]);
        bytes
    }

    #[test]
    fn reads_an_ack() {
        let reply = Reply::decode(&reply()).unwrap();
        assert_eq!((reply.kind, reply.xid), (Kind::Ack, 0x0102_0304));
        assert_eq!(reply.address, Ipv4Addr::new(192, 168, 0, 100));
        assert_eq!((reply.prefix, reply.mtu, reply.lease_s), (Some(24), Some(1428), Some(3600)));
        assert_eq!(reply.dns, [Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(8, 8, 8, 8)]);
        assert_eq!(reply.router, reply.server);
    }

    #[test]
    fn a_query_has_the_documented_shape() {
        let query = Query {
            kind: Kind::Request,
            xid: 0x0102_0304,
            seconds: 3,
            mac: [2, 0, 0, 0, 0, 1],
            client: Ipv4Addr::UNSPECIFIED,
            requested: Some(Ipv4Addr::new(10, 0, 0, 9)),
            server: Some(Ipv4Addr::new(10, 0, 0, 1)),
        };
        let bytes = query.encode();
        assert_eq!(bytes.len(), LEAST);
        assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 3, 0, 0]);
        assert_eq!(bytes[28..34], query.mac);
        assert_eq!(
            bytes[236..255],
            [99, 130, 83, 99, 53, 1, 3, 50, 4, 10, 0, 0, 9, 54, 4, 10, 0, 0, 1]
        );
        assert_eq!(Reply::decode(&bytes), None, "it is no server's");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(
            bytes in prop::collection::vec(any::<u8>(), 0..400), options in any::<bool>()
        ) {
            let mut all = reply();
            all.truncate(FIXED);
            all.extend(&bytes);
            let _ = Reply::decode(if options { &all } else { &bytes });
        }

        #[test]
        fn a_mask_is_a_prefix_or_nothing(mask in any::<u32>()) {
            match prefix(&mask.to_be_bytes()) {
                Some(0) => prop_assert_eq!(mask, 0),
                Some(bits) => prop_assert_eq!(mask, u32::MAX << (32 - bits)),
                None => prop_assert!((!mask).wrapping_add(1).count_ones() != 1),
            }
        }
    }
}
