//! What hosts probe for: card commands in the raw, contexts, causes, USSD.

use std::time::Duration;

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::modem::Modem;

/// From a USSD question's OK to the network's answer.
const USSD_AFTER: Duration = Duration::from_millis(500);

impl Modem {
    pub(super) fn extra_command(&mut self, command: &Command) -> Option<Outcome> {
        let set = matches!(command.form, Form::Set(_));
        Some(match command.name.as_str() {
            "+CSIM" if set => self.raw(command),
            "+CNUM" => ok(),
            // The texts are ours: no log of a unit's answer is public.
            "+CEER" => match self.cause {
                Some(cause) => line(format!("+CEER: EMM cause {cause}")),
                None => line("+CEER: No cause information available"),
            },
            // The default bearer's context may not be changed on LTE.
            "+CGACT" if set => match (command.number(0), command.number(1)) {
                (Some(1), Some(1)) if self.pdn => ok(),
                (Some(0 | 1), Some(1 | 8)) => Err(Failure::Cme(100)),
                (Some(0 | 1), Some(2..=15)) => Err(Failure::Cme(133)),
                _ => Err(Failure::Cme(50)),
            },
            "+CGACT" => Ok(self
                .contexts
                .keys()
                .map(|cid| format!("+CGACT: {cid},{}", u8::from(*cid == 1 && self.pdn)))
                .collect()),
            // User before password here, the other way round than they are set.
            "+CGAUTH" if !set => Ok(self
                .credentials
                .iter()
                .map(|(cid, (kind, password, user))| {
                    format!("+CGAUTH: {cid},{kind},\"{user}\",\"{password}\"")
                })
                .collect()),
            "*IMSRCFG" => match (self.ims, command.text(0), command.text(1)) {
                (None, _, _) => Err(Failure::Error),
                (Some(_), Some("switch"), Some(to @ ("on" | "off"))) => {
                    self.ims = Some(to == "on");
                    ok()
                }
                (Some(on), Some("switch"), None) => {
                    let on = if on { "on" } else { "off" };
                    line(format!("*IMSRCFG: \"switch\",\"{on}\""))
                }
                _ => Err(Failure::Error),
            },
            // With IMS on the question would go a way that does not exist.
            "+CUSD" if set => match (command.number(0), command.text(1)) {
                _ if self.ims == Some(true) || !self.profile.at.sms => Err(Failure::Error),
                _ if !self.stat.registered() => Err(Failure::Cme(30)),
                (Some(1), Some(said)) => {
                    let answer = self.ussd_answer(said);
                    self.say_later(USSD_AFTER, answer);
                    ok()
                }
                (Some(2), _) => {
                    self.ussd_open = false;
                    ok()
                }
                _ => ok(),
            },
            _ => return None,
        })
    }

    /// `*100#` has a menu, of two lines as menus have; all else is a question for
    /// the balance.
    fn ussd_answer(&mut self, said: &str) -> String {
        let was_open = std::mem::replace(&mut self.ussd_open, said == "*100#");
        match (self.ussd_open, was_open) {
            (true, _) => "+CUSD: 1,\"1 Data\r\n2 Calls\",15".to_owned(),
            (false, true) => format!("+CUSD: 0,\"You chose {said}\",15"),
            (false, false) => format!("+CUSD: 0,\"{}\",15", self.profile.cell.ussd),
        }
    }

    /// VERIFY and UNBLOCK without a PIN ask for the tries that are left
    /// (ETSI TS 102 221 sections 11.1.9 and 11.1.13).
    fn raw(&self, command: &Command) -> Outcome {
        let apdu = command.text(1).unwrap_or_default().to_ascii_uppercase();
        if self.card_error() == Some(Failure::Cme(10)) {
            return Err(Failure::Cme(10));
        }
        let left = match apdu.as_str() {
            "0020000100" => self.pin_tries,
            "002C000100" => self.puk_tries,
            "0020008100" => 3,
            "002C008100" => 10,
            // Instruction not supported.
            _ => return line("+CSIM: 4,\"6D00\""),
        };
        match left {
            0 => line("+CSIM: 4,\"6983\""),
            left => line(format!("+CSIM: 4,\"63C{left:X}\"")),
        }
    }
}
