//! Messages that go as a whole, by a program that makes the parts itself
//! (ModemManager).

use super::outbox::Outbox;
use super::outgoing::PartState;
use crate::sms::pdu::{Address, Status};

/// A message to give to ModemManager, once it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Message.
    pub id: u64,
    /// To whom.
    pub to: Address,
    /// The text.
    pub text: String,
    /// 0 for a text that is shown at once.
    pub class: Option<u8>,
    /// Whether a status report is asked for.
    pub report: bool,
    /// How many minutes it is still worth sending, rounded up.
    pub minutes: u32,
}

impl Outbox {
    /// The next message to send, all parts of it now `sending`: it is to be kept
    /// before it is sent. `None` when nothing is to be sent now. One of which parts
    /// were sent already cannot go as a whole, and waits.
    pub fn next_whole(&mut self, wall: u64) -> Option<Whole> {
        if self.free_at(wall) > wall {
            return None;
        }
        let waits = |part: &PartState| *part == PartState::Waiting;
        let due = self
            .messages
            .values_mut()
            .filter(|one| one.is_waiting() && one.next_try <= wall && one.parts.iter().all(waits));
        let message = due.min_by_key(|one| (one.priority, one.id))?;
        for part in &mut message.parts {
            *part = PartState::Sending { at: wall };
            self.sent.push_back(wall);
        }
        let left = message.expires.saturating_sub(wall).div_ceil(60);
        Some(Whole {
            id: message.id,
            to: message.to.clone(),
            text: message.text.clone(),
            class: message.class,
            report: message.report,
            minutes: u32::try_from(left).unwrap_or(u32::MAX),
        })
    }

    /// The network has all of it; `last` is the reference of its last part, all that
    /// ModemManager tells.
    pub fn whole_submitted(&mut self, wall: u64, id: u64, last: Option<u8>) {
        let count = self.count(id);
        for part in 0..count {
            self.submitted(wall, id, part, last.filter(|_| part + 1 == count));
        }
    }

    /// It was refused, perhaps after some of its parts were sent.
    pub fn whole_refused(&mut self, wall: u64, id: u64, why: &str) {
        let count = self.count(id);
        self.whole_not_sent(wall, id);
        self.refused_once(wall, id, why.to_owned(), false);
        if let Some(message) = self.messages.get_mut(&id) {
            message.perhaps_twice |= count > 1;
        }
    }

    /// Nothing of it reached the modem, and why.
    pub fn whole_not_given(&mut self, wall: u64, id: u64, why: &str) {
        self.whole_not_sent(wall, id);
        self.refused_once(wall, id, why.to_owned(), false);
    }

    fn whole_not_sent(&mut self, wall: u64, id: u64) {
        for part in 0..self.count(id) {
            self.not_sent(wall, id, part);
        }
    }

    /// Whether it was sent, nobody knows.
    pub fn whole_lost(&mut self, wall: u64, id: u64) {
        for part in 0..self.count(id) {
            self.lost(wall, id, part);
        }
    }

    /// A report on the last part of a text that went as a whole is on all of it:
    /// ModemManager asks for no other (`mm_sms_part_3gpp_get_submit_pdu` of its
    /// mm-sms-part-3gpp.c), and has no way to be told to.
    pub(super) fn whole_reported(&mut self, id: u64, part: usize, status: Status) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        if part + 1 != message.parts.len() {
            return;
        }
        for before in &mut message.parts[..part] {
            if let PartState::Submitted { at, reference: None } = *before {
                *before = PartState::Reported { at, reference: None, status };
            }
        }
    }

    fn count(&self, id: u64) -> usize {
        self.get(id).map_or(0, |message| message.parts.len())
    }
}
