//! A message from us, and how far each of its parts has come.

use serde::{Deserialize, Serialize};

use crate::sms::pdu::{Address, Fate, Status};

/// A report comes by the end of the message's time (TS 23.040 §9.2.3.15: expired),
/// or is lost; so much later it is no longer waited for.
const REPORT_LATE: u64 = 86_400;

/// Which of several messages goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all others.
    High,
    /// In its turn.
    #[default]
    Normal,
    /// When no other waits.
    Low,
}

/// How far a part has come. Times are seconds of the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum PartState {
    /// Not given to the modem, or refused by it.
    Waiting,
    /// About to be given to the modem, or given and not answered.
    Sending {
        /// Since when.
        at: u64,
    },
    /// The network has it.
    Submitted {
        /// When it was answered.
        at: u64,
        /// By what the status report names it.
        reference: Option<u8>,
    },
    /// A status report came.
    Reported {
        /// When it was answered, as far as known.
        at: u64,
        /// By what the status report named it.
        reference: Option<u8>,
        /// What the report says.
        status: Status,
    },
    /// The modem's answer was lost.
    Unknown {
        /// When it was given to the modem.
        at: u64,
    },
}

impl PartState {
    /// When it was, or may have been, given to the network.
    #[must_use]
    pub fn given(self) -> Option<u64> {
        match self {
            PartState::Waiting => None,
            PartState::Sending { at }
            | PartState::Submitted { at, .. }
            | PartState::Reported { at, .. }
            | PartState::Unknown { at } => Some(at),
        }
    }
}

/// A message from us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Our number for it.
    pub id: u64,
    /// What its parts are numbered by, if not by that: it had another number before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<u8>,
    /// To whom.
    pub to: Address,
    /// The text.
    pub text: String,
    /// 0 for a text that is shown at once.
    pub class: Option<u8>,
    /// Whether a status report is asked for.
    pub report: bool,
    /// Which goes first.
    pub priority: Priority,
    /// When it was accepted, seconds of the epoch.
    pub accepted: u64,
    /// From when on it is no longer worth sending.
    pub expires: u64,
    /// The parts, in order.
    pub parts: Vec<PartState>,
    /// How often the modem or the network has refused it.
    pub attempts: u32,
    /// Not before this.
    pub next_try: u64,
    /// Whether a part was sent again that may have been sent before.
    pub perhaps_twice: bool,
    /// Why it will not be sent any further.
    pub failed: Option<String>,
    /// What the network or the modem said last.
    pub last_error: Option<String>,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is on the disk and will be sent.
    Accepted,
    /// The network has all of it.
    Submitted,
    /// The recipient has all of it.
    Reported,
    /// It was refused for good, or reported as not delivered.
    Failed,
    /// Its time was over before all of it was sent.
    Expired,
    /// Whether all of it was sent, nobody knows.
    Unknown,
}

impl Outgoing {
    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> State {
        let any = |is: fn(&PartState) -> bool| self.parts.iter().any(is);
        if self.failed.is_some() {
            return State::Failed;
        }
        if any(|part| matches!(part, PartState::Waiting | PartState::Sending { .. })) {
            // A message of which something will still be sent may be unknown in
            // part; that it is not done counts for more.
            return if self.is_over() { State::Expired } else { State::Accepted };
        }
        if any(|part| matches!(part, PartState::Unknown { .. })) {
            return State::Unknown;
        }
        let fates = || {
            self.parts.iter().map(|part| match part {
                PartState::Reported { status, .. } => Some(status.fate()),
                _ => None,
            })
        };
        if fates().any(|fate| fate == Some(Fate::Failed)) {
            State::Failed
        } else if fates().all(|fate| fate == Some(Fate::Delivered)) {
            State::Reported
        } else {
            State::Submitted
        }
    }

    /// Whether its time has run out with something unsent.
    fn is_over(&self) -> bool {
        self.next_try == u64::MAX
    }

    /// Marks that its time has run out.
    pub(super) fn expire(&mut self) {
        self.next_try = u64::MAX;
    }

    /// Whether a part waits to be sent.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let waits = self.parts.contains(&PartState::Waiting);
        waits && self.failed.is_none() && !self.is_over()
    }

    /// Whether nothing will become of it any more.
    #[must_use]
    pub fn is_done(&self, wall: u64) -> bool {
        match self.state() {
            State::Accepted => false,
            State::Submitted => !self.report || wall >= self.expires.saturating_add(REPORT_LATE),
            _ => true,
        }
    }
}
