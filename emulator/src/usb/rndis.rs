//! Remote NDIS: the control messages of the modem's side, and the packing of
//! Ethernet frames.
//!
//! By \[MS-RNDIS\], and what Linux's rndis_host.c sends: INITIALIZE, QUERY of
//! OID_GEN_PHYSICAL_MEDIUM and OID_802_3_PERMANENT_ADDRESS, SET of
//! OID_GEN_CURRENT_PACKET_FILTER. All fields are little-endian 32-bit words.

use std::collections::VecDeque;

/// Most bytes of one transfer in either direction that we tell the host of.
pub const MAX_TRANSFER: usize = 4096;
/// Bytes before each frame.
pub const HEADER: usize = 44;
/// Bytes of an Ethernet frame's payload.
const MTU: u32 = 1500;
/// In units of 100 bit/s; the modem's bus, 480 Mbit/s.
const LINK_SPEED: u32 = 4_800_000;

/// Message types; a reply has bit 31 too.
mod message {
    pub const PACKET: u32 = 1;
    pub const INITIALIZE: u32 = 2;
    pub const HALT: u32 = 3;
    pub const QUERY: u32 = 4;
    pub const SET: u32 = 5;
    pub const RESET: u32 = 6;
    pub const INDICATE: u32 = 7;
    pub const KEEPALIVE: u32 = 8;
    pub const REPLY: u32 = 0x8000_0000;
}

/// Statuses.
mod status {
    pub const SUCCESS: u32 = 0;
    pub const NOT_SUPPORTED: u32 = 0xc000_00bb;
    pub const INVALID_DATA: u32 = 0xc001_0015;
    pub const MEDIA_CONNECT: u32 = 0x4001_000b;
    pub const MEDIA_DISCONNECT: u32 = 0x4001_000c;
}

/// OID_GEN_CURRENT_PACKET_FILTER
const PACKET_FILTER: u32 = 0x0001_010e;
/// OID_GEN_CURRENT_LOOKAHEAD
const LOOKAHEAD: u32 = 0x0001_010f;
/// OID_802_3_MULTICAST_LIST
const MULTICAST_LIST: u32 = 0x0101_0103;

/// The control side of the function.
#[derive(Debug)]
pub struct Rndis {
    mac: [u8; 6],
    connected: bool,
    filter: u32,
    replies: VecDeque<Vec<u8>>,
    /// Frames to and from the host, for the statistics.
    pub received: u32,
    /// See [`Self::received`].
    pub sent: u32,
    /// Most bytes that the host takes in one transfer.
    pub host_transfer: usize,
}

impl Rndis {
    /// The function whose host has the address `mac`.
    pub fn new(mac: [u8; 6], connected: bool) -> Self {
        let replies = VecDeque::new();
        // What fits into the smallest buffer of a host that has said nothing.
        let host_transfer = 1600;
        Self { mac, connected, filter: 0, replies, received: 0, sent: 0, host_transfer }
    }

    /// SEND_ENCAPSULATED_COMMAND; true when there is a reply to fetch.
    pub fn command(&mut self, bytes: &[u8]) -> bool {
        let (Some(kind), Some(id)) = (word(bytes, 0), word(bytes, 8)) else { return false };
        let mut reply = vec![kind | message::REPLY, 0, id];
        match kind {
            message::INITIALIZE => {
                if let Some(size) = word(bytes, 20) {
                    self.host_transfer = (size as usize).clamp(HEADER, MAX_TRANSFER);
                }
                // Version 1.0, connectionless, 802.3, packets and bytes per
                // transfer, alignment 1, no address families.
                reply.extend([status::SUCCESS, 1, 0, 1, 0, 8, MAX_TRANSFER as u32, 0, 0, 0]);
            }
            message::QUERY => {
                let value = word(bytes, 12).and_then(|oid| self.query(oid));
                let known = value.is_some();
                let value = value.unwrap_or_default();
                reply.push(if known { status::SUCCESS } else { status::NOT_SUPPORTED });
                // The offset counts from the request id.
                reply.extend([value.len() as u32, if known { 16 } else { 0 }]);
                self.reply(&reply, &value);
                return true;
            }
            message::SET => reply.push(self.set(bytes)),
            message::RESET => {
                self.replies.clear();
                // No request id; addressing was not reset.
                reply = vec![kind | message::REPLY, 0, status::SUCCESS, 0];
            }
            message::KEEPALIVE => reply.push(status::SUCCESS),
            message::HALT => {
                self.filter = 0;
                self.replies.clear();
                return false;
            }
            _ => return false,
        }
        self.reply(&reply, &[]);
        true
    }

    /// GET_ENCAPSULATED_RESPONSE. One zero byte says that there is none
    /// (\[MS-RNDIS\] section 3).
    pub fn response(&mut self) -> Vec<u8> {
        self.replies.pop_front().unwrap_or_else(|| vec![0])
    }

    /// The link comes or goes; true when the host is to be told.
    pub fn connect(&mut self, connected: bool) -> bool {
        if self.connected == connected {
            return false;
        }
        self.connected = connected;
        let status = if connected { status::MEDIA_CONNECT } else { status::MEDIA_DISCONNECT };
        // A host that does not ask is left with the last news only.
        self.replies.retain(|reply| word(reply, 0) != Some(message::INDICATE));
        self.reply(&[message::INDICATE, 0, status, 0, 0], &[]);
        true
    }

    /// Queues a reply of `words`, whose second becomes the length, and `tail`.
    fn reply(&mut self, words: &[u32], tail: &[u8]) {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(tail);
        let length = (bytes.len() as u32).to_le_bytes();
        bytes[4..8].copy_from_slice(&length);
        self.replies.push_back(bytes);
    }

    fn set(&mut self, bytes: &[u8]) -> u32 {
        let oid = word(bytes, 12);
        let value = word(bytes, 20).and_then(|offset| word(bytes, 8 + offset as usize));
        match (oid, value) {
            (Some(PACKET_FILTER), Some(filter)) => {
                self.filter = filter;
                status::SUCCESS
            }
            (Some(PACKET_FILTER), None) => status::INVALID_DATA,
            (Some(LOOKAHEAD | MULTICAST_LIST), _) => status::SUCCESS,
            _ => status::NOT_SUPPORTED,
        }
    }

    fn query(&self, oid: u32) -> Option<Vec<u8>> {
        let word = match oid {
            // OID_GEN_SUPPORTED_LIST
            0x0001_0101 => return Some(SUPPORTED.iter().flat_map(|o| o.to_le_bytes()).collect()),
            // OID_GEN_VENDOR_DESCRIPTION
            0x0001_010d => return Some(b"SIMCom Wireless Solution\0".to_vec()),
            // OID_802_3_PERMANENT_ADDRESS, _CURRENT_ADDRESS
            0x0101_0101 | 0x0101_0102 => return Some(self.mac.to_vec()),
            // OID_802_3_MULTICAST_LIST: empty
            MULTICAST_LIST => return Some(Vec::new()),
            // OID_GEN_HARDWARE_STATUS, _MEDIA_SUPPORTED, _MEDIA_IN_USE,
            // _PHYSICAL_MEDIUM: ready, and 802.3 without saying how
            0x0001_0102 | 0x0001_0103 | 0x0001_0104 | 0x0001_0202 => 0,
            // _MAXIMUM_LOOKAHEAD, _MAXIMUM_FRAME_SIZE, _CURRENT_LOOKAHEAD
            0x0001_0105 | 0x0001_0106 | LOOKAHEAD => MTU,
            // _LINK_SPEED
            0x0001_0107 => LINK_SPEED,
            // _TRANSMIT_BUFFER_SPACE, _RECEIVE_BUFFER_SPACE
            0x0001_0108 | 0x0001_0109 => MAX_TRANSFER as u32,
            // _TRANSMIT_BLOCK_SIZE, _RECEIVE_BLOCK_SIZE, _MAXIMUM_TOTAL_SIZE
            0x0001_010a | 0x0001_010b | 0x0001_0111 => MTU + 14,
            // _VENDOR_ID: none assigned
            0x0001_010c => 0x00ff_ffff,
            PACKET_FILTER => self.filter,
            // _VENDOR_DRIVER_VERSION
            0x0001_0116 => 1,
            // _MEDIA_CONNECT_STATUS: 0 is connected
            0x0001_0114 => u32::from(!self.connected),
            // _MAXIMUM_SEND_PACKETS, 802_3_MAXIMUM_LIST_SIZE
            0x0001_0115 | 0x0101_0104 => 1,
            // _XMIT_OK, _RCV_OK: as the host sees them
            0x0002_0101 => self.received,
            0x0002_0102 => self.sent,
            // errors of either direction, and lack of buffers
            0x0002_0103..=0x0002_0105 => 0,
            _ => return None,
        };
        Some(word.to_le_bytes().to_vec())
    }
}

/// What [`Rndis::query`] answers.
const SUPPORTED: [u32; 28] = [
    0x0001_0101,
    0x0001_0102,
    0x0001_0103,
    0x0001_0104,
    0x0001_0105,
    0x0001_0106,
    0x0001_0107,
    0x0001_0108,
    0x0001_0109,
    0x0001_010a,
    0x0001_010b,
    0x0001_010c,
    0x0001_010d,
    0x0001_010e,
    0x0001_010f,
    0x0001_0111,
    0x0001_0114,
    0x0001_0115,
    0x0001_0116,
    0x0001_0202,
    0x0002_0101,
    0x0002_0102,
    0x0002_0103,
    0x0002_0104,
    0x0002_0105,
    0x0101_0101,
    0x0101_0102,
    0x0101_0104,
];

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// A frame behind its header (REMOTE_NDIS_PACKET_MSG).
pub fn pack(frame: &[u8], out: &mut Vec<u8>) {
    // The data's offset counts from its own field, the third word.
    let words = [message::PACKET, (HEADER + frame.len()) as u32, 36, frame.len() as u32];
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    out.extend([0; HEADER - 16]);
    out.extend(frame);
}

/// The frames of a transfer, up to the first thing that is no packet message:
/// a host pads with a zero byte what would need a zero-length packet.
pub fn unpack(mut transfer: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(length) = word(transfer, 4).map(|length| length as usize) {
        if word(transfer, 0) != Some(message::PACKET) || length < HEADER || length > transfer.len()
        {
            break;
        }
        let (this, rest) = transfer.split_at(length);
        let (Some(offset), Some(size)) = (word(this, 8), word(this, 12)) else { break };
        let start = 8_usize.saturating_add(offset as usize);
        let Some(frame) = this.get(start..start.saturating_add(size as usize)) else { break };
        frames.push(frame.to_vec());
        transfer = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn query(rndis: &mut Rndis, oid: u32) -> Vec<u8> {
        // As rndis_host.c: with 48 bytes of room behind it.
        let mut message = words(&[4, 28 + 48, 7, oid, 48, 20, 0]);
        message.extend([0; 48]);
        assert!(rndis.command(&message));
        rndis.response()
    }

    #[test]
    fn linux_can_bind() {
        let mut rndis = Rndis::new(MAC, true);
        assert!(rndis.command(&words(&[2, 24, 5, 1, 0, 2048])));
        let reply = rndis.response();
        assert_eq!(reply.len(), 52);
        assert_eq!(reply[..16], words(&[0x8000_0002, 52, 5, 0]));
        assert_eq!(word(&reply, 36), Some(MAX_TRANSFER as u32));
        assert_eq!(rndis.host_transfer, 2048);
        assert_eq!(query(&mut rndis, 0x0001_0202), words(&[0x8000_0004, 28, 7, 0, 4, 16, 0]));
        let mut address = words(&[0x8000_0004, 30, 7, 0, 6, 16]);
        address.extend(MAC);
        assert_eq!(query(&mut rndis, 0x0101_0101), address);
        assert!(rndis.command(&words(&[5, 32, 8, PACKET_FILTER, 4, 20, 0, 0x2d])));
        assert_eq!(rndis.response(), words(&[0x8000_0005, 16, 8, 0]));
        assert_eq!(query(&mut rndis, PACKET_FILTER)[24..], words(&[0x2d]));
        assert_eq!(rndis.response(), [0], "nothing more to fetch");
    }

    #[test]
    fn what_is_unknown_gets_a_status_and_what_is_listed_an_answer() {
        let mut rndis = Rndis::new(MAC, true);
        assert_eq!(query(&mut rndis, 0x7777_7777)[12..16], words(&[status::NOT_SUPPORTED]));
        for oid in SUPPORTED {
            assert_eq!(query(&mut rndis, oid)[12..16], words(&[0]), "{oid:#x}");
        }
        assert!(rndis.command(&words(&[5, 28, 8, 0x7777_7777, 0, 0, 0])));
        assert_eq!(rndis.response()[12..], words(&[status::NOT_SUPPORTED]));
    }

    #[test]
    fn the_last_news_of_the_link_wait_for_the_host() {
        let mut rndis = Rndis::new(MAC, true);
        assert!(!rndis.connect(true));
        assert!(rndis.connect(false) && rndis.connect(true));
        assert_eq!(word(&rndis.response(), 8), Some(status::MEDIA_CONNECT));
        assert_eq!(rndis.response(), [0]);
    }

    proptest! {
        #[test]
        fn frames_survive_packing(
            frames in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..200), 0..6),
        ) {
            let mut transfer = Vec::new();
            for frame in &frames {
                pack(frame, &mut transfer);
            }
            transfer.push(0);
            prop_assert_eq!(unpack(&transfer), frames);
        }

        #[test]
        fn no_bytes_harm(words in proptest::collection::vec(0_u32..60, 0..40)) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let _ = unpack(&bytes);
            let mut rndis = Rndis::new(MAC, true);
            if rndis.command(&bytes) {
                prop_assert!(rndis.response().len() >= 16);
            }
        }
    }
}
