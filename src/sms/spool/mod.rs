//! Where messages are kept until they have done their way, and what is to be
//! done with them next.
//!
//! [`Outbox`] decides, [`Store`] keeps; between the two stands one rule: what is
//! to be done next is kept first. A part that is about to be given to the modem
//! is `sending` on the disk before the modem hears of it, so that after a loss
//! of power no part is sent twice unknowingly:
//!
//! | on the disk | given to the modem? | after a restart |
//! |---|---|---|
//! | `waiting` | no | is sent |
//! | `sending` | perhaps | becomes `unknown` |
//! | `submitted` | yes, and it has a reference | waits for the report, if one was asked for |
//! | `reported` | yes, and what became of it is known | stays |
//! | `unknown` | perhaps; the answer was lost | stays, or is sent again: the owner's choice |

mod disk;
mod lists;
mod outbox;
mod outgoing;
mod store;
mod whole;

use serde::{Deserialize, Serialize};

pub use disk::{Disk, Folder};
pub use lists::{Lists, Pattern};
pub use outbox::{Outbox, Refusal, Send, SendRequest, retry_after};
pub use outgoing::{Outgoing, PartState, Priority, State};
pub use store::{Kept, Store, StoreError};
pub use whole::Whole;

use super::assembly::Incoming;

/// Before this the clock is not set: 2025-01-01. A Pi has no clock of its own
/// and starts at 1970, or where it stopped.
pub const CLOCK_SET: u64 = 1_735_689_600;

/// What is kept, each in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message from us.
    Outgoing(Outgoing),
    /// A message to us.
    Incoming(Incoming),
    /// Numbers below this may have been given out.
    Numbers(u64),
}

impl Record {
    /// The message's number; `None` of the count of numbers.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        match self {
            Record::Outgoing(message) => Some(message.id),
            Record::Incoming(message) => Some(message.id),
            Record::Numbers(_) => None,
        }
    }
}

/// What to do with a part of which nobody knows whether it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// Leave it: never twice, perhaps never.
    #[default]
    Hold,
    /// Send it again: at least once, perhaps twice.
    Resend,
}

/// The owner's wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// To whom messages may be sent.
    pub to: Lists,
    /// From whom they are listened to.
    pub from: Lists,
    /// What to do with a part whose answer was lost.
    pub on_unknown: OnUnknown,
    /// How long a message is worth sending, seconds, unless it says so itself.
    pub validity: u64,
    /// Most messages sent in an hour, parts counted; 0 for no limit.
    pub per_hour: u32,
    /// How long a missing part is waited for, seconds.
    pub patience: u64,
    /// How many messages that are done with are kept, of each direction.
    pub keep: usize,
    /// Whether there is a program to run for each message that came.
    pub program: bool,
    /// Whose messages may be commands; `None` when nobody's may.
    pub commanders: Option<Vec<Pattern>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            to: Lists::default(),
            from: Lists::default(),
            on_unknown: OnUnknown::Hold,
            validity: 86_400,
            per_hour: 60,
            patience: 86_400,
            keep: 200,
            program: false,
            commanders: None,
        }
    }
}
