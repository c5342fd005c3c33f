//! Messages as they are shown.

use serde::{Deserialize, Serialize};

use crate::sms::assembly::{Completeness, Incoming};
use crate::sms::commands;
use crate::sms::pdu::Waiting;
use crate::sms::spool::{Outgoing, PartState};

/// A message, either way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number; a later message has a higher one.
    pub id: u64,
    /// `in` or `out`.
    pub direction: String,
    /// The other end: a number, international ones with `+`, or a name.
    pub address: String,
    /// The text; `null` when it is data. Of a command that sets an access point user
    /// and password are left out.
    pub text: Option<String>,
    /// Out: `accepted`, `submitted`, `reported`, `failed`, `expired`, `unknown`.
    /// In: `whole`, `partial`, `incomplete`, `blocked`.
    pub state: String,
    /// Why it is so, for people.
    pub detail: Option<String>,
    /// Accepted, or kept first: seconds of the Unix epoch.
    pub at: u64,
    /// When the centre got it, with its time zone (in).
    pub stamp: Option<String>,
    /// How many parts it has.
    pub parts: u8,
    /// How many are sent, or came.
    pub parts_done: u8,
    /// The modem's references of its parts (out).
    pub references: Vec<u8>,
    /// What the status reports of its parts say (out).
    pub reports: Vec<String>,
    /// Class 0 is shown at once and not kept by a telephone.
    pub class: Option<u8>,
    /// What it tells of waiting messages (in).
    pub waiting: Option<Waiting>,
    /// Whether it may have been sent twice (out).
    pub perhaps_twice: bool,
}

impl Message {
    pub(super) fn out(message: &Outgoing) -> Message {
        let state = serde_json::to_value(message.state()).unwrap_or_default();
        let reference = |part: &PartState| match part {
            PartState::Submitted { reference, .. } | PartState::Reported { reference, .. } => {
                *reference
            }
            _ => None,
        };
        let report = |part: &PartState| match part {
            PartState::Reported { status, .. } => Some(status.text().to_owned()),
            _ => None,
        };
        let given = message.parts.iter().filter(|part| part.given().is_some()).count();
        Message {
            id: message.id,
            direction: "out".to_owned(),
            address: message.to.to_string(),
            text: Some(message.text.clone()),
            state: state.as_str().unwrap_or_default().to_owned(),
            detail: message.failed.clone().or_else(|| message.last_error.clone()),
            at: message.accepted,
            stamp: None,
            // There are at most 255.
            parts: message.parts.len() as u8,
            parts_done: given as u8,
            references: message.parts.iter().filter_map(reference).collect(),
            reports: message.parts.iter().filter_map(report).collect(),
            class: message.class,
            waiting: None,
            perhaps_twice: message.perhaps_twice,
        }
    }

    pub(super) fn into(message: &Incoming) -> Message {
        let state = match message.state {
            _ if message.blocked => "blocked",
            Completeness::Whole => "whole",
            Completeness::Partial => "partial",
            Completeness::Incomplete => "incomplete",
        };
        let (there, parts) = message.count();
        Message {
            id: message.id,
            direction: "in".to_owned(),
            address: message.from.to_string(),
            text: message.text().map(commands::shown),
            state: state.to_owned(),
            detail: None,
            at: message.kept,
            stamp: Some(message.stamp.to_string()),
            parts,
            parts_done: there,
            references: Vec::new(),
            reports: Vec::new(),
            class: message.coding.class(),
            waiting: message.coding.waiting(),
            perhaps_twice: false,
        }
    }
}

/// What happened to a message. It is told after it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// `received`, or the state that a message from us has reached.
    pub event: String,
    /// The message as it is now.
    pub message: Message,
}

impl News {
    pub(super) fn received(message: &Incoming) -> News {
        News { event: "received".to_owned(), message: Message::into(message) }
    }

    pub(super) fn sent(message: &Outgoing) -> News {
        let message = Message::out(message);
        News { event: message.state.clone(), message }
    }
}
