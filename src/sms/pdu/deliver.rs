//! SMS-DELIVER: from the service centre to us (TS 23.040 §9.2.2.1).

use super::address::Address;
use super::body::UserData;
use super::coding::Coding;
use super::octets::Octets;
use super::stamp::Stamp;
use super::{EncodeError, PduError};

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// Whether the centre has more for us.
    pub more: bool,
    /// Whether the sender gets a status report.
    pub report: bool,
    /// Whether the reply goes the same way.
    pub reply_path: bool,
    /// From whom.
    pub from: Address,
    /// Protocol identifier.
    pub protocol: u8,
    /// Alphabet and class.
    pub coding: Coding,
    /// When the centre got it.
    pub stamp: Stamp,
    /// The text.
    pub data: UserData,
}

impl Deliver {
    /// Its octets, without the service centre's address.
    ///
    /// # Errors
    /// The user data is too long or of another alphabet than `coding`.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        // "No more messages" is the bit that is set (§9.2.3.2).
        let first = flag(!self.more, 0x04)
            | flag(self.report, 0x20)
            | flag(self.data.header.is_some(), 0x40)
            | flag(self.reply_path, 0x80);
        let mut out = vec![first];
        out.extend(self.from.encode());
        out.extend([self.protocol, self.coding.0]);
        out.extend(self.stamp.0);
        out.extend(self.data.encode(self.coding)?);
        Ok(out)
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is too short or something else.
    pub fn decode(octets: &[u8]) -> Result<Deliver, PduError> {
        let mut octets = Octets::new(octets, "first octet");
        let first = octets.one()?;
        if first & 3 != 0 {
            return Err(PduError::Kind(first & 3));
        }
        let from = Address::decode(octets.field("sender"))?;
        let protocol = octets.field("protocol").one()?;
        let coding = Coding(octets.field("coding").one()?);
        let stamp = Stamp(octets.field("time stamp").array()?);
        let data = UserData::decode(octets.rest(), coding, first & 0x40 != 0)?;
        Ok(Deliver {
            more: first & 0x04 == 0,
            report: first & 0x20 != 0,
            reply_path: first & 0x80 != 0,
            from,
            protocol,
            coding,
            stamp,
            data,
        })
    }
}
