//! Options of LCP and IPCP, and how two ends agree on them (RFC 1661 sections
//! 5 and 6, RFC 1332 section 3, RFC 1877).

use std::net::Ipv4Addr;

use super::{Addresses, MRU, code};

/// Options of LCP (RFC 1661 section 6, RFC 1662 section 7).
mod link {
    pub const MRU: u8 = 1;
    pub const MAP: u8 = 2;
    pub const AUTHENTICATION: u8 = 3;
    pub const MAGIC: u8 = 5;
    pub const PROTOCOL_FIELD: u8 = 7;
    pub const ADDRESS_FIELD: u8 = 8;
}

/// Options of IPCP (RFC 1332 section 3.3, RFC 1877 section 1).
mod address {
    pub const ADDRESS: u8 = 3;
    pub const FIRST_DNS: u8 = 129;
    pub const SECOND_DNS: u8 = 131;
}

/// Type and value of each option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// Ours of LCP: no control character need be escaped, and who are you, by
    /// PAP.
    pub fn link() -> Self {
        Self(vec![(link::MAP, vec![0; 4]), (link::AUTHENTICATION, vec![0xc0, 0x23])])
    }

    /// Ours of IPCP.
    pub fn address(own: Ipv4Addr) -> Self {
        Self(vec![(address::ADDRESS, own.octets().to_vec())])
    }

    /// From the data of a Configure packet; `None` when its lengths are wrong.
    fn decode(mut data: &[u8]) -> Option<Self> {
        let mut options = Vec::new();
        while let [kind, length, ..] = *data {
            let value = data.get(2..usize::from(length))?;
            options.push((kind, value.to_vec()));
            data = &data[usize::from(length)..];
        }
        data.is_empty().then_some(Self(options))
    }

    fn encode(&self) -> Vec<u8> {
        // A value came in an option or is short, so its length fits.
        self.0.iter().flat_map(|(kind, v)| [&[*kind, v.len() as u8 + 2][..], v].concat()).collect()
    }
}

/// What is asked of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// LCP.
    Link,
    /// IPCP.
    Address(Addresses),
}

/// What to say to an option.
enum Verdict {
    Fine,
    Rather(Vec<u8>),
    Unknown,
}

/// One protocol's agreement.
#[derive(Debug)]
pub struct Negotiation {
    policy: Policy,
    ours: Options,
    /// The host has agreed to ours, and we to the host's.
    agreed: (bool, bool),
    /// Control characters that the host wants escaped, all until it says so.
    map: u32,
    /// Longest information field that the host takes.
    mru: usize,
}

impl Negotiation {
    /// Nothing is agreed on.
    pub fn new(policy: Policy, ours: Options) -> Self {
        Self { policy, ours, agreed: (false, false), map: u32::MAX, mru: MRU }
    }

    /// Whether both ends agree.
    pub fn is_open(&self) -> bool {
        self.agreed == (true, true)
    }

    /// The data of our Configure-Request.
    pub fn ours(&self) -> Vec<u8> {
        self.ours.encode()
    }

    /// The host's async control character map.
    pub fn host_map(&self) -> u32 {
        self.map
    }

    /// The host's maximum receive unit.
    pub fn host_mru(&self) -> usize {
        self.mru
    }

    /// Whether the host has to say who it is.
    pub fn asks_for_pap(&self) -> bool {
        self.ours.0.iter().any(|(kind, _)| *kind == link::AUTHENTICATION)
    }

    /// Judges the host's Configure-Request; gives the code and the data of the
    /// answer.
    pub fn judge(&mut self, data: &[u8]) -> (u8, Vec<u8>) {
        self.agreed.1 = false;
        let Some(options) = Options::decode(data) else {
            // No option can be named; ours end the matter.
            return (code::CONFIGURE_REJECT, Vec::new());
        };
        let (mut unknown, mut rather) = (Vec::new(), Vec::new());
        for (kind, value) in &options.0 {
            match self.verdict(*kind, value) {
                Verdict::Fine => {}
                Verdict::Rather(better) => rather.push((*kind, better)),
                Verdict::Unknown => unknown.push((*kind, value.clone())),
            }
        }
        if !unknown.is_empty() {
            return (code::CONFIGURE_REJECT, Options(unknown).encode());
        }
        if !rather.is_empty() {
            return (code::CONFIGURE_NAK, Options(rather).encode());
        }
        // What it does not name is as if nothing was ever agreed on.
        (self.map, self.mru) = (u32::MAX, MRU);
        for (kind, value) in &options.0 {
            match (self.policy, *kind, value.as_slice()) {
                (Policy::Link, link::MAP, &[a, b, c, d]) => {
                    self.map = u32::from_be_bytes([a, b, c, d]);
                }
                (Policy::Link, link::MRU, &[high, low]) => {
                    self.mru = usize::from(u16::from_be_bytes([high, low]));
                }
                _ => {}
            }
        }
        self.agreed.1 = true;
        (code::CONFIGURE_ACK, data.to_vec())
    }

    fn verdict(&self, kind: u8, value: &[u8]) -> Verdict {
        let address = |right: Ipv4Addr| match value {
            value if value == right.octets() => Verdict::Fine,
            [_, _, _, _] => Verdict::Rather(right.octets().to_vec()),
            _ => Verdict::Unknown,
        };
        match (self.policy, kind, value.len()) {
            (Policy::Link, link::MRU, 2) | (Policy::Link, link::MAP | link::MAGIC, 4) => {
                Verdict::Fine
            }
            (Policy::Link, link::PROTOCOL_FIELD | link::ADDRESS_FIELD, 0) => Verdict::Fine,
            (Policy::Address(all), address::ADDRESS, _) => address(all.host),
            (Policy::Address(all), address::FIRST_DNS | address::SECOND_DNS, _) => address(all.dns),
            _ => Verdict::Unknown,
        }
    }

    /// What the host says of ours; whether to ask anew.
    pub fn hear(&mut self, answer: u8, data: &[u8]) -> bool {
        if answer == code::CONFIGURE_ACK {
            self.agreed.0 = data == self.ours();
            return false;
        }
        let Some(options) = Options::decode(data) else { return false };
        // Rejected, or liked otherwise: this end can do without either.
        let before = self.ours.0.len();
        self.ours.0.retain(|(kind, _)| options.0.iter().all(|(other, _)| other != kind));
        self.ours.0.len() < before
    }
}

/// A packet: code, identifier, length, data.
pub fn packet(code: u8, identifier: u8, data: &[u8]) -> Vec<u8> {
    // No longer than a frame, which is far below 64 KiB.
    let length = (data.len() + 4) as u16;
    [&[code, identifier][..], &length.to_be_bytes(), data].concat()
}

/// Code, identifier and data; what follows is padding.
pub fn split(packet: &[u8]) -> Option<(u8, u8, &[u8])> {
    let [code, identifier, high, low, ..] = *packet else { return None };
    let data = packet.get(4..usize::from(u16::from_be_bytes([high, low])))?;
    Some((code, identifier, data))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn options_survive(
            options in proptest::collection::vec(
                (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..10)
        ) {
            let options = Options(options);
            prop_assert_eq!(Options::decode(&options.encode()), Some(options));
        }

        #[test]
        fn no_bytes_make_it_fall(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut link = Negotiation::new(Policy::Link, Options::link());
            link.judge(&data);
            link.hear(code::CONFIGURE_NAK, &data);
            split(&data);
        }
    }

    #[test]
    fn an_option_of_no_length_is_no_option() {
        assert_eq!(Options::decode(&[1, 0]), None);
        assert_eq!(Options::decode(&[1, 3]), None);
        assert_eq!(Options::decode(&[1]), None);
    }
}
