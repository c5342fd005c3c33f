//! The user data: header and text, in their alphabet (TS 23.040 §9.2.3.24).

use serde::{Deserialize, Serialize};

use super::coding::{Alphabet, Coding};
use super::header::Header;
use super::{EncodeError, PduError, alphabet, septets};

/// Most octets of user data (TS 23.040 §9.2.3.24).
pub(super) const MAX_OCTETS: usize = 140;

/// A text, or a part of one, as it is sent. It becomes text only when all parts
/// are together, for some senders cut between the halves of a character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Of the default alphabet, unpacked.
    Septets(Vec<u8>),
    /// Of UTF-16.
    Units(Vec<u16>),
    /// Without a meaning that we know.
    Octets(Vec<u8>),
}

impl Body {
    /// The text; `None` of octets. A half character becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Body::Septets(septets) => Some(alphabet::from_septets(septets)),
            Body::Units(units) => Some(String::from_utf16_lossy(units)),
            Body::Octets(_) => None,
        }
    }

    /// Parts put together. Parts in different alphabets are put together as
    /// text, which a sender may do to save room.
    #[must_use]
    pub fn join(parts: &[&Body]) -> Body {
        let septets = |part: &&Body| match part {
            Body::Septets(septets) => Some(septets.clone()),
            _ => None,
        };
        let units = |part: &&Body| match part {
            Body::Units(units) => Some(units.clone()),
            _ => None,
        };
        if let Some(all) = parts.iter().map(septets).collect::<Option<Vec<_>>>() {
            return Body::Septets(all.concat());
        }
        if let Some(all) = parts.iter().map(units).collect::<Option<Vec<_>>>() {
            return Body::Units(all.concat());
        }
        match parts.iter().map(|part| part.text()).collect::<Option<Vec<_>>>() {
            Some(all) => Body::Units(all.concat().encode_utf16().collect()),
            None => Body::Octets(parts.iter().flat_map(|part| part.octets()).collect()),
        }
    }

    fn octets(&self) -> Vec<u8> {
        match self {
            Body::Septets(septets) => septets::pack(septets, 0),
            Body::Units(units) => units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            Body::Octets(octets) => octets.clone(),
        }
    }
}

/// The user data of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserData {
    /// What stands before the text.
    pub header: Option<Header>,
    /// The text.
    pub body: Body,
}

impl UserData {
    /// Length field and octets.
    pub(super) fn encode(&self, coding: Coding) -> Result<Vec<u8>, EncodeError> {
        let header = self.header.as_ref().map(Header::encode).transpose()?.unwrap_or_default();
        let (length, octets) = match (coding.alphabet(), &self.body) {
            (Alphabet::Gsm7, Body::Septets(text)) => {
                // The text begins at the next septet; the bits between are fill.
                let skip = (header.len() * 8).div_ceil(7);
                let mut octets = septets::pack(text, skip);
                // No text after a header of whole octets: nothing is packed.
                octets.resize(octets.len().max(header.len()), 0);
                octets[..header.len()].copy_from_slice(&header);
                (skip + text.len(), octets)
            }
            (Alphabet::Ucs2, body @ Body::Units(_))
            | (Alphabet::Octets, body @ Body::Octets(_)) => {
                let octets = [header, body.octets()].concat();
                (octets.len(), octets)
            }
            _ => return Err(EncodeError::Alphabet),
        };
        if octets.len() > MAX_OCTETS {
            return Err(EncodeError::TooLong(octets.len()));
        }
        // 140 octets are 160 septets.
        let mut out = vec![length as u8];
        out.extend(octets);
        Ok(out)
    }

    /// Reads it; `data` begins with the length field.
    pub(super) fn decode(
        data: &[u8],
        coding: Coding,
        has_header: bool,
    ) -> Result<UserData, PduError> {
        let (length, data) = data.split_first().ok_or(PduError::Short("length"))?;
        let length = usize::from(*length);
        let alphabet = coding.alphabet();
        let octets = if alphabet == Alphabet::Gsm7 { (length * 7).div_ceil(8) } else { length };
        let data = data.get(..octets).ok_or(PduError::Short("user data"))?;
        let (header, size) = if has_header {
            let (header, size) = Header::decode(data)?;
            (Some(header), size)
        } else {
            (None, 0)
        };
        let body = match alphabet {
            Alphabet::Gsm7 => Body::Septets(septets::unpack(data, (size * 8).div_ceil(7), length)),
            Alphabet::Octets => Body::Octets(data[size..].to_vec()),
            Alphabet::Ucs2 => {
                // Half a character at the end is none.
                let pairs = data[size..].chunks_exact(2);
                Body::Units(pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
            }
        };
        Ok(UserData { header, body })
    }
}
