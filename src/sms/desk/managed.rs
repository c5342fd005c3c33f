//! Messages of a modem that ModemManager has. The same rules hold: what is found
//! is kept before it is deleted there, and a message is `sending` on the disk
//! before ModemManager hears of it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Action, Desk, Time};
use crate::sms::assembly::Incoming;
use crate::sms::managed::{Fault, Kind, MARK, Meaning, Stored};
use crate::sms::pdu::{Deliver, Tpdu, from_hex, with_centre};
use crate::sms::spool::Whole;

/// Messages from us that ModemManager may keep, for people to look at.
const SENT: usize = 10;

/// Wait before a message that could not be deleted is tried again.
const DELETE_AGAIN: Duration = Duration::from_secs(60);

/// Between two parts of a text that is sent twice by one sender, at most: parts of
/// one text come within a minute.
const APART: u64 = 120;

/// What ModemManager's side tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagerEvent {
    /// It has the modem, which can send and receive.
    Ready,
    /// That is no longer so.
    Gone,
    /// All messages that it shows.
    Shown(Vec<Stored>),
    /// It would not even take a message to send.
    NotTaken {
        /// Of [`Whole`].
        id: u64,
        /// Why.
        fault: Fault,
    },
    /// The end of a sending: where it keeps the message, and the reference of the
    /// last part.
    Sent {
        /// Of [`Whole`].
        id: u64,
        /// What came of it.
        result: Result<(String, Option<u8>), Fault>,
    },
    /// The end of a deletion.
    Deleted {
        /// Its object.
        path: String,
        /// Whether it is gone.
        done: bool,
    },
}

/// What ModemManager is asked for; one at a time of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagerCall {
    /// Send this; answered by [`ManagerEvent::Sent`].
    Send(Whole),
    /// Delete the message of this object; answered by [`ManagerEvent::Deleted`].
    Delete(String),
}

/// What is known of ModemManager's messages.
#[derive(Debug, Default)]
pub(super) struct Managed {
    ready: bool,
    /// What is kept and yet to be deleted there.
    deletes: VecDeque<String>,
    /// What it is deleting.
    deleting: Option<String>,
    /// What could not be deleted; tried again from then on.
    stuck: BTreeSet<String>,
    retry: Duration,
    /// What it is sending.
    sending: Option<u64>,
    /// What it sent for us.
    sent: VecDeque<String>,
    /// Texts of which parts are missing were told of.
    told: bool,
}

impl Desk {
    pub(super) fn managed_event(&mut self, time: Time, event: ManagerEvent) {
        match event {
            ManagerEvent::Ready => {
                self.managed = Managed { ready: true, ..Managed::default() };
            }
            ManagerEvent::Gone => {
                if let Some(id) = self.managed.sending.take() {
                    self.outbox.whole_lost(time.wall, id);
                    self.keep_out(id);
                    self.tell_out(id);
                }
                self.managed = Managed::default();
            }
            ManagerEvent::Shown(all) => self.managed_shown(time, &all),
            ManagerEvent::NotTaken { id, fault } => {
                if self.managed.sending.take_if(|sending| *sending == id).is_some() {
                    self.outbox.whole_not_given(time.wall, id, &said(&fault));
                    self.keep_out(id);
                    self.tell_out(id);
                }
            }
            ManagerEvent::Sent { id, result } => self.managed_sent(time, id, result),
            ManagerEvent::Deleted { path, done } => {
                if self.managed.deleting.take_if(|one| *one == path).is_some() && !done {
                    self.managed.stuck.insert(path);
                    self.managed.retry = time.now.saturating_add(DELETE_AGAIN);
                }
            }
        }
    }

    fn managed_shown(&mut self, time: Time, all: &[Stored]) {
        if !self.managed.ready || time.now < self.paused {
            return;
        }
        if time.now >= self.managed.retry {
            self.managed.stuck.clear();
        }
        let partial = all.iter().any(|one| one.kind == Kind::Deliver && !one.whole);
        if partial && !std::mem::replace(&mut self.managed.told, true) {
            let text = "ModemManager waits for the missing parts of a text".to_owned();
            self.actions.push(Action::Say(text));
        }
        for stored in all {
            let managed = &self.managed;
            let known = managed.deletes.contains(&stored.path)
                || managed.deleting.as_ref() == Some(&stored.path)
                || managed.stuck.contains(&stored.path);
            if known {
                continue;
            }
            let octets = match stored.octets() {
                Ok(octets) if octets.is_empty() => continue,
                Ok(octets) => octets,
                Err(error) => {
                    if self.managed.stuck.insert(stored.path.clone()) {
                        let text = format!("a message stays with ModemManager: {error}");
                        self.actions.push(Action::Say(text));
                    }
                    continue;
                }
            };
            if !self.came_by_port(stored) {
                for octets in octets {
                    self.received(time, &with_centre(None, &octets));
                }
            }
            self.managed.deletes.push_back(stored.path.clone());
        }
    }

    /// Whether a message that ModemManager shows was read from the SIM, and not
    /// deleted there, before ModemManager had the modem.
    fn came_by_port(&self, stored: &Stored) -> bool {
        let mine = stored.octets().ok().and_then(|octets| octets.into_iter().next());
        let Some(Ok(Tpdu::Deliver(deliver))) = mine.map(|octets| Tpdu::decode(&octets)) else {
            return false;
        };
        let same = |one: &Incoming| {
            one.from.same_as(&deliver.from)
                && is_marked(one) == Some(false)
                && one.parts.len() == usize::from(one.key.map_or(1, |key| key.total))
                && is_near(one, &deliver)
                && one.text().is_some_and(|text| text == stored.text)
        };
        self.inbox.messages().any(same)
    }

    /// Whether a message that is read from the SIM is one that ModemManager had
    /// shown, and had not deleted when it lost the modem.
    pub(super) fn came_by_manager(&self, deliver: &Deliver) -> bool {
        let concat = deliver.data.header.as_ref().and_then(|header| header.concat());
        let part = concat.is_some_and(|concat| concat.total > 1);
        if deliver.protocol == MARK {
            return false;
        }
        let Some(text) = deliver.data.body.text() else { return false };
        let same = |one: &Incoming| {
            one.from.same_as(&deliver.from)
                && is_marked(one) == Some(true)
                && match (part, one.text()) {
                    (false, Some(whole)) => one.stamp == deliver.stamp && whole == text,
                    (true, Some(whole)) => {
                        one.key.is_some() && is_near(one, deliver) && whole.contains(&text)
                    }
                    (_, None) => false,
                }
        };
        self.inbox.messages().any(same)
    }

    fn managed_sent(&mut self, time: Time, id: u64, result: Result<(String, Option<u8>), Fault>) {
        if self.managed.sending.take_if(|sending| *sending == id).is_none() {
            return;
        }
        match result {
            Ok((path, reference)) => {
                self.outbox.whole_submitted(time.wall, id, reference);
                self.managed.sent.push_back(path);
                if self.managed.sent.len() > SENT {
                    self.managed.deletes.extend(self.managed.sent.pop_front());
                }
            }
            Err(fault) => match fault.meaning() {
                Meaning::NotSent => self.outbox.whole_not_given(time.wall, id, &said(&fault)),
                Meaning::Refused => self.outbox.whole_refused(time.wall, id, &said(&fault)),
                Meaning::Doubtful => self.outbox.whole_lost(time.wall, id),
            },
        }
        self.keep_out(id);
        self.tell_out(id);
    }

    /// Begins what is next, where nothing is under way.
    pub(super) fn managed_work(&mut self, time: Time) {
        if !self.managed.ready || time.now < self.paused {
            return;
        }
        if self.managed.deleting.is_none() {
            if let Some(path) = self.managed.deletes.pop_front() {
                self.managed.deleting = Some(path.clone());
                self.actions.push(Action::Manager(ManagerCall::Delete(path)));
            }
        }
        if self.managed.sending.is_none() && self.registered {
            if let Some(whole) = self.outbox.next_whole(time.wall) {
                // On the disk before ModemManager hears of it.
                self.keep_out(whole.id);
                self.managed.sending = Some(whole.id);
                self.actions.push(Action::Manager(ManagerCall::Send(whole)));
            }
        }
    }

    /// Whether ModemManager has something to send of which the end is not known.
    pub(super) fn managed_sends(&self) -> bool {
        self.managed.sending.is_some()
    }

    /// After the disk failed: what is under way is of no interest any more.
    pub(super) fn managed_restore(&mut self) {
        self.managed.deletes.clear();
        (self.managed.deleting, self.managed.sending) = (None, None);
    }
}

fn said(fault: &Fault) -> String {
    format!("ModemManager answered {}", fault.text)
}

/// Whether a message was taken apart by us; `None` when it cannot be read.
fn is_marked(message: &Incoming) -> Option<bool> {
    let octets = from_hex(&message.parts.values().next()?.pdu)?;
    match Tpdu::decode(&octets) {
        Ok(Tpdu::Deliver(deliver)) => Some(deliver.protocol == MARK),
        _ => None,
    }
}

/// Whether the service centre got both at about the same time.
fn is_near(message: &Incoming, deliver: &Deliver) -> bool {
    match (message.stamp.unix(), deliver.stamp.unix()) {
        (Some(one), Some(other)) if message.key.is_some() => one.abs_diff(other) <= APART,
        _ => message.stamp == deliver.stamp,
    }
}
