//! The data coding scheme: which alphabet, which class (TS 23.038 §4).

use serde::{Deserialize, Serialize};

/// What the user data is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// The default alphabet, seven bits a character.
    Gsm7,
    /// Octets without meaning to the telephone.
    Octets,
    /// Two octets a character; UTF-16 in practice.
    Ucs2,
}

/// "You have voice mail", or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Whether something waits.
    pub active: bool,
    /// What: 0 voice mail, 1 fax, 2 electronic mail, 3 other.
    pub what: u8,
    /// Whether the text is to be kept; else only the indication counts.
    pub keep: bool,
}

/// The octet as it is sent, so that none is lost; its meaning is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coding(pub u8);

impl Coding {
    /// A text in an alphabet, with a class 0 to 3 or none.
    #[must_use]
    pub fn text(alphabet: Alphabet, class: Option<u8>) -> Coding {
        let alphabet = match alphabet {
            Alphabet::Gsm7 => 0x00,
            Alphabet::Octets => 0x04,
            Alphabet::Ucs2 => 0x08,
        };
        Coding(alphabet | class.map_or(0, |class| 0x10 | class & 3))
    }

    /// The alphabet. Reserved values mean the default one (TS 23.038 §4).
    /// Compressed text is octets to us.
    #[must_use]
    pub fn alphabet(self) -> Alphabet {
        match self.0 >> 4 {
            // 00xx general, 01xx the same and marked for automatic deletion.
            0x0..=0x7 if self.0 & 0x20 != 0 => Alphabet::Octets,
            0x0..=0x7 => match self.0 >> 2 & 3 {
                1 => Alphabet::Octets,
                2 => Alphabet::Ucs2,
                _ => Alphabet::Gsm7,
            },
            0xe => Alphabet::Ucs2,
            0xf if self.0 & 4 != 0 => Alphabet::Octets,
            _ => Alphabet::Gsm7,
        }
    }

    /// The class: 0 to be shown at once and not kept ("flash"), 1 for the
    /// telephone, 2 for the card, 3 for the computer.
    #[must_use]
    pub fn class(self) -> Option<u8> {
        match self.0 >> 4 {
            0x0..=0x7 if self.0 & 0x10 != 0 => Some(self.0 & 3),
            0xf => Some(self.0 & 3),
            _ => None,
        }
    }

    /// Whether it is compressed (TS 23.042).
    #[must_use]
    pub fn is_compressed(self) -> bool {
        self.0 >> 7 == 0 && self.0 & 0x20 != 0
    }

    /// What the message tells of waiting messages.
    #[must_use]
    pub fn waiting(self) -> Option<Waiting> {
        let keep = match self.0 >> 4 {
            0xc => false,
            0xd | 0xe => true,
            _ => return None,
        };
        Some(Waiting { active: self.0 & 8 != 0, what: self.0 & 3, keep })
    }
}
