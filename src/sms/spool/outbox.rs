//! What to do with messages from us. Pure: what happened and the time come in,
//! the next step comes out. All times are seconds of the Unix epoch.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::outgoing::{Outgoing, PartState, Priority, State};
use super::{CLOCK_SET, OnUnknown, Settings};
use crate::sms::pdu::{
    Address, EncodeError, StatusReport, Submit, TooLong, Validity, split, to_hex, with_centre,
};

/// Wait after the first refusal; it doubles up to [`RETRY_MOST`]. A cell that is
/// congested or a centre that restarts takes minutes.
const RETRY: u64 = 10;
const RETRY_MOST: u64 = 900;

/// An hour, over which messages are counted.
const HOUR: u64 = 3600;

/// Most messages that wait; a program that runs wild fills no disk.
const MAX_WAITING: usize = 1000;

/// What someone wants sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// To whom.
    pub to: Address,
    /// The text.
    pub text: String,
    /// 0 for a text that is shown at once.
    pub class: Option<u8>,
    /// Whether a status report is asked for.
    pub report: bool,
    /// How long it is worth sending, seconds; `None` for the owner's default.
    pub validity: Option<u64>,
    /// Which goes first.
    pub priority: Priority,
}

/// Why a message is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The lists forbid it.
    #[error("the configuration does not let messages go to {0} (`sms.allow_to`, `sms.deny_to`)")]
    Forbidden(Address),
    /// Nothing is sent to a name.
    #[error("{0} is a name, not a number")]
    Name(Address),
    /// The text is too long.
    #[error("{0}")]
    TooLong(#[from] TooLong),
    /// Too many wait.
    #[error("{MAX_WAITING} messages wait already; delete some or wait")]
    Full,
}

/// A part to give to the modem, once its message is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Message.
    pub id: u64,
    /// Number of the part, from 0.
    pub part: usize,
    /// Octets without the service centre's address, for `AT+CMGS`.
    pub length: usize,
    /// The message in hexadecimal.
    pub pdu: String,
}

/// All messages from us.
#[derive(Debug)]
pub struct Outbox {
    settings: Settings,
    pub(super) messages: BTreeMap<u64, Outgoing>,
    /// When parts were sent within the last hour.
    pub(super) sent: VecDeque<u64>,
}

/// How long to wait after so many refusals, seconds.
#[must_use]
pub fn retry_after(attempts: u32) -> u64 {
    let doubled = attempts.saturating_sub(1).min(16);
    (RETRY << doubled).min(RETRY_MOST)
}

impl Outbox {
    /// With what was kept. Parts that were being sent are unknown now; those
    /// messages are to be kept again before anything else: see
    /// [`Outbox::messages`].
    #[must_use]
    pub fn new(settings: Settings, kept: impl IntoIterator<Item = Outgoing>) -> Outbox {
        let mut outbox = Outbox { settings, messages: BTreeMap::new(), sent: VecDeque::new() };
        for mut message in kept {
            for part in &mut message.parts {
                if let PartState::Sending { at } = *part {
                    *part = PartState::Unknown { at };
                }
                outbox.sent.extend(part.given());
            }
            outbox.messages.insert(message.id, message);
        }
        outbox.sent.make_contiguous().sort_unstable();
        outbox
    }

    /// The messages, the oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Outgoing> {
        self.messages.values()
    }

    /// One message.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Outgoing> {
        self.messages.get(&id)
    }

    /// Forgets a message.
    pub fn remove(&mut self, id: u64) -> Option<Outgoing> {
        self.messages.remove(&id)
    }

    /// Looks whether a message can be accepted, before it gets a number.
    ///
    /// # Errors
    /// It cannot, and why.
    pub fn check(&self, request: &SendRequest) -> Result<usize, Refusal> {
        if request.to.is_name() {
            return Err(Refusal::Name(request.to.clone()));
        }
        if !self.settings.to.permit(&request.to) {
            return Err(Refusal::Forbidden(request.to.clone()));
        }
        let parts = split(&request.text, request.class, 0, false)?.parts.len();
        if self.messages.values().filter(|one| one.is_waiting()).count() >= MAX_WAITING {
            return Err(Refusal::Full);
        }
        Ok(parts)
    }

    /// Takes a message on that was checked. It is accepted when it is kept.
    pub fn accept(&mut self, wall: u64, id: u64, parts: usize, request: SendRequest) -> &Outgoing {
        let validity = request.validity.unwrap_or(self.settings.validity);
        let message = Outgoing {
            id,
            reference: None,
            to: request.to,
            text: request.text,
            class: request.class,
            report: request.report,
            priority: request.priority,
            accepted: wall,
            // The last moment means "over".
            expires: wall.saturating_add(validity).min(u64::MAX - 1),
            parts: vec![PartState::Waiting; parts],
            attempts: 0,
            next_try: wall,
            perhaps_twice: false,
            failed: None,
            last_error: None,
        };
        self.messages.insert(id, message);
        &self.messages[&id]
    }

    /// Whether [`Outbox::next`] has one.
    #[must_use]
    pub fn is_due(&self, wall: u64) -> bool {
        let due = |one: &Outgoing| one.is_waiting() && one.next_try <= wall;
        self.free_at(wall) <= wall && self.messages.values().any(due)
    }

    /// The next part to send, now `sending`: its message is to be kept before it
    /// is sent. `None` when nothing is to be sent now.
    pub fn next(&mut self, wall: u64) -> Option<Send> {
        if self.free_at(wall) > wall {
            return None;
        }
        let due = self.messages.values_mut().filter(|one| one.is_waiting() && one.next_try <= wall);
        let message = due.min_by_key(|one| (one.priority, one.id))?;
        let part = message.parts.iter().position(|part| *part == PartState::Waiting)?;
        match pdu(message, part, wall) {
            Ok((length, pdu)) => {
                message.parts[part] = PartState::Sending { at: wall };
                self.sent.push_back(wall);
                Some(Send { id: message.id, part, length, pdu })
            }
            Err(error) => {
                // It was accepted with as many parts as it has.
                message.failed = Some(error.to_string());
                None
            }
        }
    }

    /// The network has it.
    pub fn submitted(&mut self, wall: u64, id: u64, part: usize, reference: Option<u8>) {
        self.set(id, part, PartState::Submitted { at: wall, reference });
        if let Some(message) = self.messages.get_mut(&id) {
            message.attempts = 0;
            message.last_error = None;
        }
    }

    /// It was refused, so it was not sent.
    pub fn refused(&mut self, wall: u64, id: u64, part: usize, why: String, for_good: bool) {
        self.set(id, part, PartState::Waiting);
        self.sent.pop_back();
        self.refused_once(wall, id, why, for_good);
    }

    /// The message was refused, wherever its parts are.
    pub(super) fn refused_once(&mut self, wall: u64, id: u64, why: String, for_good: bool) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.attempts = message.attempts.saturating_add(1);
            message.next_try = wall.saturating_add(retry_after(message.attempts));
            if for_good {
                message.failed = Some(why.clone());
            }
            message.last_error = Some(why);
        }
    }

    /// It never reached the modem.
    pub fn not_sent(&mut self, wall: u64, id: u64, part: usize) {
        self.set(id, part, PartState::Waiting);
        self.sent.pop_back();
        if let Some(message) = self.messages.get_mut(&id) {
            // The port is being mended meanwhile.
            message.next_try = wall.saturating_add(1);
        }
    }

    /// The modem got it, and its answer was lost.
    pub fn lost(&mut self, wall: u64, id: u64, part: usize) {
        self.set(id, part, PartState::Unknown { at: wall });
        if let Some(message) = self.messages.get_mut(&id) {
            message.attempts = message.attempts.saturating_add(1);
            message.next_try = wall.saturating_add(retry_after(message.attempts));
        }
    }

    /// Takes a status report in; the message that it is about. A part of which
    /// nobody knew whether it was sent was, if the report fits no other.
    pub fn report(&mut self, report: &StatusReport) -> Option<u64> {
        let to = |one: &Outgoing| one.to.same_as(&report.to);
        // A reference comes again after 256 messages: the last one is meant.
        let named = |part: &PartState| match part {
            PartState::Submitted { reference, .. } | PartState::Reported { reference, .. } => {
                *reference == Some(report.reference)
            }
            _ => false,
        };
        let unknown = |part: &PartState| matches!(part, PartState::Unknown { .. });
        let find = |is: &dyn Fn(&PartState) -> bool| {
            let all = self.messages.values().rev().filter(|one| to(one) && one.report);
            let mut all = all.filter_map(|one| Some((one.id, one.parts.iter().rposition(is)?)));
            all.next()
        };
        let (id, part) = find(&named).or_else(|| find(&unknown))?;
        let at = self.messages.get(&id)?.parts.get(part)?.given().unwrap_or(0);
        let reference = Some(report.reference);
        self.set(id, part, PartState::Reported { at, reference, status: report.status });
        self.whole_reported(id, part, report.status);
        Some(id)
    }

    /// Lets time pass: the messages that changed, and are to be kept.
    pub fn advance(&mut self, wall: u64) -> Vec<u64> {
        let resend = self.settings.on_unknown == OnUnknown::Resend;
        let mut changed = Vec::new();
        let unknown = |part: &PartState| matches!(part, PartState::Unknown { .. });
        // Most have nothing to come any more.
        let open = |one: &&mut Outgoing| {
            one.is_waiting()
                || one.accepted < CLOCK_SET && wall >= CLOCK_SET
                || resend && one.parts.iter().any(unknown)
        };
        for message in self.messages.values_mut().filter(open) {
            let before = message.clone();
            if message.accepted < CLOCK_SET && wall >= CLOCK_SET {
                // It was accepted before the clock was set: its time begins now.
                message.expires = wall.saturating_add(message.expires - message.accepted);
                message.accepted = wall;
                message.next_try = message.next_try.min(wall);
            }
            if message.is_waiting() {
                if wall >= message.expires {
                    message.expire();
                } else {
                    // The clock may have been set back.
                    message.next_try = message.next_try.min(wall.saturating_add(RETRY_MOST));
                }
            }
            let alive = message.failed.is_none() && wall < message.expires;
            if resend && alive && wall >= message.next_try {
                for part in &mut message.parts {
                    if matches!(part, PartState::Unknown { .. }) {
                        *part = PartState::Waiting;
                        message.perhaps_twice = true;
                    }
                }
            }
            if *message != before {
                changed.push(message.id);
            }
        }
        changed
    }

    /// When there is something to do next; `None` when only news brings any.
    #[must_use]
    pub fn next_event(&self, wall: u64) -> Option<u64> {
        let resend = self.settings.on_unknown == OnUnknown::Resend;
        let waiting = self.messages.values().filter(|one| {
            let unknown = |part: &PartState| matches!(part, PartState::Unknown { .. });
            one.is_waiting()
                || resend
                    && one.failed.is_none()
                    && one.expires > wall
                    && one.parts.iter().any(unknown)
        });
        let free = self.free_at(wall);
        waiting.map(|one| one.next_try.max(free).min(one.expires)).min()
    }

    /// The oldest messages over the number that is to be kept, of those that are
    /// done with.
    #[must_use]
    pub fn surplus(&self, wall: u64) -> Vec<u64> {
        let done: Vec<u64> =
            self.messages.values().filter(|one| one.is_done(wall)).map(|one| one.id).collect();
        done[..done.len().saturating_sub(self.settings.keep)].to_vec()
    }

    /// When the limit lets the next part go.
    pub(super) fn free_at(&self, wall: u64) -> u64 {
        let limit = self.settings.per_hour as usize;
        let recent = |at: &&u64| wall.saturating_sub(**at) < HOUR && **at <= wall;
        let within: Vec<u64> = self.sent.iter().filter(recent).copied().collect();
        if limit == 0 || within.len() < limit {
            return wall;
        }
        within[within.len() - limit].saturating_add(HOUR)
    }

    fn set(&mut self, id: u64, part: usize, state: PartState) {
        let slot = self.messages.get_mut(&id).and_then(|one| one.parts.get_mut(part));
        if let Some(slot) = slot {
            *slot = state;
        }
        // No more than the limit is of use.
        let most = (self.settings.per_hour as usize).max(1);
        while self.sent.len() > most {
            self.sent.pop_front();
        }
    }
}

/// Length and hexadecimal digits of a part.
fn pdu(message: &Outgoing, part: usize, wall: u64) -> Result<(usize, String), EncodeError> {
    // Numbers rise, so that 256 long texts in a row have different references.
    let reference = message.reference.unwrap_or((message.id & 0xff) as u8).into();
    let whole = split(&message.text, message.class, reference, false);
    let parts = whole.map_err(|TooLong(parts)| EncodeError::TooLong(parts * 140))?;
    let data = parts.parts.into_iter().nth(part).ok_or(EncodeError::Header)?;
    let mut submit = Submit::new(message.to.clone(), parts.coding, data);
    submit.report = message.report;
    let left = message.expires.saturating_sub(wall);
    submit.validity = Some(Validity::at_least(Duration::from_secs(left)));
    let tpdu = submit.encode()?;
    Ok((tpdu.len(), to_hex(&with_centre(None, &tpdu))))
}

impl Outgoing {
    /// A line for people about where it stands.
    #[must_use]
    pub fn describe(&self) -> String {
        let done = self.parts.iter().filter(|part| part.given().is_some()).count();
        let parts = match self.parts.len() {
            1 => String::new(),
            all => format!(", {done} of {all} parts"),
        };
        let why = self.failed.as_ref().or(self.last_error.as_ref());
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let state = match self.state() {
            State::Accepted => "accepted",
            State::Submitted => "submitted",
            State::Reported => "reported",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Unknown => "unknown",
        };
        format!("{state}{parts}{why}")
    }
}
