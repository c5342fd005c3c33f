//! usbredir on the wire: what packets there are, and bytes to packets.
//!
//! Protocol 0.7, "usbredirproto.h" of the usbredir project: little-endian,
//! packed. A header (type, length, id) goes before each packet. The id has 32
//! bits in the hello and, when both sides say so there, 64 in all that follows.

use std::collections::VecDeque;

/// Capabilities, as bit numbers (`usb_redir_cap_*`).
pub mod cap {
    /// Bulk streams.
    pub const BULK_STREAMS: u32 = 0;
    /// `device_connect` ends with the device's version.
    pub const CONNECT_DEVICE_VERSION: u32 = 1;
    /// Filters may be sent.
    pub const FILTER: u32 = 2;
    /// `device_disconnect` is acknowledged.
    pub const DISCONNECT_ACK: u32 = 3;
    /// `ep_info` ends with the packet sizes.
    pub const EP_INFO_MAX_PACKET_SIZE: u32 = 4;
    /// Ids have 64 bits.
    pub const IDS_64: u32 = 5;
    /// A bulk packet's length has 32 bits.
    pub const BULK_LENGTH_32: u32 = 6;
    /// The device sends bulk input without being asked.
    pub const BULK_RECEIVING: u32 = 7;

    /// What this side offers: all but streams and unasked bulk input.
    pub const OURS: u32 = 1 << CONNECT_DEVICE_VERSION
        | 1 << FILTER
        | 1 << DISCONNECT_ACK
        | 1 << EP_INFO_MAX_PACKET_SIZE
        | 1 << IDS_64
        | 1 << BULK_LENGTH_32;

    /// Whether `caps` has the capability `bit`.
    pub const fn has(caps: u32, bit: u32) -> bool {
        caps & 1 << bit != 0
    }
}

/// Packet types (`usb_redir_*`).
pub(super) mod kind {
    pub const HELLO: u32 = 0;
    pub const DEVICE_CONNECT: u32 = 1;
    pub const DEVICE_DISCONNECT: u32 = 2;
    pub const RESET: u32 = 3;
    pub const INTERFACE_INFO: u32 = 4;
    pub const EP_INFO: u32 = 5;
    pub const SET_CONFIGURATION: u32 = 6;
    pub const GET_CONFIGURATION: u32 = 7;
    pub const CONFIGURATION_STATUS: u32 = 8;
    pub const SET_ALT_SETTING: u32 = 9;
    pub const GET_ALT_SETTING: u32 = 10;
    pub const ALT_SETTING_STATUS: u32 = 11;
    pub const START_INTERRUPT_RECEIVING: u32 = 15;
    pub const STOP_INTERRUPT_RECEIVING: u32 = 16;
    pub const INTERRUPT_RECEIVING_STATUS: u32 = 17;
    pub const CANCEL_DATA_PACKET: u32 = 21;
    pub const FILTER_REJECT: u32 = 22;
    pub const FILTER_FILTER: u32 = 23;
    pub const DEVICE_DISCONNECT_ACK: u32 = 24;
    pub const CONTROL_PACKET: u32 = 100;
    pub const BULK_PACKET: u32 = 101;
    pub const INTERRUPT_PACKET: u32 = 103;
}

/// Length of the version text in a hello, in bytes.
pub(super) const VERSION: usize = 64;
/// No packet is longer, in bytes: QEMU's guests ask for at most 64 KiB of bulk
/// data in one (usbredirparser's own limit is 128 MiB).
const LONGEST: usize = 16 << 20;

/// How a transfer or request ended (`usb_redir_*` statuses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Well.
    Success = 0,
    /// By being cancelled.
    Cancelled = 1,
    /// The request made no sense.
    Invalid = 2,
    /// Transfer error.
    IoError = 3,
    /// The endpoint stalled.
    Stall = 4,
}

impl Status {
    fn from_wire(value: u8) -> Self {
        match value {
            0 => Self::Success,
            1 => Self::Cancelled,
            2 => Self::Invalid,
            4 => Self::Stall,
            // time-out and babble are of no use to a device
            _ => Self::IoError,
        }
    }
}

/// The tables of `ep_info`; the index of an endpoint is
/// [`endpoint_index`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointTable {
    /// 0 control, 1 isochronous, 2 bulk, 3 interrupt, 255 no such endpoint.
    pub kind: [u8; 32],
    /// bInterval.
    pub interval: [u8; 32],
    /// The interface that it belongs to.
    pub interface: [u8; 32],
    /// wMaxPacketSize.
    pub max_packet: [u16; 32],
}

/// Where an endpoint stands in [`EndpointTable`]: its number, input endpoints
/// 16 further.
pub const fn endpoint_index(address: u8) -> usize {
    ((address & 0x80) >> 3 | address & 15) as usize
}

/// The tables of `interface_info`, up to 32 rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceTable {
    /// Number, class, subclass, protocol of each interface.
    pub rows: Vec<[u8; 4]>,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of usbredirproto.h")]
pub enum Body {
    Hello {
        version: String,
        caps: u32,
    },
    DeviceConnect {
        speed: u8,
        class: [u8; 3],
        vendor: u16,
        product: u16,
        version: u16,
    },
    DeviceDisconnect,
    Reset,
    InterfaceInfo(InterfaceTable),
    EpInfo(Box<EndpointTable>),
    SetConfiguration {
        configuration: u8,
    },
    GetConfiguration,
    ConfigurationStatus {
        status: Status,
        configuration: u8,
    },
    SetAltSetting {
        interface: u8,
        alt: u8,
    },
    GetAltSetting {
        interface: u8,
    },
    AltSettingStatus {
        status: Status,
        interface: u8,
        alt: u8,
    },
    StartInterruptReceiving {
        endpoint: u8,
    },
    StopInterruptReceiving {
        endpoint: u8,
    },
    InterruptReceivingStatus {
        status: Status,
        endpoint: u8,
    },
    CancelDataPacket,
    FilterReject,
    FilterFilter(String),
    DeviceDisconnectAck,
    Control(Control),
    Bulk {
        endpoint: u8,
        status: Status,
        length: u32,
        stream: u32,
        data: Vec<u8>,
    },
    Interrupt {
        endpoint: u8,
        status: Status,
        length: u16,
        data: Vec<u8>,
    },
    /// A type that a device need not know, or has no use for.
    Other {
        kind: u32,
        data: Vec<u8>,
    },
}

/// A control transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of usbredirproto.h")]
pub struct Control {
    pub endpoint: u8,
    pub request: u8,
    pub request_type: u8,
    pub status: Status,
    pub value: u16,
    pub index: u16,
    pub length: u16,
    pub data: Vec<u8>,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Of a reply: the request's.
    pub id: u64,
    /// What it says.
    pub body: Body,
}

/// Bytes that are no usbredir.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Too long to be true.
    #[error("usbredir packet of type {kind} claims {length} bytes; {LONGEST} are allowed")]
    TooLong {
        /// The type's number.
        kind: u32,
        /// Its claim.
        length: usize,
    },
    /// Shorter than its type's own header.
    #[error("usbredir packet of type {kind} has {length} bytes, which is too short")]
    TooShort {
        /// The type's number.
        kind: u32,
        /// Its length.
        length: usize,
    },
    /// The peer began with something else.
    #[error("the peer's first packet has type {0}, not 0 (hello): it speaks no usbredir")]
    NoHello(u32),
}

/// Reads fields off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn status(&mut self) -> Option<Status> {
        self.u8().map(Status::from_wire)
    }
}

/// Bytes that come in pieces, to packets.
///
/// The first packet must be a hello; it settles the form of the others.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: VecDeque<u8>,
    /// Capabilities of both sides, once the peer's hello was read.
    common: Option<u32>,
}

impl Decoder {
    /// The capabilities that both sides have; `None` before the hello.
    pub fn common(&self) -> Option<u32> {
        self.common
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next whole packet.
    pub fn packet(&mut self) -> Result<Option<Packet>, WireError> {
        let wide = self.common.is_some_and(|caps| cap::has(caps, cap::IDS_64));
        let header = if wide { 16 } else { 12 };
        if self.buffer.len() < header {
            return Ok(None);
        }
        let bytes = self.buffer.make_contiguous();
        let mut reader = Reader(bytes);
        // The header is there, so the fields are.
        let kind = reader.u32().unwrap_or_default();
        let length = reader.u32().unwrap_or_default() as usize;
        let id =
            if wide { reader.array().map(u64::from_le_bytes) } else { reader.u32().map(u64::from) };
        if self.common.is_none() && kind != kind::HELLO {
            return Err(WireError::NoHello(kind));
        }
        if length > LONGEST {
            return Err(WireError::TooLong { kind, length });
        }
        if bytes.len() < header + length {
            return Ok(None);
        }
        let body = decode(kind, &bytes[header..header + length], self.common.unwrap_or(0))
            .ok_or(WireError::TooShort { kind, length })?;
        self.buffer.drain(..header + length);
        if let Body::Hello { caps, .. } = &body {
            // Only the first counts, as with usbredirparser: the form of what is
            // under way cannot change.
            self.common.get_or_insert(caps & cap::OURS);
        }
        Ok(Some(Packet { id: id.unwrap_or_default(), body }))
    }
}

/// `None`: too short.
fn decode(kind: u32, bytes: &[u8], caps: u32) -> Option<Body> {
    let mut r = Reader(bytes);
    Some(match kind {
        kind::HELLO => {
            let version = r.array::<VERSION>()?;
            let end = version.iter().position(|byte| *byte == 0).unwrap_or(VERSION);
            let version = String::from_utf8_lossy(&version[..end]).into_owned();
            // A hello of protocol 0.3 ends here: no capabilities.
            Body::Hello { version, caps: r.u32().unwrap_or(0) }
        }
        kind::DEVICE_CONNECT => Body::DeviceConnect {
            speed: r.u8()?,
            class: r.array()?,
            vendor: r.u16()?,
            product: r.u16()?,
            version: if cap::has(caps, cap::CONNECT_DEVICE_VERSION) { r.u16()? } else { 0 },
        },
        kind::DEVICE_DISCONNECT => Body::DeviceDisconnect,
        kind::RESET => Body::Reset,
        kind::INTERFACE_INFO => {
            let count = r.u32()?.min(32) as usize;
            let columns: [[u8; 32]; 4] = [r.array()?, r.array()?, r.array()?, r.array()?];
            let rows = (0..count).map(|row| columns.map(|column| column[row])).collect();
            Body::InterfaceInfo(InterfaceTable { rows })
        }
        kind::EP_INFO => {
            let (kind, interval, interface) = (r.array()?, r.array()?, r.array()?);
            let mut max_packet = [0; 32];
            if cap::has(caps, cap::EP_INFO_MAX_PACKET_SIZE) {
                for size in &mut max_packet {
                    *size = r.u16()?;
                }
            }
            Body::EpInfo(Box::new(EndpointTable { kind, interval, interface, max_packet }))
        }
        kind::SET_CONFIGURATION => Body::SetConfiguration { configuration: r.u8()? },
        kind::GET_CONFIGURATION => Body::GetConfiguration,
        kind::CONFIGURATION_STATUS => {
            Body::ConfigurationStatus { status: r.status()?, configuration: r.u8()? }
        }
        kind::SET_ALT_SETTING => Body::SetAltSetting { interface: r.u8()?, alt: r.u8()? },
        kind::GET_ALT_SETTING => Body::GetAltSetting { interface: r.u8()? },
        kind::ALT_SETTING_STATUS => {
            Body::AltSettingStatus { status: r.status()?, interface: r.u8()?, alt: r.u8()? }
        }
        kind::START_INTERRUPT_RECEIVING => Body::StartInterruptReceiving { endpoint: r.u8()? },
        kind::STOP_INTERRUPT_RECEIVING => Body::StopInterruptReceiving { endpoint: r.u8()? },
        kind::INTERRUPT_RECEIVING_STATUS => {
            Body::InterruptReceivingStatus { status: r.status()?, endpoint: r.u8()? }
        }
        kind::CANCEL_DATA_PACKET => Body::CancelDataPacket,
        kind::FILTER_REJECT => Body::FilterReject,
        kind::FILTER_FILTER => {
            let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
            Body::FilterFilter(String::from_utf8_lossy(text).into_owned())
        }
        kind::DEVICE_DISCONNECT_ACK => Body::DeviceDisconnectAck,
        kind::CONTROL_PACKET => Body::Control(Control {
            endpoint: r.u8()?,
            request: r.u8()?,
            request_type: r.u8()?,
            status: r.status()?,
            value: r.u16()?,
            index: r.u16()?,
            length: r.u16()?,
            data: r.0.to_vec(),
        }),
        kind::BULK_PACKET => {
            let (endpoint, status) = (r.u8()?, r.status()?);
            let (low, stream) = (r.u16()?, r.u32()?);
            let high = if cap::has(caps, cap::BULK_LENGTH_32) { r.u16()? } else { 0 };
            let length = u32::from(high) << 16 | u32::from(low);
            Body::Bulk { endpoint, status, length, stream, data: r.0.to_vec() }
        }
        kind::INTERRUPT_PACKET => Body::Interrupt {
            endpoint: r.u8()?,
            status: r.status()?,
            length: r.u16()?,
            data: r.0.to_vec(),
        },
        _ => Body::Other { kind, data: bytes.to_vec() },
    })
}
