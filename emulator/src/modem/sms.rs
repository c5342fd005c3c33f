//! Messages on their way to and from the network.

use std::time::Duration;

use super::clock::written_stamp;
use super::{Event, Modem, Port, Prompt};
use crate::sms::{Sent, Stored, pdu};

/// From a message's acceptance to the report that it was received.
const REPORT_AFTER: Duration = Duration::from_millis(1_000);

impl Modem {
    /// Messages that the host has sent, the first first.
    pub fn sent_messages(&self) -> &[Sent] {
        &self.outbox
    }

    /// How many messages lie in the modem's memories, the SIM's and its own.
    pub fn stored_messages(&self) -> usize {
        self.store.total()
    }

    pub(crate) fn prompt(&mut self, port: Port, prompt: Prompt) {
        if let Some(state) = self.ports.get_mut(&port) {
            state.prompt = Some(prompt);
        }
    }

    /// The service centre has a text for this modem.
    pub(super) fn deliver(&mut self, from: &str, text: &str) {
        self.parts = self.parts.wrapping_add(1);
        let parts = pdu::deliver(from, text, self.stamp(), self.parts);
        self.waiting.extend(parts);
        self.receive_waiting();
    }

    /// The service centre has this message.
    pub(super) fn arrives(&mut self, tpdu: Vec<u8>) {
        self.waiting.push_back(tpdu);
        self.receive_waiting();
    }

    /// Takes what waits at the service centre, while there is room for it.
    pub(crate) fn receive_waiting(&mut self) {
        while self.stat.registered() && self.profile.at.sms {
            let Some(tpdu) = self.waiting.front().cloned() else { return };
            if !self.receive(tpdu) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// False when there is no room.
    fn receive(&mut self, tpdu: Vec<u8>) -> bool {
        let report = tpdu.first().is_some_and(|first| first & 3 == 2);
        let [_, mt, _, ds, _] = self.cnmi;
        match (report, if report { ds } else { mt }) {
            (true, 0) => {}
            (true, 1) => {
                self.say(&format!("+CDS: {}\r\n00{}", tpdu.len(), pdu::hex(&tpdu)));
            }
            (false, 2 | 3) => self.say_message(&tpdu),
            (_, indication) => {
                let Some((memory, index)) = self.store.keep(Stored { stat: 0, tpdu }) else {
                    return false;
                };
                let name = if report { "+CDSI" } else { "+CMTI" };
                if indication != 0 {
                    self.say(&format!("{name}: \"{memory}\",{index}"));
                }
            }
        }
        true
    }

    fn say_message(&mut self, tpdu: &[u8]) {
        let line = match pdu::read_deliver(tpdu).filter(|_| self.text_mode) {
            Some((from, stamp, text)) => {
                format!("+CMT: \"{from}\",,\"{}\"\r\n{text}", written_stamp(stamp))
            }
            None => format!("+CMT: ,{}\r\n00{}", tpdu.len(), pdu::hex(tpdu)),
        };
        self.say(&line);
    }

    /// The network takes a message; its reference.
    pub(crate) fn sent(&mut self, submit: pdu::Submit) -> u8 {
        self.reference = self.reference.wrapping_add(1);
        let reference = self.reference;
        if submit.report {
            let tpdu = pdu::status_report(reference, &submit.to, self.stamp());
            self.later(REPORT_AFTER, Event::Arrives(tpdu));
        }
        let pdu::Submit { to, text, part, report } = submit;
        self.outbox.push(Sent { to, text, reference, part, report });
        reference
    }
}
