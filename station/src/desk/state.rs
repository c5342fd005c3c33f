//! What a desk shows of itself: to the page, to the terminal, as JSON.

use serde::{Deserialize, Serialize};

use crate::progress::Phase;

/// So many lines of the records are shown, the latest.
pub const HISTORY: usize = 100;

/// All that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The image.
    pub image: ImageState,
    /// The fleet, unless all cards become the same.
    pub fleet: Option<FleetState>,
    /// Cards and readers that are there.
    pub cards: Vec<CardState>,
    /// What is being written, and what was since the desk was opened; the latest
    /// last.
    pub jobs: Vec<JobState>,
    /// From the records, the latest first.
    pub history: Vec<Past>,
    /// Whether cards that are put in are written by themselves, and in which
    /// slots whatever they hold.
    pub hot_add: Option<Vec<String>>,
    /// What the operator should know, the latest last.
    pub notes: Vec<String>,
}

/// The image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageState {
    /// Its file.
    pub name: String,
    /// Bytes, unpacked, where known.
    pub size: Option<u64>,
    /// Whether its signature is checked.
    pub signed: bool,
}

/// How far the fleet is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetState {
    /// Units in it.
    pub units: usize,
    /// Units that no card has for certain.
    pub left: usize,
}

/// A card or reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardState {
    /// Device or file.
    pub path: String,
    /// Its slot, where it has one.
    pub slot: Option<String>,
    /// As it calls itself.
    pub model: Option<String>,
    /// Its identification register or serial number.
    pub serial: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Why it cannot be written; it can when there is nothing.
    pub against: Vec<String>,
    /// Whether it is being written now.
    pub busy: bool,
    /// Changes with whatever is known of the card: who wants it written says
    /// this, so that a card that was changed meanwhile is not.
    pub mark: String,
}

/// A card that is being, or was, written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Counts from 1.
    pub number: usize,
    /// Device or file.
    pub path: String,
    /// What the card becomes.
    pub unit: Option<String>,
    /// What is being done.
    pub phase: Phase,
    /// Bytes of it that are done.
    pub done: u64,
    /// Bytes of it; 0 when unknown.
    pub total: u64,
    /// Bytes a second.
    pub speed: Option<u64>,
    /// Seconds until the phase is over.
    pub remaining: Option<u64>,
    /// What it came to, in a sentence.
    pub end: Option<String>,
}

/// A line of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Counts from 1.
    pub number: i64,
    /// The unit.
    pub unit: String,
    /// As in the records.
    pub state: String,
    /// Device or file.
    pub target: String,
    /// The card's identification register or serial number.
    pub serial: Option<String>,
    /// Who wrote it.
    pub operator: Option<String>,
    /// Seconds since 1970.
    pub started: i64,
    /// Seconds since 1970.
    pub ended: Option<i64>,
    /// How long writing took.
    pub write_ms: Option<i64>,
    /// How long reading back took.
    pub verify_ms: Option<i64>,
    /// Why it is not right.
    pub why: Option<String>,
}

/// The latest lines of the records, the latest first. A card's token stays in
/// them: it is for the unit's device and the desk alone.
#[must_use]
pub fn history(cards: &[crate::records::Card]) -> Vec<Past> {
    let past = |card: &crate::records::Card| Past {
        number: card.number,
        unit: card.unit.clone(),
        state: card.state.clone(),
        target: card.target.clone(),
        serial: card.cid.clone().or_else(|| card.serial.clone()),
        operator: card.operator.clone(),
        started: card.started,
        ended: card.ended,
        write_ms: card.write_ms,
        verify_ms: card.verify_ms,
        why: card.why.clone(),
    };
    cards.iter().rev().take(HISTORY).map(past).collect()
}
