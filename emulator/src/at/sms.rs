//! SMS commands (TS 27.005; SIMCom A76XX manual for ranges).

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::modem::clock::written_stamp;
use crate::modem::{Modem, Port, Prompt};
use crate::sms::{Store, Stored, pdu};

const STATES: [&str; 4] = ["REC UNREAD", "REC READ", "STO UNSENT", "STO SENT"];

impl Modem {
    pub(super) fn sms_command(&mut self, port: Port, command: &Command) -> Option<Outcome> {
        let set = matches!(command.form, Form::Set(_));
        let known = ["+CMGF", "+CPMS", "+CNMI", "+CMGL", "+CMGR", "+CMGD", "+CMGS", "+CSMP"];
        if !known.contains(&command.name.as_str()) || !self.profile.at.sms {
            return None;
        }
        match self.card_error() {
            Some(Failure::Cme(10)) => return Some(Err(Failure::Cms(310))),
            Some(Failure::Cme(11)) => return Some(Err(Failure::Cms(311))),
            Some(Failure::Cme(12)) => return Some(Err(Failure::Cms(316))),
            Some(_) => return Some(Err(Failure::Cms(314))),
            None => {}
        }
        Some(match command.name.as_str() {
            "+CMGF" if set => match command.number(0) {
                Some(mode @ 0..=1) => {
                    self.text_mode = mode == 1;
                    ok()
                }
                _ => Err(Failure::Cms(302)),
            },
            "+CMGF" => line(format!("+CMGF: {}", u8::from(self.text_mode))),
            "+CPMS" => self.memories(command),
            "+CNMI" if set => self.indications(command),
            "+CNMI" => {
                let [mode, mt, bm, ds, bfr] = self.cnmi;
                line(format!("+CNMI: {mode},{mt},{bm},{ds},{bfr}"))
            }
            "+CSMP" if set => {
                if let Some(first) = command.number(0).and_then(|it| u8::try_from(it).ok()) {
                    self.text_first = first;
                }
                ok()
            }
            "+CSMP" => line(format!("+CSMP: {},167,0,0", self.text_first)),
            "+CMGL" => self.list(command),
            "+CMGR" => self.read_one(command),
            "+CMGD" => self.delete(command),
            _ => self.begin_send(port, command),
        })
    }

    fn memories(&mut self, command: &Command) -> Outcome {
        if let Form::Set(names) = &command.form {
            let mut used = self.store.used;
            for (slot, name) in used.iter_mut().zip(names) {
                if let Some(name) = name {
                    *slot = Store::memory(name).ok_or(Failure::Cms(302))?;
                }
            }
            self.store.used = used;
            let fill = [0, 1, 2].map(|which| self.store.fill(which));
            let fill = fill.map(|(used, size)| format!("{used},{size}"));
            return line(format!("+CPMS: {}", fill.join(",")));
        }
        let each = [0, 1, 2].map(|which| {
            let (used, size) = self.store.fill(which);
            format!("\"{}\",{used},{size}", self.store.used[which])
        });
        line(format!("+CPMS: {}", each.join(",")))
    }

    /// Direct reception needs mode 1 (or 2 for messages alone), so that the
    /// common `2,1,2,1,0` is refused.
    fn indications(&mut self, command: &Command) -> Outcome {
        let mut new = self.cnmi;
        if let Form::Set(values) = &command.form {
            for (slot, value) in new.iter_mut().zip(values) {
                if let Some(value) = value {
                    *slot = value.trim().parse().map_err(|_| Failure::Cms(302))?;
                }
            }
        }
        let [mode, mt, bm, ds, bfr] = new;
        let known = mode <= 2 && mt <= 3 && [0, 2].contains(&bm) && ds <= 2 && bfr <= 1;
        let direct = (mt == 3 || ds == 1) && mode != 1 || mt == 2 && mode == 0;
        if !known || direct {
            return Err(Failure::Cms(302));
        }
        self.cnmi = new;
        ok()
    }

    fn list(&mut self, command: &Command) -> Outcome {
        let all = if self.text_mode { STATES.len() as u32 } else { 4 };
        let wanted = match command.text(0) {
            None => 0,
            Some("ALL") if self.text_mode => all,
            Some(text) if self.text_mode => {
                let state = STATES.iter().position(|it| *it == text);
                state.ok_or(Failure::Cms(305))? as u32
            }
            Some(_) => command.number(0).filter(|state| *state <= all).ok_or(Failure::Cms(304))?,
        };
        let text_mode = self.text_mode;
        let mut lines = Vec::new();
        for (index, stored) in self.store.readable() {
            if wanted == all || wanted == u32::from(stored.stat) {
                lines.extend(shown(&format!("+CMGL: {index},"), stored, text_mode));
                if stored.stat == 0 {
                    stored.stat = 1;
                }
            }
        }
        Ok(lines)
    }

    fn read_one(&mut self, command: &Command) -> Outcome {
        let text_mode = self.text_mode;
        let index = command.number(0).and_then(|it| u16::try_from(it).ok());
        let stored = index.and_then(|index| self.store.readable().get_mut(&index));
        let stored = stored.ok_or(Failure::Cms(321))?;
        let lines = shown("+CMGR: ", stored, text_mode);
        if stored.stat == 0 {
            stored.stat = 1;
        }
        Ok(lines)
    }

    /// Flags 1 to 4 delete read, sent, unsent, and all messages.
    fn delete(&mut self, command: &Command) -> Outcome {
        let index = command.number(0).and_then(|it| u16::try_from(it).ok());
        let index = index.ok_or(Failure::Cms(321))?;
        let places = self.store.readable();
        match command.number(1).unwrap_or(0) {
            0 => {
                places.remove(&index);
            }
            1 => places.retain(|_, stored| stored.stat != 1),
            2 => places.retain(|_, stored| stored.stat != 1 && stored.stat != 3),
            3 => places.retain(|_, stored| stored.stat == 0),
            4 => places.clear(),
            _ => return Err(Failure::Cms(302)),
        }
        self.receive_waiting();
        ok()
    }

    fn begin_send(&mut self, port: Port, command: &Command) -> Outcome {
        let prompt = if self.text_mode {
            let to = command.text(0).filter(|to| !to.is_empty());
            Prompt::Text { to: to.ok_or(Failure::Cms(305))?.to_owned() }
        } else {
            let octets = command.number(0).and_then(|it| usize::try_from(it).ok());
            // 164 octets is the longest SUBMIT.
            let octets = octets.filter(|octets| (1..=164).contains(octets));
            Prompt::Pdu { octets: octets.ok_or(Failure::Cms(304))? }
        };
        self.prompt(port, prompt);
        ok()
    }

    /// What was typed at the prompt, up to Ctrl-Z.
    pub(crate) fn submit(&mut self, prompt: &Prompt, typed: &[u8]) -> Outcome {
        let typed = String::from_utf8_lossy(typed);
        let submit = match prompt {
            Prompt::Pdu { octets } => {
                let whole: String = typed.chars().filter(|it| !it.is_whitespace()).collect();
                let bytes = pdu::unhex(&whole).ok_or(Failure::Cms(304))?;
                let centre = usize::from(*bytes.first().ok_or(Failure::Cms(304))?);
                let tpdu = bytes.get(1 + centre..).filter(|tpdu| tpdu.len() == *octets);
                tpdu.and_then(pdu::read_submit).ok_or(Failure::Cms(304))?
            }
            Prompt::Text { to } => pdu::Submit {
                to: to.clone(),
                text: typed.replace('\r', "\n"),
                part: None,
                report: self.text_first & 0x20 != 0,
            },
        };
        if !self.stat.registered() {
            return Err(Failure::Cms(331));
        }
        let reference = self.sent(submit);
        line(format!("+CMGS: {reference}"))
    }
}

/// A stored message's lines.
fn shown(head: &str, stored: &Stored, text_mode: bool) -> Vec<String> {
    if !text_mode {
        let line = format!("{head}{},,{}", stored.stat, stored.tpdu.len());
        return vec![line, format!("00{}", pdu::hex(&stored.tpdu))];
    }
    let state = STATES[usize::from(stored.stat.min(3))];
    match pdu::read_deliver(&stored.tpdu) {
        Some((from, stamp, text)) => {
            let stamp = written_stamp(stamp);
            vec![format!("{head}\"{state}\",\"{from}\",,\"{stamp}\""), text]
        }
        None => vec![format!("{head}\"{state}\""), pdu::hex(&stored.tpdu)],
    }
}
