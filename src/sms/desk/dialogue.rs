//! What is said to the modem, and what its answers mean.
//!
//! PDU mode, and codes that tell of what lies on the SIM rather than bring it
//! (`AT+CNMI=2,1,0,2,0`): what lies on the SIM is still there after a loss of
//! power. TS 27.005 and SIMCom A76XX AT Command Manual V1.09 §9 for all of it.

use std::time::Duration;

use super::answers::{
    Listed, Stored, is_doubtful, is_for_good, is_mode, is_of_the_text, stored, unreadable,
};
use super::{Action, Desk, SWEEP_AGAIN, SWEEP_EVERY, Support, Time};
use crate::at::{AtError, Command, DeviceError, Final, Reply, Urc, fields, reply};
use crate::sms::assembly::{Completeness, Taken};
use crate::sms::pdu::{Tpdu, from_hex, split_centre};
use crate::sms::spool::Send;

/// Wait before a set-up that was refused is tried again: before `SMS DONE` the
/// commands are refused.
const SETUP_AGAIN: Duration = Duration::from_secs(5);

/// A modem that has refused its mode so often has no messages at all.
const REFUSALS: u32 = 3;

/// A message of which the modem has said so often that it is not in the form of
/// its mode, each time after it was set up, is not taken at all.
const MODE_TRIES: u32 = 3;

/// So long after it was set up the modem is taken to be so still. It may restart
/// without a word, and other programs may be at its other ports.
const FRESH: Duration = Duration::from_secs(1);

/// Where messages lie (`AT+CPMS`): the SIM, the modem itself, or another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory(String);

impl Memory {
    fn sim() -> Memory {
        Memory("SM".to_owned())
    }

    /// Those that are looked through: the SIM, and the modem's own, where messages
    /// of before us may lie, or what came after a restart without a word.
    fn all() -> [Memory; 2] {
        [Memory::sim(), Memory("ME".to_owned())]
    }
}

/// A command, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    Mode,
    Indications,
    /// Without status reports, for a modem that refuses the former.
    PlainIndications,
    /// Before each command that it counts for: the modem forgets it when it
    /// restarts, and another memory's message would be deleted.
    Select(Memory),
    List(Memory),
    Read(Memory, u16),
    Delete(Memory, u16),
    Send(Send),
}

impl Job {
    fn command(&self) -> Command {
        match self {
            Job::Mode => Command::new("AT+CMGF=0"),
            Job::Indications => Command::new("AT+CNMI=2,1,0,2,0"),
            Job::PlainIndications => Command::new("AT+CNMI=2,1,0,0,0"),
            Job::Select(Memory(name)) => Command::new(format!("AT+CPMS=\"{name}\",\"SM\",\"SM\"")),
            Job::List(_) => Command::new("AT+CMGL=4"),
            Job::Read(_, index) => Command::new(format!("AT+CMGR={index}")),
            Job::Delete(_, index) => Command::new(format!("AT+CMGD={index}")),
            Job::Send(send) => {
                let command = Command::new(format!("AT+CMGS={}", send.length));
                command.with_payload(send.pdu.as_bytes())
            }
        }
    }
}

impl Desk {
    pub(super) fn ready(&mut self, time: Time) {
        if self.ready {
            self.gone(time);
        }
        self.ready = true;
        self.refusals = 0;
        self.doubts = 0;
        (self.takes_mode, self.plain) = (false, false);
        self.set_up(time);
        self.sweep_at = time.now;
    }

    /// Begins to set the modem up.
    fn set_up(&mut self, time: Time) {
        let indications = if self.plain { Job::PlainIndications } else { Job::Indications };
        self.setup = [Job::Mode, indications].into();
        self.setup_at = time.now;
    }

    pub(super) fn gone(&mut self, time: Time) {
        self.ready = false;
        self.reads.clear();
        self.deletes.clear();
        self.sweeping.clear();
        (self.selected, self.fresh) = (None, None);
        if let Some((_, job)) = self.busy.take() {
            self.answered(time, job, Err(AtError::PortClosed));
        }
        (self.shut, self.trouble) = (0, None);
    }

    pub(super) fn urc(&mut self, time: Time, urc: &Urc) {
        for name in ["+CMTI", "+CDSI"] {
            let Some(rest) = urc.after(name) else { continue };
            let fields = fields(rest);
            let place = fields.first().zip(fields.get(1).and_then(|field| field.number()));
            if let Some((memory, index)) = place {
                let place = (Memory(memory.text.to_owned()), index);
                if !self.reads.contains(&place) {
                    self.reads.push_back(place);
                }
            }
        }
        // Brought instead of told of: a text that is shown at once, or another
        // program has changed the setting.
        if let Some(pdu) = urc.data.as_ref().filter(|_| urc.after("+CBM").is_none()) {
            match from_hex(pdu.trim()) {
                Some(octets) => self.received(time, &octets),
                None => self.garbled(time, &urc.line),
            }
        }
        // Earlier the SIM may have told of less than it has.
        if urc.line.starts_with("SMS DONE") || urc.line.starts_with("SMS READY") {
            self.sweep_at = time.now;
            self.setup_at = time.now;
        }
    }

    /// Begins the next job, if there is one and none is under way.
    pub(super) fn work(&mut self, time: Time) {
        if !self.ready || self.busy.is_some() || time.now < self.paused {
            return;
        }
        let Some(job) = self.choose(time) else { return };
        self.prompted = false;
        self.commands += 1;
        self.actions.push(Action::Command { id: self.commands, command: job.command() });
        self.busy = Some((self.commands, job));
    }

    fn choose(&mut self, time: Time) -> Option<Job> {
        if let Some(step) = self.setup.front() {
            return (time.now >= self.setup_at).then(|| step.clone());
        }
        let is_fresh = |at: Duration| time.now.saturating_sub(at) < FRESH;
        let fresh = self.fresh.is_some_and(is_fresh);
        let sweep = time.now >= self.sweep_at;
        let (job, memory) = if let Some((memory, index)) = self.deletes.front().cloned() {
            (Job::Delete(memory.clone(), index), memory)
        } else if let Some((memory, index)) = self.reads.front().cloned() {
            (Job::Read(memory.clone(), index), memory)
        } else if let Some(memory) = self.sweeping.front().cloned().filter(|_| sweep) {
            (Job::List(memory.clone()), memory)
        } else if sweep {
            self.sweeping = Memory::all().into();
            self.swept = Listed::default();
            if !fresh {
                self.set_up(time);
            }
            return self.choose(time);
        } else if self.registered && self.outbox.is_due(time.wall) {
            // In text mode the modem would take a message's digits for its text.
            if !fresh {
                self.set_up(time);
                return self.choose(time);
            }
            self.fresh = None;
            let send = self.outbox.next(time.wall)?;
            // On the disk before the modem hears of it.
            self.keep_out(send.id);
            return Some(Job::Send(send));
        } else {
            return None;
        };
        if self.selected.take().as_ref() != Some(&memory) {
            return Some(Job::Select(memory));
        }
        match job {
            Job::Delete(..) => _ = self.deletes.pop_front(),
            Job::Read(..) => _ = self.reads.pop_front(),
            _ => {}
        }
        Some(job)
    }

    pub(super) fn answered(&mut self, time: Time, job: Job, result: Result<Reply, AtError>) {
        match job {
            Job::Mode => self.mode_set(time, &result),
            Job::Indications | Job::PlainIndications => match result {
                Err(AtError::Refused(_)) if job == Job::Indications => {
                    self.plain = true;
                    self.setup = [Job::PlainIndications].into();
                }
                // Also when it refuses both: the sweeps find what is not told of.
                Ok(_) | Err(AtError::Refused(_)) => {
                    self.setup.clear();
                    self.fresh = Some(time.now);
                }
                Err(_) => {
                    // It may be restarting, and have forgotten its mode.
                    self.set_up(time);
                    self.setup_at = time.now.saturating_add(SETUP_AGAIN);
                }
            },
            Job::Select(memory) => match result {
                Ok(_) => {
                    if memory == Memory::sim() {
                        (self.shut, self.trouble) = (0, None);
                    }
                    self.selected = Some(memory);
                }
                Err(why) => self.passed_over(time, &memory, &why),
            },
            Job::List(memory) => {
                match result.map(|reply| self.listed(time, &memory, &reply.lines)) {
                    Ok(Listed { found, garbled }) => {
                        self.swept.found |= found;
                        self.swept.garbled = self.swept.garbled.take().or(garbled);
                        self.looked_through(time);
                    }
                    // In text mode the command has another parameter.
                    Err(AtError::Refused(_)) => self.set_up_again(time),
                    Err(_) => self.looked_through(time),
                }
            }
            Job::Read(memory, index) => {
                let reply = match result {
                    Ok(reply) => reply,
                    Err(AtError::Refused(why)) if is_mode(&why) => return self.set_up_again(time),
                    Err(_) => return,
                };
                let mut lines = reply.lines.iter().skip_while(|line| !line.starts_with("+CMGR:"));
                let Some(header) = lines.next() else { return };
                match stored(header, lines.next()) {
                    Stored::Nothing => {}
                    Stored::Message(octets) => {
                        self.received(time, &octets);
                        self.deletes.push_back((memory, index));
                    }
                    Stored::Garbled => self.garbled(time, header),
                }
            }
            // What could not be deleted is found again by the next sweep.
            Job::Delete(..) => {}
            Job::Send(send) => self.sent(time, &send, result),
        }
    }

    /// A memory cannot be chosen, and why. Without that of the SIM the modem is
    /// looked at less and less often.
    fn passed_over(&mut self, time: Time, memory: &Memory, why: &AtError) {
        self.reads.retain(|place| place.0 != *memory);
        self.deletes.retain(|place| place.0 != *memory);
        if *memory != Memory::sim() {
            if self.sweeping.front() == Some(memory) {
                self.looked_through(time);
            }
            return;
        }
        self.sweeping.clear();
        let wait = SETUP_AGAIN.saturating_mul(1 << self.shut.min(16)).min(SWEEP_EVERY);
        self.shut = self.shut.saturating_add(1);
        self.sweep_at = self.sweep_at.max(time.now.saturating_add(wait));
        // While it starts, the SIM is busy.
        if self.shut > REFUSALS {
            let text = format!("the modem does not show the SIM's messages (AT+CPMS): {why}");
            if self.trouble.as_ref() != Some(&text) {
                self.actions.push(Action::Say(text.clone()));
                self.trouble = Some(text);
            }
        }
    }

    /// The memory at the front of the sweep is done with.
    fn looked_through(&mut self, time: Time) {
        self.sweeping.pop_front();
        if !self.sweeping.is_empty() {
            return;
        }
        let Listed { found, garbled } = std::mem::take(&mut self.swept);
        let wait = if found { SWEEP_AGAIN } else { SWEEP_EVERY };
        self.sweep_at = time.now.saturating_add(wait);
        match garbled {
            Some(header) => self.garbled(time, &header),
            None => self.doubts = 0,
        }
    }

    fn mode_set(&mut self, time: Time, result: &Result<Reply, AtError>) {
        let refused = match result {
            Ok(_) => {
                self.support = Support::Yes;
                self.takes_mode = true;
                self.setup.pop_front();
                return;
            }
            // "Operation not supported", or no reason at all.
            Err(AtError::Refused(
                Final::Error
                | Final::Cme(DeviceError::Code(4 | 100))
                | Final::Cms(DeviceError::Code(303)),
            )) => true,
            Err(_) => false,
        };
        self.refusals += u32::from(refused && !self.takes_mode);
        self.setup_at = time.now.saturating_add(SETUP_AGAIN);
        if self.refusals >= REFUSALS {
            let why = "this modem has no text messages: it refuses AT+CMGF=0, as data-only models \
                       (A7670E-LNXY) do";
            self.support = Support::No(why.to_owned());
            self.setup_at = Duration::MAX;
            self.actions.push(Action::Say(why.to_owned()));
        }
    }

    /// Takes in all that a memory has.
    fn listed(&mut self, time: Time, memory: &Memory, lines: &[String]) -> Listed {
        let mut listed = Listed::default();
        for (at, header) in lines.iter().enumerate() {
            let Some(rest) = header.strip_prefix("+CMGL:") else { continue };
            let fields = fields(rest);
            let number = |at: usize| fields.get(at).and_then(|field| field.number::<u16>());
            let index = match (number(0), number(1)) {
                // 0 and 1 came from the network; 2 and 3 some program has put there.
                (Some(index), Some(0 | 1)) => index,
                (Some(_), Some(_)) => continue,
                _ => {
                    listed.garbled = Some(header.clone());
                    continue;
                }
            };
            match stored(header, lines.get(at + 1)) {
                Stored::Nothing => {}
                Stored::Message(octets) => {
                    listed.found = true;
                    self.received(time, &octets);
                    let place = (memory.clone(), index);
                    self.reads.retain(|read| *read != place);
                    self.deletes.push_back(place);
                }
                Stored::Garbled => listed.garbled = Some(header.clone()),
            }
        }
        listed
    }

    /// What the modem shows is no message as it was told to show them, so it stays
    /// where it is: another program may have switched to text mode, or a line got
    /// lost or came between.
    fn garbled(&mut self, time: Time, header: &str) {
        if self.doubts == 0 {
            let name = header.split(':').next().unwrap_or_default();
            let text = format!("the modem shows a message that is none ({name}): it stays there");
            self.actions.push(Action::Say(text));
        }
        self.set_up_again(time);
    }

    /// The modem behaves as if it were not set up: does that again, then looks
    /// through the SIM, less and less often while it does not help.
    fn set_up_again(&mut self, time: Time) {
        self.set_up(time);
        self.sweeping.clear();
        let wait = SWEEP_AGAIN.saturating_mul(1 << self.doubts.min(16)).min(SWEEP_EVERY);
        self.doubts = self.doubts.saturating_add(1);
        self.sweep_at = time.now.saturating_add(wait);
    }

    /// A message came. What it changes is kept at once, so that it may be
    /// deleted from the SIM after that.
    pub(super) fn received(&mut self, time: Time, octets: &[u8]) {
        let tpdu = split_centre(octets).map_or(octets, |(_, tpdu)| tpdu);
        let deliver = match Tpdu::decode(tpdu) {
            Ok(Tpdu::StatusReport(report)) => {
                match self.outbox.report(&report) {
                    Some(id) => {
                        self.keep_out(id);
                        self.tell_out(id);
                    }
                    None => {
                        // Whose number it is does not belong into a log.
                        let (reference, status) = (report.reference, report.status.text());
                        let text = format!(
                            "a status report on no message of ours: reference {reference}, {status}"
                        );
                        self.actions.push(Action::Say(text));
                    }
                }
                return;
            }
            Ok(Tpdu::Deliver(deliver)) => deliver,
            Ok(Tpdu::Submit(_)) => return,
            Err(error) => {
                let text = format!("a message that cannot be read is kept as it is: {error}");
                self.actions.push(Action::Say(text));
                unreadable(tpdu)
            }
        };
        if self.came_by_manager(&deliver) {
            return;
        }
        let blocked = !self.settings.from.permit(&deliver.from);
        let number = self.next;
        let id = match self.inbox.take(time.wall, self.settings.patience, number, deliver, tpdu) {
            Taken::New(id) => {
                self.number();
                id
            }
            Taken::Joined(id) => id,
            Taken::Duplicate(_) => return,
        };
        if let Some(message) = self.inbox.get_mut(id) {
            message.blocked = blocked;
        }
        match self.inbox.get(id).map(|message| message.state) {
            // It was handed on with gaps already.
            Some(Completeness::Incomplete) => self.keep_in(id),
            _ => self.came(id),
        }
    }

    fn sent(&mut self, time: Time, send: &Send, result: Result<Reply, AtError>) {
        let (id, part, wall) = (send.id, send.part, time.wall);
        match result {
            Ok(reply) => {
                let reference = reply::number(&reply.lines, "+CMGS");
                let reference = reference.and_then(|number| u8::try_from(number).ok());
                self.outbox.submitted(wall, id, part, reference);
            }
            Err(AtError::Refused(why)) if !is_doubtful(&why) => {
                let for_good = match is_mode(&why) {
                    true => {
                        self.set_up_again(time);
                        let tried = self.outbox.get(id).map_or(0, |message| message.attempts);
                        is_of_the_text(&why) && tried + 1 >= MODE_TRIES
                    }
                    false => is_for_good(&why),
                };
                let why = format!("the modem answered {why}");
                self.outbox.refused(wall, id, part, why, for_good);
            }
            // Without what was typed at the prompt nothing can have been sent.
            Err(_) if !self.prompted => self.outbox.not_sent(wall, id, part),
            Err(_) => self.outbox.lost(wall, id, part),
        }
        self.keep_out(id);
        self.tell_out(id);
    }
}
