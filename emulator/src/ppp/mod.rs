//! The modem's end of a PPP call (RFC 1661), as behind `ATD*99#`: no packet of
//! its own, the carrier's address for the host, name servers by RFC 1877.
//!
//! It asks for PAP, as networks that take any user do, and goes on without when
//! the host refuses. Compression of headers and payload is rejected.

mod hdlc;
mod negotiation;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use hdlc::Deframer;
use negotiation::{Negotiation, Options, Policy};

/// Protocols (IANA, "Point-to-Point Protocol Field Assignments").
mod protocol {
    pub const IPV4: u16 = 0x0021;
    pub const IPCP: u16 = 0x8021;
    pub const LCP: u16 = 0xc021;
    pub const PAP: u16 = 0xc023;
}

/// Codes of LCP, of which IPCP has the first seven (RFC 1661 section 5).
mod code {
    pub const CONFIGURE_REQUEST: u8 = 1;
    pub const CONFIGURE_ACK: u8 = 2;
    pub const CONFIGURE_NAK: u8 = 3;
    pub const CONFIGURE_REJECT: u8 = 4;
    pub const TERMINATE_REQUEST: u8 = 5;
    pub const TERMINATE_ACK: u8 = 6;
    pub const CODE_REJECT: u8 = 7;
    pub const PROTOCOL_REJECT: u8 = 8;
    pub const ECHO_REQUEST: u8 = 9;
    pub const ECHO_REPLY: u8 = 10;
    pub const DISCARD_REQUEST: u8 = 11;
}

/// Restart timer and Max-Configure (RFC 1661 section 4.6).
const RESTART: Duration = Duration::from_secs(3);
const MAX_CONFIGURE: u32 = 10;
/// How long a host may take to say who it is. RFC 1334 leaves it open; pppd waits as
/// long where it is the one who asks (`UPAP_DEFREQTIME` in its upap.h).
const WHO: Duration = Duration::from_secs(30);
/// Longest packet where nothing else is agreed on (RFC 1661 section 6.1).
const MRU: usize = 1500;

/// What the call has to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bytes for the host.
    Serial(Vec<u8>),
    /// An IPv4 packet from the host.
    Packet(Vec<u8>),
    /// The call is over.
    End,
}

/// Who is who.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The carrier's, for the host.
    pub host: Ipv4Addr,
    /// This end's.
    pub peer: Ipv4Addr,
    /// The carrier's name server.
    pub dns: Ipv4Addr,
}

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Establish,
    Authenticate,
    Network,
    Over,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    phase: Phase,
    deframer: Deframer,
    lcp: Negotiation,
    ipcp: Negotiation,
    addresses: Addresses,
    /// When to repeat what was not answered, or to give up.
    repeat: Option<Duration>,
    repeats: u32,
    identifier: u8,
    /// Identifier of the last Configure-Request.
    asked: u8,
    out: VecDeque<Step>,
}

impl Call {
    /// A call that begins; its first frame is in [`Call::take`].
    pub fn new(now: Duration, addresses: Addresses) -> Self {
        let mut call = Self {
            phase: Phase::Establish,
            deframer: Deframer::default(),
            lcp: Negotiation::new(Policy::Link, Options::link()),
            ipcp: Self::unagreed(addresses),
            addresses,
            repeat: None,
            repeats: 0,
            identifier: 0,
            asked: 0,
            out: VecDeque::new(),
        };
        call.request(now);
        call
    }

    /// What is to be done, in order. Each step is told once.
    pub fn take(&mut self) -> Vec<Step> {
        self.out.drain(..).collect()
    }

    /// When [`Call::advance`] is due.
    pub fn next_event(&self) -> Option<Duration> {
        self.repeat
    }

    /// Lets time pass up to `now`.
    pub fn advance(&mut self, now: Duration) {
        if self.repeat.is_none_or(|at| at > now) {
            return;
        }
        match self.phase {
            Phase::Authenticate => self.hang_up(),
            _ if self.repeats >= MAX_CONFIGURE => self.end(),
            _ => self.request(now),
        }
    }

    /// Bytes from the host.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        for byte in bytes {
            if self.phase == Phase::Over {
                return;
            }
            if let Some(frame) = self.deframer.push(*byte) {
                self.frame(now, &frame);
            }
        }
    }

    /// An IPv4 packet for the host; lost while the network phase is not reached,
    /// or when it is longer than the host takes.
    pub fn send_packet(&mut self, packet: &[u8]) {
        if self.is_open() && packet.len() <= self.lcp.host_mru() {
            self.send(protocol::IPV4, packet);
        }
    }

    /// Whether packets pass.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Network && self.ipcp.is_open()
    }

    /// The network ends the call: the host is told.
    pub fn hang_up(&mut self) {
        if self.phase != Phase::Over {
            let packet = self.packet(code::TERMINATE_REQUEST, &[]);
            self.send(protocol::LCP, &packet);
            self.end();
        }
    }

    fn end(&mut self) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.repeat = None;
            self.out.push_back(Step::End);
        }
    }

    fn send(&mut self, protocol: u16, packet: &[u8]) {
        let frame = [&protocol.to_be_bytes()[..], packet].concat();
        // LCP's frames have every control character escaped, whatever is agreed
        // on (RFC 1662 section 7).
        let careful = protocol == protocol::LCP || self.phase == Phase::Establish;
        let map = if careful { u32::MAX } else { self.lcp.host_map() };
        self.out.push_back(Step::Serial(hdlc::encode(&frame, map)));
    }

    /// A packet of ours with the next identifier.
    fn packet(&mut self, code: u8, data: &[u8]) -> Vec<u8> {
        self.identifier = self.identifier.wrapping_add(1);
        negotiation::packet(code, self.identifier, data)
    }

    /// Sends the Configure-Request that this phase waits for an answer to, if one is.
    fn request(&mut self, now: Duration) {
        let (protocol, negotiation) = match self.phase {
            Phase::Establish => (protocol::LCP, &self.lcp),
            Phase::Network => (protocol::IPCP, &self.ipcp),
            // The host is the one to speak.
            Phase::Authenticate => return self.repeat = Some(now + WHO),
            Phase::Over => return self.repeat = None,
        };
        let options = negotiation.ours();
        let packet = self.packet(code::CONFIGURE_REQUEST, &options);
        self.send(protocol, &packet);
        self.asked = self.identifier;
        self.repeats += 1;
        self.repeat = Some(now + RESTART);
    }

    fn enter(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.repeats = 0;
        self.request(now);
    }

    fn frame(&mut self, now: Duration, frame: &[u8]) {
        let Some((protocol, packet)) = hdlc::protocol(frame) else { return };
        match protocol {
            protocol::LCP => self.control(now, protocol::LCP, packet),
            // Before the link is established anything else is dropped silently
            // (RFC 1661 section 3.4).
            _ if self.phase == Phase::Establish => {}
            protocol::PAP => self.authenticate(now, packet),
            protocol::IPCP if self.phase == Phase::Network => {
                self.control(now, protocol::IPCP, packet);
            }
            protocol::IPV4 if self.is_open() => self.out.push_back(Step::Packet(packet.to_vec())),
            protocol::IPCP | protocol::IPV4 => {}
            unknown => {
                let room = MRU - 6;
                let rejected =
                    [&unknown.to_be_bytes()[..], packet.get(..room).unwrap_or(packet)].concat();
                let packet = self.packet(code::PROTOCOL_REJECT, &rejected);
                self.send(protocol::LCP, &packet);
            }
        }
    }

    /// A packet of LCP or IPCP.
    fn control(&mut self, now: Duration, protocol: u16, packet: &[u8]) {
        let Some((code, identifier, data)) = negotiation::split(packet) else { return };
        let is_link = protocol == protocol::LCP;
        match code {
            code::CONFIGURE_REQUEST => {
                if is_link && self.phase != Phase::Establish {
                    // The host begins anew (RFC 1661 section 4.1, event RCR in
                    // state Opened).
                    self.restart(now);
                }
                let negotiation = if is_link { &mut self.lcp } else { &mut self.ipcp };
                let (answer, options) = negotiation.judge(data);
                let answer = negotiation::packet(answer, identifier, &options);
                self.send(protocol, &answer);
                if !is_link && self.repeat.is_none() && !self.ipcp.is_open() {
                    self.enter(now, Phase::Network);
                }
            }
            code::CONFIGURE_ACK | code::CONFIGURE_NAK | code::CONFIGURE_REJECT => {
                let current = identifier == self.asked;
                let negotiation = if is_link { &mut self.lcp } else { &mut self.ipcp };
                if !current || negotiation.is_open() {
                    return;
                }
                if negotiation.hear(code, data) {
                    self.request(now);
                }
            }
            code::TERMINATE_REQUEST => {
                let answer = negotiation::packet(code::TERMINATE_ACK, identifier, &[]);
                self.send(protocol, &answer);
                if is_link {
                    return self.end();
                }
                // The link stays, and the host may begin IPCP anew (RFC 1661
                // sections 3.7 and 4.1, event RTR).
                self.ipcp = Self::unagreed(self.addresses);
                self.repeat = None;
            }
            code::ECHO_REQUEST if is_link => {
                if self.phase != Phase::Establish {
                    // The magic number of this end: none was agreed on.
                    let data = [&[0; 4][..], data.get(4..).unwrap_or_default()].concat();
                    let answer = negotiation::packet(code::ECHO_REPLY, identifier, &data);
                    self.send(protocol, &answer);
                }
                return;
            }
            code::TERMINATE_ACK | code::CODE_REJECT => {}
            code::PROTOCOL_REJECT | code::ECHO_REPLY | code::DISCARD_REQUEST if is_link => {}
            _ => {
                let rejected = packet.get(..MRU - 4).unwrap_or(packet).to_vec();
                let packet = self.packet(code::CODE_REJECT, &rejected);
                self.send(protocol, &packet);
            }
        }
        self.progress(now);
    }

    fn restart(&mut self, now: Duration) {
        self.lcp = Negotiation::new(Policy::Link, Options::link());
        self.ipcp = Self::unagreed(self.addresses);
        self.enter(now, Phase::Establish);
    }

    fn unagreed(addresses: Addresses) -> Negotiation {
        Negotiation::new(Policy::Address(addresses), Options::address(addresses.peer))
    }

    fn progress(&mut self, now: Duration) {
        match self.phase {
            Phase::Establish if self.lcp.is_open() => {
                let asks = self.lcp.asks_for_pap();
                self.enter(now, if asks { Phase::Authenticate } else { Phase::Network });
            }
            Phase::Network if self.ipcp.is_open() => self.repeat = None,
            _ => {}
        }
    }

    /// PAP (RFC 1334 section 2): everybody is let in.
    fn authenticate(&mut self, now: Duration, packet: &[u8]) {
        const AUTHENTICATE_REQUEST: u8 = 1;
        const AUTHENTICATE_ACK: u8 = 2;
        let Some((AUTHENTICATE_REQUEST, identifier, _)) = negotiation::split(packet) else {
            return;
        };
        // An empty message, behind its length.
        let answer = negotiation::packet(AUTHENTICATE_ACK, identifier, &[0]);
        self.send(protocol::PAP, &answer);
        if self.phase == Phase::Authenticate {
            self.enter(now, Phase::Network);
        }
    }
}

#[cfg(test)]
mod tests;
