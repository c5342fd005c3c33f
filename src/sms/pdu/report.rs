//! SMS-STATUS-REPORT: what became of a message from us (TS 23.040 §9.2.2.3).

use serde::{Deserialize, Serialize};

use super::PduError;
use super::address::Address;
use super::octets::Octets;
use super::stamp::Stamp;

/// TP-Status, as it is sent (§9.2.3.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status(pub u8);

/// What a status comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The recipient has it, or has an earlier one replaced by it.
    Delivered,
    /// It went on, and nobody will tell what becomes of it.
    Forwarded,
    /// The centre still tries.
    Trying,
    /// The centre has given up.
    Failed,
}

impl Status {
    /// What it comes to. Reserved values of a range count as the range; above
    /// 0x7f all is reserved and counts as a failure.
    #[must_use]
    pub fn fate(self) -> Fate {
        match self.0 {
            0x01 => Fate::Forwarded,
            0x00..=0x1f => Fate::Delivered,
            0x20..=0x3f => Fate::Trying,
            _ => Fate::Failed,
        }
    }

    /// In words, after §9.2.3.15.
    #[must_use]
    pub fn text(self) -> &'static str {
        // The same reasons stand in three ranges: still trying, permanent, and
        // temporary without another try.
        match self.0 {
            0x00 => "received",
            0x01 => "forwarded, delivery not confirmed",
            0x02 => "replaced by the centre",
            0x20 | 0x60 => "congestion",
            0x21 | 0x61 => "the recipient is busy",
            0x22 | 0x62 => "the recipient does not respond",
            0x23 | 0x63 => "service rejected",
            0x24 | 0x44 | 0x64 => "quality of service not available",
            0x25 | 0x65 => "error at the recipient",
            0x40 => "remote procedure error",
            0x41 => "incompatible destination",
            0x42 => "connection rejected by the recipient",
            0x43 => "the recipient cannot be obtained",
            0x45 => "no interworking available",
            0x46 => "its validity has expired",
            0x47 => "deleted by the sender",
            0x48 => "deleted by the centre",
            0x49 => "the centre does not know it",
            _ => match self.fate() {
                Fate::Delivered | Fate::Forwarded => "received",
                Fate::Trying => "not delivered yet",
                Fate::Failed => "not delivered, given up",
            },
        }
    }
}

/// A status report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// Whether the centre has more for us.
    pub more: bool,
    /// The reference that the modem gave to the message.
    pub reference: u8,
    /// To whom it went.
    pub to: Address,
    /// When the centre got it.
    pub stamp: Stamp,
    /// When this became of it.
    pub discharge: Stamp,
    /// What became of it.
    pub status: Status,
}

impl StatusReport {
    /// Its octets, without the service centre's address and the optional fields.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![if self.more { 0x02 } else { 0x06 }, self.reference];
        out.extend(self.to.encode());
        out.extend(self.stamp.0);
        out.extend(self.discharge.0);
        out.push(self.status.0);
        out
    }

    /// Reads it; the optional fields after the status are not looked at.
    ///
    /// # Errors
    /// It is too short or something else.
    pub fn decode(octets: &[u8]) -> Result<StatusReport, PduError> {
        let mut octets = Octets::new(octets, "first octet");
        let first = octets.one()?;
        if first & 3 != 2 {
            return Err(PduError::Kind(first & 3));
        }
        Ok(StatusReport {
            more: first & 0x04 == 0,
            reference: octets.field("reference").one()?,
            to: Address::decode(octets.field("recipient"))?,
            stamp: Stamp(octets.field("time stamp").array()?),
            discharge: Stamp(octets.field("discharge time").array()?),
            status: Status(octets.field("status").one()?),
        })
    }
}
