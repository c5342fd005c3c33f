//! USB/IP's messages (Linux, usb/usbip_protocol.rst), all big endian.

/// Version 1.1.1 of the protocol, which every kernel since 2.6.28 speaks.
pub const VERSION: u16 = 0x0111;
/// No transfer is longer, in bytes; Linux's drivers for modems stay below 64 KiB.
pub const LONGEST: u32 = 1 << 20;
/// Bytes of a request for the list, and to import.
const LIST: usize = 8;
const IMPORT: usize = 40;
/// Bytes of the header of a command or its answer.
pub const HEADER: usize = 48;
/// Codes of operations.
mod op {
    pub const REQ_IMPORT: u16 = 0x8003;
    pub const REP_IMPORT: u16 = 0x0003;
    pub const REQ_DEVLIST: u16 = 0x8005;
    pub const REP_DEVLIST: u16 = 0x0005;
}
/// Codes of commands.
mod command {
    pub const SUBMIT: u32 = 1;
    pub const UNLINK: u32 = 2;
    pub const RET_SUBMIT: u32 = 3;
    pub const RET_UNLINK: u32 = 4;
}

/// Bytes that are no USB/IP.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Another version.
    #[error("the peer speaks USB/IP {0:#06x}, not 0x0111")]
    Version(u16),
    /// No operation of a client.
    #[error("there is no operation {0:#06x}")]
    Operation(u16),
    /// No command of a client.
    #[error("there is no command {0}")]
    Command(u32),
    /// A transfer is too long.
    #[error("a transfer of {0} bytes")]
    Length(u32),
}

/// What a client asks before it has a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Which devices are there.
    List,
    /// This device, by its bus id.
    Import(String),
}

/// What a client asks of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A transfer.
    Submit {
        /// Its number.
        number: u32,
        /// Endpoint, without direction.
        endpoint: u8,
        /// Towards the host.
        input: bool,
        /// Bytes that the host has room for, or sends.
        length: u32,
        /// Packets of an isochronous transfer, else 0 or all ones.
        packets: u32,
        /// The setup packet of a control transfer.
        setup: [u8; 8],
        /// What the host sends.
        data: Vec<u8>,
    },
    /// Takes a transfer back.
    Unlink {
        /// Of this command.
        number: u32,
        /// The transfer's.
        victim: u32,
    },
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|it| u16::from_be_bytes(*it))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|it| u32::from_be_bytes(*it))
}

/// The operation at the start of `bytes` and its length; `None` is: not whole.
///
/// # Errors
/// [`WireError`]; the connection is of no more use then.
pub fn operation(bytes: &[u8]) -> Result<Option<(Operation, usize)>, WireError> {
    let (Some(version), Some(code)) = (half(bytes, 0), half(bytes, 2)) else { return Ok(None) };
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    match code {
        op::REQ_DEVLIST => Ok((bytes.len() >= LIST).then_some((Operation::List, LIST))),
        op::REQ_IMPORT => Ok(bytes.get(8..IMPORT).map(|id| {
            let id = id.split(|byte| *byte == 0).next().unwrap_or_default();
            (Operation::Import(String::from_utf8_lossy(id).into_owned()), IMPORT)
        })),
        code => Err(WireError::Operation(code)),
    }
}

/// The command at the start of `bytes` and its length; `None` is: not whole.
///
/// # Errors
/// [`WireError`]; the connection is of no more use then.
pub fn command(bytes: &[u8]) -> Result<Option<(Command, usize)>, WireError> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let field = |at| word(header, at).unwrap_or_default();
    let number = field(4);
    match field(0) {
        command::SUBMIT => {
            let (input, length) = (field(12) == 1, field(24));
            if length > LONGEST {
                return Err(WireError::Length(length));
            }
            // At most LONGEST.
            let end = HEADER + if input { 0 } else { length as usize };
            let Some(data) = bytes.get(HEADER..end) else { return Ok(None) };
            let mut setup = [0; 8];
            setup.copy_from_slice(&header[40..48]);
            let endpoint = (field(16) & 15) as u8;
            let (packets, data) = (field(32), data.to_vec());
            let submit = Command::Submit { number, endpoint, input, length, packets, setup, data };
            Ok(Some((submit, end)))
        }
        command::UNLINK => Ok(Some((Command::Unlink { number, victim: field(20) }, HEADER))),
        other => Err(WireError::Command(other)),
    }
}

/// What the list and an import tell of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its bus id, as `usbip list` shows it.
    pub bus_id: &'static str,
    /// Number of its bus, and its own on it.
    pub number: (u32, u32),
    /// idVendor, idProduct, bcdDevice.
    pub ids: [u16; 3],
    /// Class, subclass, protocol.
    pub class: [u8; 3],
    /// bConfigurationValue.
    pub configuration: u8,
    /// Class, subclass, protocol of each interface.
    pub interfaces: Vec<[u8; 3]>,
}

impl Exported {
    /// `struct usbip_usb_device`.
    fn describe(&self, out: &mut Vec<u8>) {
        let path = format!("/sys/devices/a7670e-emulator/usb1/{}", self.bus_id);
        for (text, size) in [(path.as_str(), 256), (self.bus_id, 32)] {
            let end = out.len() + size;
            out.extend(text.bytes());
            out.resize(end, 0);
        }
        // USB_SPEED_HIGH (linux/usb/ch9.h)
        for number in [self.number.0, self.number.1, 3] {
            out.extend(number.to_be_bytes());
        }
        for id in self.ids {
            out.extend(id.to_be_bytes());
        }
        out.extend(self.class);
        // A USB device has at most 255 interfaces.
        out.extend([self.configuration, 1, self.interfaces.len() as u8]);
    }
}

fn reply(code: u16, status: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(VERSION.to_be_bytes());
    out.extend(code.to_be_bytes());
    out.extend(status.to_be_bytes());
    out
}

/// The answer to [`Operation::List`].
pub fn list(device: Option<&Exported>) -> Vec<u8> {
    let mut out = reply(op::REP_DEVLIST, 0);
    out.extend(u32::from(device.is_some()).to_be_bytes());
    if let Some(device) = device {
        device.describe(&mut out);
        for class in &device.interfaces {
            out.extend(class);
            out.push(0);
        }
    }
    out
}

/// The answer to [`Operation::Import`]; `None` refuses.
pub fn import(device: Option<&Exported>) -> Vec<u8> {
    // ST_OK, ST_NA
    let mut out = reply(op::REP_IMPORT, u32::from(device.is_none()));
    if let Some(device) = device {
        device.describe(&mut out);
    }
    out
}

/// An answer's header: command, number, status, and for a transfer its length.
/// Device, direction and endpoint are 0 in it.
fn answer(command: u32, number: u32, status: i32, length: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER);
    for field in [command, number, 0, 0, 0] {
        out.extend(field.to_be_bytes());
    }
    out.extend(status.to_be_bytes());
    out.extend(length.to_be_bytes());
    // start_frame, number_of_packets, error_count, and 8 bytes of nothing.
    out.resize(HEADER, 0);
    out
}

/// The end of a transfer towards the host, which got `data`, or from it, which
/// `sent` so much.
pub fn submitted(number: u32, result: Result<&[u8], i32>, sent: u32) -> Vec<u8> {
    match result {
        Ok(data) => {
            let length = u32::try_from(data.len()).unwrap_or(LONGEST).max(sent);
            let mut out = answer(command::RET_SUBMIT, number, 0, length);
            out.extend(data);
            out
        }
        Err(status) => answer(command::RET_SUBMIT, number, status, 0),
    }
}

/// The answer to [`Command::Unlink`].
pub fn unlinked(number: u32, status: i32) -> Vec<u8> {
    answer(command::RET_UNLINK, number, status, 0)
}
