//! A far end within the emulator: enough of an Internet to prove a connection
//! and to load it, without any privilege.
//!
//! It answers echo requests to every address, DNS questions to every address
//! by UDP and to [`RESOLVER`] by TCP, and, at [`HOST`] and [`PUBLIC`], HTTP on port 80 (see
//! [`http`]) and whatever is said to port 7 with the same (RFC 862).
//!
//! As a captive portal it resolves every name to [`HOST`], redirects HTTP at
//! every address, and lets nothing else through.

pub mod dns;
pub mod http;
mod tcp;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::packet::{self, Header, protocol};
use tcp::Tcp;

/// The resolver that the modem's gateway asks (TEST-NET-1, RFC 5737).
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// Every host of `example.test`.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// A host that is known by its number: Cloudflare's resolver, whose web server
/// `a7670e` asks when names are not found.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
/// DNS (RFC 1035).
const DNS: u16 = 53;

/// What a server says on one connection: bytes in, bytes out.
pub(crate) trait Talk: std::fmt::Debug {
    /// Takes bytes; gives how many of them. None while it has to be heard
    /// first.
    fn take(&mut self, bytes: &[u8]) -> usize;
    /// Puts bytes into `room`; gives how many.
    fn give(&mut self, room: &mut [u8]) -> usize;
    /// The peer will say no more.
    fn end(&mut self);
    /// Everything is said.
    fn has_ended(&self) -> bool;
}

/// The far end.
#[derive(Debug)]
pub struct FarEnd {
    tcp: Tcp,
    portal: bool,
    out: VecDeque<Vec<u8>>,
}

impl FarEnd {
    /// A far end whose TCP sequence numbers begin as `seed` decides.
    pub fn new(seed: u64) -> Self {
        Self { tcp: Tcp::new(seed), portal: false, out: VecDeque::new() }
    }

    /// Makes it a captive portal, or an open Internet again.
    pub fn set_portal(&mut self, portal: bool) {
        self.portal = portal;
    }

    /// A packet comes. What it leads to is done by [`Self::advance`].
    pub fn take_in(&mut self, now: Duration, packet: Vec<u8>) {
        let tcp = Header::of(&packet).is_some_and(|header| header.protocol == protocol::TCP);
        if tcp {
            self.tcp.take_in(now, packet, self.portal);
        } else if self.out.len() < tcp::QUEUE {
            self.out.extend(answer(&packet, self.portal));
        }
    }

    /// Lets the servers work.
    pub fn advance(&mut self, now: Duration) {
        self.tcp.advance(now);
    }

    /// The next packet to the modem. Not taken, they make the servers wait.
    pub fn give_out(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front().or_else(|| self.tcp.give_out())
    }

    /// When [`Self::advance`] is due although nothing comes. Something that
    /// waits for [`Self::give_out`] is not counted.
    pub fn next_event(&mut self, now: Duration) -> Option<Duration> {
        self.tcp.next_event(now)
    }
}

/// What comes back for a packet that is no TCP.
fn answer(packet: &[u8], portal: bool) -> Option<Vec<u8>> {
    let header = Header::of(packet)?;
    let walled = portal && header.destination != HOST;
    if let Some(reply) = packet::echo_reply(packet) {
        return Some(reply).filter(|_| !walled);
    }
    if header.protocol != protocol::UDP || header.is_fragment {
        return None;
    }
    let (source, destination) = packet::ports(packet)?;
    if destination == DNS {
        let question = packet.get(header.length + 8..header.total)?;
        let reply = dns::resolve(question, portal)?;
        return Some(packet::udp((header.destination, DNS), (header.source, source), &reply));
    }
    unreachable(packet, header.destination).filter(|_| !walled)
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

#[cfg(test)]
mod tests;
