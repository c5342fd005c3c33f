//! Short messages: alphabet, PDUs and the places they are kept in.
//!
//! The network's side of them: what a modem receives is made here, and what
//! it sends is read here. It shares no code with the provisioner, so that the
//! two judge each other.

pub(crate) mod alphabet;
pub(crate) mod pdu;

use std::collections::BTreeMap;

use serde::Serialize;

/// Memories and their places (SIMCom A76XX manual; a card's number is its own).
const MEMORIES: [(&str, u16); 2] = [("ME", 180), ("SM", 50)];

/// `AT+CMGL`'s states: 0 unread, 1 read, 2 unsent, 3 sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub stat: u8,
    /// Without the service centre's address.
    pub tpdu: Vec<u8>,
}

/// A message that the host has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Recipient, with `+` when international.
    pub to: String,
    /// Text of this part.
    pub text: String,
    /// Reference that the modem answered.
    pub reference: u8,
    /// Reference, parts, number of this part; for a part of a longer text.
    pub part: Option<(u16, u8, u8)>,
    /// Whether a status report was asked for.
    pub report: bool,
}

/// Where messages are kept.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    places: BTreeMap<&'static str, BTreeMap<u16, Stored>>,
    /// Read and delete from, write to, receive into.
    pub used: [&'static str; 3],
}

impl Default for Store {
    fn default() -> Self {
        Store { places: BTreeMap::new(), used: ["SM"; 3] }
    }
}

impl Store {
    /// The memory of this name, if there is one.
    pub fn memory(name: &str) -> Option<&'static str> {
        MEMORIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(name, _)| *name)
    }

    /// Used and all places of one of the three uses.
    pub fn fill(&self, which: usize) -> (usize, u16) {
        let name = self.used.get(which).copied().unwrap_or("SM");
        let size = MEMORIES.iter().find(|(known, _)| *known == name).map_or(0, |(_, size)| *size);
        (self.places.get(name).map_or(0, BTreeMap::len), size)
    }

    /// Keeps a message in the memory for received ones; its memory and index,
    /// or nothing when that is full.
    pub fn keep(&mut self, stored: Stored) -> Option<(&'static str, u16)> {
        let (_, size) = self.fill(2);
        let name = self.used[2];
        let places = self.places.entry(name).or_default();
        let index = (0..size).find(|index| !places.contains_key(index))?;
        places.insert(index, stored);
        Some((name, index))
    }

    /// How many messages there are in all memories.
    pub fn total(&self) -> usize {
        self.places.values().map(BTreeMap::len).sum()
    }

    /// The messages of the memory that is read from.
    pub fn readable(&mut self) -> &mut BTreeMap<u16, Stored> {
        self.places.entry(self.used[0]).or_default()
    }
}
