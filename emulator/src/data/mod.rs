//! The modem's own network: what is between its USB network function and the
//! far end. Gateway with ARP, DHCP, ping, NAT and DNS, then the carrier's line
//! with its faults.
//!
//! The NAT is one to one: all that comes for the carrier's address goes to the
//! host. DNS questions to the gateway go to the far end's resolver, by UDP and
//! TCP alike; only addresses are rewritten, so no port is ever lost.

pub mod dhcp;
pub mod far;
pub mod packet;
pub mod shaper;
pub mod side;
pub mod tun;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::link::{Framing, Lan, Link, LinkFaults};
use dhcp::Offer;
use packet::{Header, Side, protocol, rewrite, rewrite_quoted};
use shaper::{Shape, Shaper};

/// The gateway's own address on the host's link: any but the host's.
const GATEWAY_MAC: [u8; 6] = [0x02, 0x0c, 0x29, 0xa3, 0x9b, 0x01];
const BROADCAST: [u8; 6] = [0xff; 6];
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// EtherTypes
const ARP: [u8; 2] = [8, 6];
const IPV4: [u8; 2] = [8, 0];
/// Ports of DNS, and DHCP's server and client.
const DNS: u16 = 53;
const BOOTPS: u16 = 67;
const BOOTPC: u16 = 68;
/// Questions to the gateway that are remembered; the oldest is forgotten first.
const FLOWS: usize = 1024;
/// Frames that wait for room in the USB device.
const WAITING: usize = 256;

/// The network.
#[derive(Debug)]
pub struct DataPath {
    link: Option<Link>,
    host: [u8; 6],
    up: Shaper,
    down: Shaper,
    frames: VecDeque<Vec<u8>>,
    /// Packets for the host of a call.
    calls: VecDeque<Vec<u8>>,
    /// Protocol and port of questions that went to the gateway's DNS.
    flows: VecDeque<(u8, u16)>,
    carried: (u64, u64),
}

impl DataPath {
    /// A network whose faults depend on `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            link: None,
            host: BROADCAST,
            up: Shaper::new(seed),
            down: Shaper::new(!seed),
            frames: VecDeque::new(),
            calls: VecDeque::new(),
            flows: VecDeque::new(),
            carried: (0, 0),
        }
    }

    /// The modem appears on the bus: nothing of the time before is left.
    pub fn attach(&mut self, now: Duration, link: &Link) {
        self.host = BROADCAST;
        self.up.clear();
        self.down.clear();
        self.frames.clear();
        self.calls.clear();
        self.flows.clear();
        self.set_link(now, link);
    }

    /// The link changed.
    pub fn set_link(&mut self, _now: Duration, link: &Link) {
        let faults = &link.faults;
        let shape = Shape {
            latency_ms: faults.latency_ms,
            jitter_ms: faults.jitter_ms,
            loss_permille: faults.loss_permille,
            kbit: faults.up_kbit,
        };
        self.up.shape = shape;
        self.down.shape = Shape { kbit: faults.down_kbit, ..shape };
        if !link.call {
            // A call that is over has nobody who takes them.
            self.calls.clear();
        }
        self.link = Some(link.clone());
    }

    /// Bytes that passed since the last call, from and to the host.
    pub fn carried(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.carried)
    }

    /// What the DHCP server offers now.
    fn offer(link: &Link) -> Offer {
        let faults = &link.faults;
        let (address, prefix, gateway, nobody) = match link.lan {
            Lan::Private { third, first_host, .. } => {
                let of = |last| Ipv4Addr::new(192, 168, third, last);
                let nobody = if first_host == 254 { 253 } else { 254 };
                (of(first_host), 24, of(1), of(nobody))
            }
            Lan::Public => {
                let (prefix, gateway) = neighbour(link.address);
                (link.address, prefix, gateway, gateway)
            }
        };
        Offer {
            address,
            prefix,
            gateway,
            router: if faults.wrong_gateway { nobody } else { gateway },
            lease: faults.lease_s.unwrap_or(dhcp::LEASE),
            nak_renewal: faults.nak_renewal,
        }
    }

    /// A frame, or IP packet for raw IP, from the host.
    pub fn from_host(&mut self, now: Duration, frame: &[u8]) {
        let Some(link) = self.link.clone().filter(|link| link.carrier) else { return };
        if link.framing == Framing::RawIp {
            self.ip_from_host(now, &link, frame);
            return;
        }
        let Some((header, payload)) = frame.split_at_checked(ETHERNET) else { return };
        if let Some(mac) = header.get(6..12).and_then(|mac| mac.try_into().ok()) {
            self.host = mac;
        }
        if header[12..] == ARP {
            self.arp(&link, payload);
        } else if header[12..] == IPV4 {
            self.ip_from_host(now, &link, payload);
        }
    }

    /// Answers who has the gateway's address (RFC 826).
    fn arp(&mut self, link: &Link, request: &[u8]) {
        let gateway = Self::offer(link).gateway.octets();
        let asks = request.get(..8) == Some(&[0, 1, 8, 0, 6, 4, 0, 1]);
        let nobody = link.faults.wrong_gateway && link.lan == Lan::Public;
        if !asks || nobody || request.get(24..28) != Some(&gateway) {
            return;
        }
        let mut reply = vec![0, 1, 8, 0, 6, 4, 0, 2];
        reply.extend(GATEWAY_MAC);
        reply.extend(gateway);
        // The asker's two addresses.
        reply.extend(&request[8..18]);
        self.frame(ARP, &reply);
    }

    fn frame(&mut self, kind: [u8; 2], payload: &[u8]) {
        let frame = [&self.host[..], &GATEWAY_MAC, &kind, payload].concat();
        self.queue(frame);
    }

    fn queue(&mut self, frame: Vec<u8>) {
        if self.frames.len() < WAITING {
            self.frames.push_back(frame);
        }
    }

    /// An IP packet to the host.
    fn deliver(&mut self, link: &Link, packet: Vec<u8>) {
        match link.framing {
            Framing::RawIp => self.queue(packet),
            Framing::Ecm | Framing::Rndis => self.frame(IPV4, &packet),
        }
    }

    fn ip_from_host(&mut self, now: Duration, link: &Link, bytes: &[u8]) {
        let Some(header) = Header::of(bytes) else { return };
        // What follows the packet is padding.
        let Some(packet) = bytes.get(..header.total) else { return };
        let mut packet = packet.to_vec();
        let offer = Self::offer(link);
        let ports = packet::ports(&packet);
        if header.protocol == protocol::UDP && ports == Some((BOOTPC, BOOTPS)) {
            self.dhcp(link, offer, &packet[header.length + 8..]);
            return;
        }
        if link.faults.wrong_gateway && link.lan == Lan::Public {
            return;
        }
        let dns = ports.is_some_and(|(_, to)| to == DNS);
        if header.destination == offer.gateway && !dns {
            let reply =
                packet::echo_reply(&packet).or_else(|| far::unreachable(&packet, offer.gateway));
            if let Some(reply) = reply {
                self.deliver(link, reply);
            }
            return;
        }
        if header.source != offer.address || header.destination.is_multicast() {
            return;
        }
        let fits = link.forwarding && passes(&link.faults, dns, packet.len());
        if header.destination.is_broadcast() || !fits {
            return;
        }
        if let Some((from, _)) = ports.filter(|_| dns) {
            let flow = (header.protocol, from);
            self.flows.retain(|it| *it != flow);
            if header.destination == offer.gateway {
                self.flows.truncate(FLOWS - 1);
                self.flows.push_front(flow);
                rewrite(&mut packet, Side::Destination, far::RESOLVER);
            }
        }
        rewrite_quoted(&mut packet, Side::Destination, offer.address, link.address);
        rewrite(&mut packet, Side::Source, link.address);
        self.up.push(now, packet);
    }

    fn dhcp(&mut self, link: &Link, offer: Offer, message: &[u8]) {
        if link.faults.no_lease {
            return;
        }
        let Some(reply) = dhcp::answer(message, offer) else { return };
        // To the address that the client has, else to everybody.
        let to = <[u8; 4]>::try_from(&reply[12..16]).map(Ipv4Addr::from);
        let to = to.ok().filter(|to| !to.is_unspecified()).unwrap_or(Ipv4Addr::BROADCAST);
        let packet = packet::udp((offer.gateway, BOOTPS), (to, BOOTPC), &reply);
        self.deliver(link, packet);
    }

    /// An IP packet of a call: the host has the carrier's address itself.
    pub fn from_call(&mut self, now: Duration, bytes: &[u8]) {
        let Some(link) = self.link.as_ref().filter(|link| link.call) else { return };
        let Some(header) = Header::of(bytes) else { return };
        let Some(packet) = bytes.get(..header.total) else { return };
        let dns = packet::ports(packet).is_some_and(|(_, to)| to == DNS);
        let ours = header.source == link.address && !header.destination.is_multicast();
        if ours && passes(&link.faults, dns, packet.len()) {
            self.up.push(now, packet.to_vec());
        }
    }

    /// A packet from the far end.
    pub fn from_far(&mut self, now: Duration, packet: Vec<u8>) {
        self.down.push(now, packet);
    }

    fn ip_from_far(&mut self, mut packet: Vec<u8>) {
        let Some(link) = self.link.clone().filter(|link| link.carrier || link.call) else {
            return;
        };
        let Some(header) = Header::of(&packet) else { return };
        let ports = packet::ports(&packet);
        let dns = ports.is_some_and(|(from, _)| from == DNS);
        let open = link.forwarding || link.call;
        let ours = header.destination == link.address;
        if !open || !ours || !passes(&link.faults, dns, packet.len()) {
            return;
        }
        if link.call {
            self.carried.1 += packet.len() as u64;
            self.calls.push_back(packet);
            return;
        }
        let offer = Self::offer(&link);
        let asked = ports.is_some_and(|(_, to)| self.flows.contains(&(header.protocol, to)));
        if dns && asked && header.source == far::RESOLVER {
            rewrite(&mut packet, Side::Source, offer.gateway);
        }
        rewrite_quoted(&mut packet, Side::Source, link.address, offer.address);
        rewrite(&mut packet, Side::Destination, offer.address);
        self.carried.1 += packet.len() as u64;
        self.deliver(&link, packet);
    }

    /// Lets packets through that are through by `now`; gives those that have
    /// reached the far end.
    pub fn advance(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let reached: Vec<_> = std::iter::from_fn(|| self.up.pop(now)).collect();
        self.carried.0 += reached.iter().map(|packet| packet.len() as u64).sum::<u64>();
        self.advance_down(now);
        reached
    }

    /// The same for the way to the host alone.
    pub fn advance_down(&mut self, now: Duration) {
        while self.has_room() {
            let Some(packet) = self.down.pop(now) else { break };
            self.ip_from_far(packet);
        }
    }

    /// When [`Self::advance`] is due.
    pub fn next_event(&self) -> Option<Duration> {
        let down = self.down.next_event().filter(|_| self.has_room());
        [self.up.next_event(), down].into_iter().flatten().min()
    }

    fn has_room(&self) -> bool {
        self.waiting() < WAITING
    }

    /// Of the way that packets take now: on the other nobody may be listening.
    fn waiting(&self) -> usize {
        let call = self.link.as_ref().is_some_and(|link| link.call);
        if call { self.calls.len() } else { self.frames.len() }
    }

    /// Whether a packet of the far end is wanted now: one that came would not
    /// wait long, and not be lost for want of room.
    pub fn takes(&self, now: Duration) -> bool {
        self.waiting() < WAITING / 2 && self.down.takes(now)
    }

    /// The next packet for the host of a call.
    pub fn to_call(&mut self) -> Option<Vec<u8>> {
        self.calls.pop_front()
    }

    /// The next frame for the host.
    pub fn to_host(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }
}

/// Whether the carrier lets a packet of `length` bytes pass.
fn passes(faults: &LinkFaults, dns: bool, length: usize) -> bool {
    let fits = faults.mtu.is_none_or(|mtu| length <= usize::from(mtu));
    fits && !faults.no_internet && !(dns && faults.dns_dead)
}

/// The smallest network in which `address` has a neighbour: the length of its
/// prefix, and the neighbour.
pub(crate) fn neighbour(address: Ipv4Addr) -> (u8, Ipv4Addr) {
    let bits = address.to_bits();
    for prefix in (8..=30_u8).rev() {
        let hosts = u32::MAX >> prefix;
        let inside = |it: u32| it & hosts != 0 && it & hosts != hosts;
        if inside(bits) {
            let next = if inside(bits + 1) { bits + 1 } else { bits - 1 };
            return (prefix, Ipv4Addr::from_bits(next));
        }
    }
    (8, Ipv4Addr::from_bits(bits ^ 1))
}

#[cfg(test)]
mod tests;
