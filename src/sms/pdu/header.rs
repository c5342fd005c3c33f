//! The user data header: parts of a long text, ports, indications
//! (TS 23.040 §9.2.3.24).

use serde::{Deserialize, Serialize};

use super::{EncodeError, PduError};

/// Part of a text, with a reference of 8 or of 16 bits (§9.2.3.24.1, .8).
const SHORT: u8 = 0x00;
const LONG: u8 = 0x08;

/// One information element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// What it is.
    pub id: u8,
    /// What it says.
    pub data: Vec<u8>,
}

/// All elements, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header(pub Vec<Element>);

/// Which part of which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concat {
    /// The text's reference among those of its sender.
    pub reference: u16,
    /// Whether the reference has 16 bits instead of 8.
    pub wide: bool,
    /// How many parts there are, 1 or more.
    pub total: u8,
    /// Which this is, 1 to `total`.
    pub number: u8,
}

impl Concat {
    /// As an element.
    #[must_use]
    pub fn element(self) -> Element {
        let [high, low] = self.reference.to_be_bytes();
        if self.wide {
            Element { id: LONG, data: vec![high, low, self.total, self.number] }
        } else {
            Element { id: SHORT, data: vec![low, self.total, self.number] }
        }
    }
}

impl Header {
    /// Which part of a longer text this is. Elements with numbers that cannot
    /// be are ignored (§9.2.3.24.1); of several the last counts (§9.2.3.24).
    #[must_use]
    pub fn concat(&self) -> Option<Concat> {
        let read = |element: &Element| {
            let concat = match (element.id, &element.data[..]) {
                (SHORT, [reference, total, number]) => Concat {
                    reference: u16::from(*reference),
                    wide: false,
                    total: *total,
                    number: *number,
                },
                (LONG, [high, low, total, number]) => Concat {
                    reference: u16::from_be_bytes([*high, *low]),
                    wide: true,
                    total: *total,
                    number: *number,
                },
                _ => return None,
            };
            (1..=concat.total).contains(&concat.number).then_some(concat)
        };
        self.0.iter().rev().find_map(read)
    }

    /// Destination and source port of an application message (§9.2.3.24.3, .4);
    /// such a text is for a program, not for people.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.0.iter().rev().find_map(|element| match (element.id, &element.data[..]) {
            (0x04, [to, from]) => Some((u16::from(*to), u16::from(*from))),
            (0x05, [a, b, c, d]) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        })
    }

    /// Special SMS message indications: the octet of kind and storage, and how
    /// many wait (§9.2.3.24.2).
    #[must_use]
    pub fn waiting(&self) -> Option<(u8, u8)> {
        self.0.iter().rev().find_map(|element| match (element.id, &element.data[..]) {
            (0x01, [kind, count]) => Some((*kind, *count)),
            _ => None,
        })
    }

    /// With its length in front.
    pub(super) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = vec![0];
        for element in &self.0 {
            out.push(element.id);
            out.push(u8::try_from(element.data.len()).map_err(|_| EncodeError::Header)?);
            out.extend(&element.data);
        }
        out[0] = u8::try_from(out.len() - 1).map_err(|_| EncodeError::Header)?;
        Ok(out)
    }

    /// Reads it off the user data; gives its length too. An element that is cut
    /// short ends the list: what came before still counts.
    pub(super) fn decode(data: &[u8]) -> Result<(Header, usize), PduError> {
        let length = usize::from(*data.first().ok_or(PduError::Header)?);
        let mut rest = data.get(1..=length).ok_or(PduError::Header)?;
        let mut elements = Vec::new();
        while let [id, size, more @ ..] = rest {
            let Some(data) = more.get(..usize::from(*size)) else { break };
            elements.push(Element { id: *id, data: data.to_vec() });
            rest = &more[usize::from(*size)..];
        }
        Ok((Header(elements), 1 + length))
    }
}
