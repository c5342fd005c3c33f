//! Protocol data units of short messages (3GPP TS 23.040) and their alphabets
//! (3GPP TS 23.038). Pure: octets in, messages out, and back.
//!
//! [`Submit`] goes out, [`Deliver`] and [`StatusReport`] come in. Each can be
//! read and written, so that either end can be played. In `AT+CMGS`, `AT+CMGR`
//! and the codes the service centre's address stands in front (TS 27.005
//! §3.1, `<pdu>`): see [`with_centre`] and [`split_centre`].
//!
//! Reading is lenient where a message would otherwise be lost: a time that is
//! none, an unknown coding or a header element that nobody knows are kept as
//! they are. Lengths are never guessed.

mod address;
mod alphabet;
mod body;
mod coding;
mod deliver;
mod header;
mod hex;
mod octets;
mod report;
mod septets;
mod split;
mod stamp;
mod submit;
#[cfg(test)]
mod tests;
mod validity;

pub use address::{Address, BadNumber};
pub use alphabet::{from_septets, to_septets};
pub use body::{Body, UserData};
pub use coding::{Alphabet, Coding, Waiting};
pub use deliver::Deliver;
pub use header::{Concat, Element, Header};
pub use hex::{from_hex, to_hex};
pub use report::{Fate, Status, StatusReport};
pub use septets::from_packed;
pub use split::{Message, TooLong, split};
pub use stamp::{Date, Stamp};
pub use submit::Submit;
pub use validity::Validity;

use octets::Octets;

/// Why octets are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// They end within this field.
    #[error("the message ends within its {0}")]
    Short(&'static str),
    /// The first octet names another kind of message.
    #[error("the message is of kind {0}, which is not expected here")]
    Kind(u8),
    /// The header says that it is longer than the user data.
    #[error("the header is longer than the user data")]
    Header,
}

/// Why a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The user data is over 140 octets (TS 23.040 §9.2.3.24).
    #[error("the user data needs {0} octets; a message has 140")]
    TooLong(usize),
    /// The coding names another alphabet than the text is in.
    #[error("the coding and the text have different alphabets")]
    Alphabet,
    /// A header element, or all of them, is too long for its length octet.
    #[error("the header is too long")]
    Header,
}

/// Any message that a modem or a card may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tpdu {
    /// To us.
    Deliver(Deliver),
    /// From us, kept on the card by some program.
    Submit(Submit),
    /// What became of one from us.
    StatusReport(StatusReport),
}

impl Tpdu {
    /// Reads a message without the service centre's address, as a mobile
    /// holds it (TS 23.040 §9.2.3.1; a card keeps SUBMITs beside what came).
    ///
    /// # Errors
    /// It is too short, or of the reserved kind 3.
    pub fn decode(octets: &[u8]) -> Result<Tpdu, PduError> {
        match octets.first().ok_or(PduError::Short("first octet"))? & 3 {
            0 => Deliver::decode(octets).map(Tpdu::Deliver),
            1 => Submit::decode(octets).map(Tpdu::Submit),
            2 => StatusReport::decode(octets).map(Tpdu::StatusReport),
            kind => Err(PduError::Kind(kind)),
        }
    }
}

/// Puts the service centre's address in front; `None` leaves the choice to the
/// SIM. The length counts octets and includes the type (TS 24.011 §8.2.5.1).
#[must_use]
pub fn with_centre(centre: Option<&Address>, tpdu: &[u8]) -> Vec<u8> {
    let mut out = match centre {
        Some(address) => {
            let (_, kind, digits) = address.parts();
            // An address has at most ten octets of digits.
            let mut out = vec![digits.len() as u8 + 1, kind];
            out.extend(digits);
            out
        }
        None => vec![0],
    };
    out.extend(tpdu);
    out
}

/// Takes the service centre's address off.
///
/// # Errors
/// The octets end within it.
pub fn split_centre(octets: &[u8]) -> Result<(Option<Address>, &[u8]), PduError> {
    let mut octets = Octets::new(octets, "service centre");
    let length = usize::from(octets.one()?);
    if length == 0 {
        return Ok((None, octets.rest()));
    }
    let kind = octets.one()?;
    let digits = octets.many(length - 1)?;
    let centre = Address::of_parts(digits.len() * 2, kind, digits);
    Ok((Some(centre), octets.rest()))
}
