//! Addresses: telephone numbers and names (TS 23.040 §9.1.2.5).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::octets::Octets;
use super::{PduError, alphabet, septets};

/// Most digits of a number: an address field has twelve octets, two of them
/// length and type (TS 23.040 §9.1.2.5).
const MAX_DIGITS: usize = 20;

/// Type of number in bits 4 to 6, ISDN numbering plan in bits 0 to 3.
const INTERNATIONAL: u8 = 0x91;
const UNKNOWN: u8 = 0x81;
const NAME: u8 = 0xd0;

/// Digits of a semi-octet (TS 23.040 §9.1.2.3); 15 fills the last octet.
const DIGITS: &[u8; 15] = b"0123456789*#abc";

/// A sender or recipient. It is shown as `+254700000001` when international,
/// as `20123` when not, and as text when it is a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    kind: u8,
    text: String,
}

/// A text that is no number to send to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no telephone number: write 1 to 20 digits, after a + when international")]
pub struct BadNumber(String);

impl Address {
    /// A number as people write it: digits, `*`, `#`, after `+` when it is
    /// international; spaces, hyphens, dots and brackets do not count.
    ///
    /// # Errors
    /// It is something else, or has no digit or more than 20.
    pub fn number(text: &str) -> Result<Address, BadNumber> {
        let bad = || BadNumber(text.to_owned());
        let plain: String =
            text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
        let (kind, digits) = match plain.strip_prefix('+') {
            Some(digits) => (INTERNATIONAL, digits),
            None => (UNKNOWN, plain.as_str()),
        };
        let known = |byte: u8| byte.is_ascii_digit() || (kind == UNKNOWN && b"*#".contains(&byte));
        if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(known) {
            return Err(bad());
        }
        Ok(Address { kind, text: digits.to_owned() })
    }

    /// A name of at most eleven characters of the default alphabet; `None` when
    /// it is longer or has others. Networks give such to senders; nothing can
    /// be sent to one.
    #[must_use]
    pub fn name(text: &str) -> Option<Address> {
        let length = alphabet::to_septets(text)?.len();
        (1..=11).contains(&length).then(|| Address { kind: NAME, text: text.to_owned() })
    }

    /// The address of nobody: no letters.
    #[must_use]
    pub fn nobody() -> Address {
        Address { kind: NAME, text: String::new() }
    }

    /// Whether it is a name, so that nothing can be sent there.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.kind & 0x70 == NAME & 0x70
    }

    fn is_international(&self) -> bool {
        self.kind & 0x70 == INTERNATIONAL & 0x70
    }

    /// Whether both reach the same: the same text, or numbers of which only one
    /// is international and ends in the other's digits without the trunk zero,
    /// nine at least. Networks report `0700000001` as `+254700000001`.
    #[must_use]
    pub fn same_as(&self, other: &Address) -> bool {
        if self.is_name() || other.is_name() {
            return self.is_name() == other.is_name() && self.text == other.text;
        }
        let (long, short) = match (self.is_international(), other.is_international()) {
            (true, false) => (self, other),
            (false, true) => (other, self),
            _ => return self.text == other.text,
        };
        let short = short.text.trim_start_matches('0');
        self.text == other.text || (short.len() >= 9 && long.text.ends_with(short))
    }

    /// Length in semi-octets, type, and octets of the value.
    pub(super) fn parts(&self) -> (u8, u8, Vec<u8>) {
        if self.is_name() {
            let letters = alphabet::to_septets(&self.text).unwrap_or_default();
            let octets = septets::pack(&letters, 0);
            // Used semi-octets, the last of which may be half filled.
            return ((letters.len() * 7).div_ceil(4) as u8, self.kind, octets);
        }
        let digit = |byte: &u8| DIGITS.iter().position(|known| known == byte).unwrap_or(15) as u8;
        let digits: Vec<u8> = self.text.as_bytes().iter().map(digit).collect();
        let pairs = digits.chunks(2).map(|pair| pair.get(1).unwrap_or(&15) << 4 | pair[0]);
        (digits.len() as u8, self.kind, pairs.collect())
    }

    /// From the length in semi-octets, the type and the value.
    pub(super) fn of_parts(length: usize, kind: u8, value: &[u8]) -> Address {
        if kind & 0x70 == NAME & 0x70 {
            // Eleven letters are 77 bits in 20 semi-octets, the twelfth of
            // which begins a septet of which nothing more is there.
            let letters = septets::unpack(value, 0, length * 4 / 7);
            return Address { kind, text: alphabet::from_septets(&letters) };
        }
        let halves = value.iter().flat_map(|octet| [octet & 15, octet >> 4]).take(length);
        let digits = halves.take_while(|half| *half != 15);
        let text = digits.map(|half| char::from(DIGITS[usize::from(half)])).collect();
        Address { kind, text }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (length, kind, value) = self.parts();
        let mut out = vec![length, kind];
        out.extend(value);
        out
    }

    pub(super) fn decode(octets: &mut Octets<'_>) -> Result<Address, PduError> {
        let length = usize::from(octets.one()?);
        let kind = octets.one()?;
        let value = octets.many(length.div_ceil(2))?;
        Ok(Address::of_parts(length, kind, value))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.is_international() { "+" } else { "" };
        write!(f, "{plus}{}", self.text)
    }
}
