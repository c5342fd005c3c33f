//! SMS-SUBMIT: from us to the service centre (TS 23.040 §9.2.2.2).

use super::address::Address;
use super::body::UserData;
use super::coding::Coding;
use super::octets::Octets;
use super::stamp::Stamp;
use super::validity::Validity;
use super::{EncodeError, PduError};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Whether the centre shall refuse a second one with the same reference.
    pub reject_duplicates: bool,
    /// Whether a status report is wanted.
    pub report: bool,
    /// Whether the reply goes the same way.
    pub reply_path: bool,
    /// Its reference; the modem puts its own in its place.
    pub reference: u8,
    /// To whom.
    pub to: Address,
    /// Protocol identifier: 0 for a plain text.
    pub protocol: u8,
    /// Alphabet and class.
    pub coding: Coding,
    /// How long the centre tries.
    pub validity: Option<Validity>,
    /// The text.
    pub data: UserData,
}

impl Submit {
    /// A plain text.
    #[must_use]
    pub fn new(to: Address, coding: Coding, data: UserData) -> Submit {
        Submit {
            reject_duplicates: false,
            report: false,
            reply_path: false,
            reference: 0,
            to,
            protocol: 0,
            coding,
            validity: None,
            data,
        }
    }

    /// Its octets, without the service centre's address.
    ///
    /// # Errors
    /// The user data is too long or of another alphabet than `coding`.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let format = match self.validity {
            None => 0,
            Some(Validity::Enhanced(_)) => 0x08,
            Some(Validity::Relative(_)) => 0x10,
            Some(Validity::Absolute(_)) => 0x18,
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let first = 0x01
            | flag(self.reject_duplicates, 0x04)
            | format
            | flag(self.report, 0x20)
            | flag(self.data.header.is_some(), 0x40)
            | flag(self.reply_path, 0x80);
        let mut out = vec![first, self.reference];
        out.extend(self.to.encode());
        out.extend([self.protocol, self.coding.0]);
        match self.validity {
            None => {}
            Some(Validity::Relative(value)) => out.push(value),
            Some(Validity::Enhanced(octets) | Validity::Absolute(Stamp(octets))) => {
                out.extend(octets);
            }
        }
        out.extend(self.data.encode(self.coding)?);
        Ok(out)
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is too short or something else.
    pub fn decode(octets: &[u8]) -> Result<Submit, PduError> {
        let mut octets = Octets::new(octets, "first octet");
        let first = octets.one()?;
        if first & 3 != 1 {
            return Err(PduError::Kind(first & 3));
        }
        let reference = octets.field("reference").one()?;
        let to = Address::decode(octets.field("recipient"))?;
        let protocol = octets.field("protocol").one()?;
        let coding = Coding(octets.field("coding").one()?);
        octets.field("validity");
        let validity = match first & 0x18 {
            0x00 => None,
            0x08 => Some(Validity::Enhanced(octets.array()?)),
            0x10 => Some(Validity::Relative(octets.one()?)),
            _ => Some(Validity::Absolute(Stamp(octets.array()?))),
        };
        let data = UserData::decode(octets.rest(), coding, first & 0x40 != 0)?;
        Ok(Submit {
            reject_duplicates: first & 0x04 != 0,
            report: first & 0x20 != 0,
            reply_path: first & 0x80 != 0,
            reference,
            to,
            protocol,
            coding,
            validity,
            data,
        })
    }
}
