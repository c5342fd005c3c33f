//! The USB network: who dials, which function, which addresses.

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::link::{Framing, Lan};
use crate::modem::{Modem, Port};

impl Modem {
    pub(super) fn usbnet_command(&mut self, port: Port, command: &Command) -> Option<Outcome> {
        let set = matches!(command.form, Form::Set(_));
        if command.name == "$QCRMCALL" {
            return self.profile.at.qcrmcall.then(|| self.call(command));
        }
        if self.profile.at.qcrmcall {
            return None;
        }
        Some(match command.name.as_str() {
            "+DIALMODE" if set => match command.number(0) {
                Some(mode @ 0..=1) => {
                    self.dials = mode == 0;
                    ok()
                }
                _ => Err(Failure::Cme(50)),
            },
            "+DIALMODE" => line(format!("+DIALMODE: {}", u8::from(!self.dials))),
            "$MYCONFIG" if set => {
                let framing = match (command.text(0), command.number(1)) {
                    (Some(name), Some(mode)) if name.eq_ignore_ascii_case("usbnetmode") => mode,
                    _ => return Some(Err(Failure::Cme(50))),
                };
                self.profile.network.framing = match framing {
                    0 => Framing::Rndis,
                    1 => Framing::Ecm,
                    _ => return Some(Err(Failure::Cme(50))),
                };
                self.reboot()
            }
            "$MYCONFIG" => {
                let mode = u8::from(self.profile.network.framing == Framing::Ecm);
                line(format!("$MYCONFIG: \"usbnetmode\",{mode},1"))
            }
            "+USBNETIP" if set => {
                let octet = |index, default| match command.text(index) {
                    None => Some(default),
                    Some(_) => command.number(index).and_then(|it| u8::try_from(it).ok()),
                };
                self.lan = match (command.number(0), octet(1, 0), octet(2, 2), octet(3, 254)) {
                    (Some(0), Some(third), Some(first_host), Some(last_host))
                        if (2..=last_host).contains(&first_host) && last_host < 255 =>
                    {
                        Lan::Private { third, first_host, last_host }
                    }
                    (Some(1), _, _, _) => Lan::Public,
                    _ => return Some(Err(Failure::Cme(50))),
                };
                self.reboot()
            }
            "D" => self.dial(port, command.text(0).unwrap_or_default()),
            _ => return None,
        })
    }

    /// `AT$QCRMCALL=<1 start | 0 stop>,<instance>`.
    fn call(&mut self, command: &Command) -> Outcome {
        match (&command.form, command.number(0)) {
            (Form::Set(_), Some(start @ 0..=1)) => {
                if start == 1 && !self.pdn {
                    return Err(Failure::Error);
                }
                self.dials = start == 1;
                if start == 1 { line("$QCRMCALL: 1,V4") } else { ok() }
            }
            (Form::Read, _) if self.dials => line("$QCRMCALL: 1,V4"),
            (Form::Read, _) => ok(),
            _ => Err(Failure::Error),
        }
    }
}
