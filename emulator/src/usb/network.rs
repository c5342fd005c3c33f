//! The network function's data and notifications: CDC Ethernet, remote NDIS
//! and raw IP.

use std::collections::VecDeque;

use super::device::{Setup, Stall};
use super::rndis::{self, Rndis};
use crate::link::Framing;

/// Bytes of a high-speed bulk packet; a shorter one ends a transfer.
const PACKET: usize = 512;
/// Frames that wait for the host. Few: what feeds us can wait.
const FRAMES: usize = 32;
/// No transfer from the host is longer, in bytes.
const LONGEST: usize = 64 << 10;
/// What the modem tells as its rate, in bit/s: LTE Cat-1, down and up.
const RATES: [u32; 2] = [10_000_000, 5_000_000];

/// The network function.
#[derive(Debug)]
pub struct Network {
    framing: Framing,
    carrier: bool,
    /// The host does not know `carrier` yet.
    news: bool,
    rndis: Rndis,
    /// There is an RNDIS reply that the host was not told of.
    reply: bool,
    /// A transfer from the host that has not ended.
    partial: Vec<u8>,
    frames: VecDeque<Vec<u8>>,
    /// What is left of a transfer to the host.
    rest: VecDeque<u8>,
    /// The transfer ended on a packet boundary with the host's request full:
    /// an empty packet is due.
    empty: bool,
    /// The transfer ended on a packet boundary with this much of the request
    /// left.
    left: Option<usize>,
}

impl Network {
    /// The function in `framing`, for a host with the address `mac`.
    pub fn new(framing: Framing, mac: [u8; 6], carrier: bool) -> Self {
        Self {
            framing,
            carrier,
            news: true,
            rndis: Rndis::new(mac, carrier),
            reply: false,
            partial: Vec::new(),
            frames: VecDeque::new(),
            rest: VecDeque::new(),
            empty: false,
            left: None,
        }
    }

    /// The host begins anew.
    pub fn reset(&mut self) {
        self.news = true;
        self.partial.clear();
        self.frames.clear();
        self.rest.clear();
        self.empty = false;
        self.left = None;
    }

    /// A class request to the control interface.
    pub fn request(&mut self, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Stall> {
        match (self.framing, setup.request_type, setup.request) {
            // SET_ETHERNET_PACKET_FILTER: all that comes is for the host.
            (Framing::Ecm, 0x21, 0x43) => Ok(Vec::new()),
            // SEND_ENCAPSULATED_COMMAND, GET_ENCAPSULATED_RESPONSE
            (Framing::Rndis, 0x21, 0) => {
                self.reply |= self.rndis.command(data);
                Ok(Vec::new())
            }
            (Framing::Rndis, 0xa1, 1) => Ok(self.rndis.response()),
            // SET_CONTROL_LINE_STATE, which simcom_wwan sends.
            (Framing::RawIp, 0x21, 0x22) => Ok(Vec::new()),
            _ => Err(Stall),
        }
    }

    /// Notifications that are due, for the interface `number`.
    pub fn notifications(&mut self, number: u8) -> Vec<Vec<u8>> {
        let news = std::mem::take(&mut self.news);
        let reply = std::mem::take(&mut self.reply);
        match self.framing {
            Framing::Ecm if news => {
                let up = u8::from(self.carrier);
                // NETWORK_CONNECTION, CONNECTION_SPEED_CHANGE
                let connection = vec![0xa1, 0x00, up, 0, number, 0, 0, 0];
                let mut speed = vec![0xa1, 0x2a, 0, 0, number, 0, 8, 0];
                speed.extend(RATES.iter().flat_map(|rate| rate.to_le_bytes()));
                if self.carrier { vec![connection, speed] } else { vec![connection] }
            }
            // RESPONSE_AVAILABLE in RNDIS's form: two words, 1 and 0.
            Framing::Rndis if reply => vec![vec![1, 0, 0, 0, 0, 0, 0, 0]],
            _ => Vec::new(),
        }
    }

    /// The link comes or goes.
    pub fn set_carrier(&mut self, carrier: bool) {
        self.news |= self.carrier != carrier;
        self.carrier = carrier;
        self.reply |= self.framing == Framing::Rndis && self.rndis.connect(carrier);
    }

    /// Bytes of a transfer from the host; gives the frames that are whole.
    pub fn take_in(&mut self, data: &[u8], end: bool) -> Vec<Vec<u8>> {
        if self.partial.len() + data.len() > LONGEST {
            // Not a transfer of ours; begin anew.
            self.partial.clear();
            return Vec::new();
        }
        self.partial.extend(data);
        if !end && !data.is_empty() && data.len() % PACKET == 0 && !self.is_whole() {
            return Vec::new();
        }
        let transfer = std::mem::take(&mut self.partial);
        let frames = match self.framing {
            _ if transfer.is_empty() => Vec::new(),
            Framing::Rndis => rndis::unpack(&transfer),
            Framing::Ecm | Framing::RawIp => vec![transfer],
        };
        self.rndis.received = self.rndis.received.wrapping_add(frames.len() as u32);
        frames
    }

    /// Whether what came is a whole transfer by its own account; Ethernet
    /// frames give none.
    fn is_whole(&self) -> bool {
        let bytes = &self.partial;
        let length = match self.framing {
            Framing::Ecm => None,
            // The first message's length; rndis_host sends one at a time.
            Framing::Rndis => {
                bytes.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
            }
            Framing::RawIp => match bytes.first().map(|first| first >> 4) {
                Some(4) => bytes.get(2..4).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]]))),
                Some(6) => {
                    bytes.get(4..6).map(|b| 40 + usize::from(u16::from_be_bytes([b[0], b[1]])))
                }
                _ => None,
            },
        };
        length.is_some_and(|length| bytes.len() >= length)
    }

    /// Whether another frame finds room.
    pub fn has_room(&self) -> bool {
        self.frames.len() < FRAMES
    }

    /// A frame for the host.
    pub fn send(&mut self, frame: Vec<u8>) {
        if self.has_room() {
            self.frames.push_back(frame);
        }
    }

    /// At most `length` bytes for the host's request.
    ///
    /// QEMU's dwc2 does not take a short answer whose length is a multiple of
    /// the packet size for the transfer's end, but asks for the remainder; it
    /// then gets an empty packet. Other hosts have no such request.
    pub fn give_out(&mut self, length: usize) -> Option<Vec<u8>> {
        let remainder = self.left.take() == Some(length);
        if std::mem::take(&mut self.empty) || remainder {
            return Some(Vec::new());
        }
        if self.rest.is_empty() {
            self.rest = self.next_transfer()?.into();
        }
        let take = self.rest.len().min(length);
        let bytes: Vec<u8> = self.rest.drain(..take).collect();
        if self.rest.is_empty() && take % PACKET == 0 {
            self.empty = take == length;
            self.left = length.checked_sub(take).filter(|left| *left > 0);
        }
        Some(bytes)
    }

    /// One frame, or for RNDIS as many as the host takes at once.
    fn next_transfer(&mut self) -> Option<Vec<u8>> {
        let first = self.frames.pop_front()?;
        self.rndis.sent = self.rndis.sent.wrapping_add(1);
        if self.framing != Framing::Rndis {
            return Some(first);
        }
        let mut transfer = Vec::new();
        rndis::pack(&first, &mut transfer);
        while let Some(next) = self.frames.front() {
            if transfer.len() + rndis::HEADER + next.len() > self.rndis.host_transfer {
                break;
            }
            rndis::pack(next, &mut transfer);
            self.frames.pop_front();
            self.rndis.sent = self.rndis.sent.wrapping_add(1);
        }
        Some(transfer)
    }
}
