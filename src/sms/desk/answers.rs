//! What the modem's answers mean: which are a message, and what a refusal says.

use crate::at::{DeviceError, Final, fields};
use crate::sms::pdu::{Address, Body, Coding, Deliver, Stamp, UserData, from_hex, split_centre};

/// What came of a list of a memory.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Whether there was a message.
    pub found: bool,
    /// The header of something that is none.
    pub garbled: Option<String>,
}

/// What stands behind a header.
pub(super) enum Stored {
    /// The place is empty.
    Nothing,
    /// A message, with the service centre's address.
    Message(Vec<u8>),
    /// Something else.
    Garbled,
}

/// What stands behind a header `+CMGR:` or `+CMGL:`, whose last value says how
/// many octets follow the service centre's address (TS 27.005 §3.1, `<length>`);
/// 0 for an empty place (§4.3).
pub(super) fn stored(header: &str, line: Option<&String>) -> Stored {
    let length = fields(header).last().and_then(|field| field.number::<usize>());
    if length == Some(0) {
        return Stored::Nothing;
    }
    let octets = line.and_then(|line| from_hex(line.trim()));
    match octets {
        Some(octets) if split_centre(&octets).is_ok_and(|(_, tpdu)| Some(tpdu.len()) == length) => {
            Stored::Message(octets)
        }
        _ => Stored::Garbled,
    }
}

/// Whether the network may have taken the message although the modem says that
/// it failed: only time ran out (CMS 332; CME 31 and SIMCom's own 151).
pub(super) fn is_doubtful(why: &Final) -> bool {
    matches!(why, Final::Cms(DeviceError::Code(332)) | Final::Cme(DeviceError::Code(31 | 151)))
}

/// Whether another try would end the same way. Below 128 the numbers are causes
/// of the network (TS 24.011 annex E-2): unassigned number, barred, rejected,
/// unidentified or unknown subscriber, facility rejected, not subscribed, not
/// implemented. 342: the modem does not take the message itself.
pub(super) fn is_for_good(why: &Final) -> bool {
    matches!(why, Final::Cms(DeviceError::Code(1 | 8 | 10 | 21 | 28 | 29 | 30 | 50 | 69 | 342)))
}

/// Whether another mode of the modem's explains it: 302 not allowed, 303 not
/// supported, 304 and 305 a parameter of the other mode (TS 27.005 §3.2.5).
pub(super) fn is_mode(why: &Final) -> bool {
    matches!(why, Final::Cms(DeviceError::Code(302..=305)))
}

/// Whether the modem may not take the message itself (304, 305), once it is known
/// to be in the right mode.
pub(super) fn is_of_the_text(why: &Final) -> bool {
    matches!(why, Final::Cms(DeviceError::Code(304 | 305)))
}

/// Octets that are no message, as one: nothing that came is thrown away.
pub(super) fn unreadable(octets: &[u8]) -> Deliver {
    Deliver {
        more: false,
        report: false,
        reply_path: false,
        // Ten letters of the default alphabet.
        from: Address::name("unreadable").unwrap_or_else(Address::nobody),
        protocol: 0,
        coding: Coding(4),
        stamp: Stamp([0; 7]),
        data: UserData { header: None, body: Body::Octets(octets.to_vec()) },
    }
}
