//! The card: PIN, counters, files (TS 27.007 section 8; TS 31.102 section 4.2).

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::modem::{CardState, Modem};

/// Tries that a fresh card has for the PIN (TS 31.101 leaves it to the issuer; usually so).
const PIN_TRIES: u8 = 3;

impl Modem {
    pub(super) fn sim_command(&mut self, command: &Command) -> Option<Outcome> {
        let set = matches!(command.form, Form::Set(_));
        Some(match command.name.as_str() {
            "+CPIN" if set => self.enter(command),
            "+CPIN" => match self.card_error() {
                Some(Failure::Cme(11)) => line("+CPIN: SIM PIN"),
                Some(Failure::Cme(12)) => line("+CPIN: SIM PUK"),
                Some(error) => Err(error),
                None => line("+CPIN: READY"),
            },
            "+SPIC" => line(format!("+SPIC: {},{},3,10", self.pin_tries, self.puk_tries)),
            "+CICCID" | "+CIMI" | "+CRSM" | "+CLCK" | "+CPOL" | "+CSPN" => {
                if let Some(error) = self.card_error() {
                    return Some(Err(error));
                }
                self.card(command)
            }
            _ => return None,
        })
    }

    fn card(&mut self, command: &Command) -> Outcome {
        let sim = &self.profile.sim;
        match command.name.as_str() {
            "+CICCID" => line(format!("+ICCID: {}", sim.iccid)),
            "+CIMI" => line(&sim.imsi),
            "+CSPN" => line(format!("+CSPN: \"{}\",0", sim.provider_name)),
            // Only the PIN lock can be asked; the personalisation locks
            // answer 100 on an owner's A7670E-LASE.
            "+CLCK" => match (command.text(0), command.number(1)) {
                (Some("SC"), Some(2)) => line(format!("+CLCK: {}", u8::from(sim.locked))),
                _ => Err(Failure::Cme(100)),
            },
            "+CPOL" => match command.form {
                Form::Set(_) => Err(Failure::Cme(21)),
                _ => ok(),
            },
            _ => self.file(command),
        }
    }

    /// READ BINARY of the files that one asks a modem for.
    fn file(&self, command: &Command) -> Outcome {
        let sim = &self.profile.sim;
        let hex = match (command.number(0), command.number(1)) {
            (Some(176), Some(0x2fe2)) => swapped(&sim.iccid, 20),
            (Some(176), Some(0x6fad)) => format!("000000{:02X}", sim.mnc_length),
            (Some(176), Some(0x6f07)) => {
                format!("08{}", swapped(&format!("9{}", sim.imsi), 16))
            }
            (Some(176), Some(0x6f46)) => {
                let mut bytes = vec![0x01];
                bytes.extend(sim.provider_name.bytes());
                bytes.resize(17, 0xff);
                bytes.iter().map(|byte| format!("{byte:02X}")).collect()
            }
            (Some(_), Some(_)) => return line("+CRSM: 106,130"),
            _ => return Err(Failure::Cme(50)),
        };
        let wanted = command.number(4).unwrap_or(0) as usize * 2;
        let end = if wanted == 0 { hex.len() } else { wanted.min(hex.len()) };
        line(format!("+CRSM: 144,0,\"{}\"", &hex[..end]))
    }

    fn enter(&mut self, command: &Command) -> Outcome {
        match (self.card_error(), command.text(0), command.text(1)) {
            (Some(Failure::Cme(11)), Some(pin), None) if pin == self.profile.sim.pin => {
                self.pin_tries = PIN_TRIES;
                self.unlocked();
                ok()
            }
            (Some(Failure::Cme(11)), Some(_), None) => {
                self.pin_tries = self.pin_tries.saturating_sub(1);
                Err(Failure::Cme(if self.pin_tries == 0 { 12 } else { 16 }))
            }
            (Some(Failure::Cme(12)), Some(puk), Some(new)) if puk == self.profile.sim.puk => {
                if !(4..=8).contains(&new.len()) || !new.bytes().all(|it| it.is_ascii_digit()) {
                    return Err(Failure::Cme(50));
                }
                self.profile.sim.pin = new.to_owned();
                (self.pin_tries, self.puk_tries) = (PIN_TRIES, 10);
                self.unlocked();
                ok()
            }
            (Some(Failure::Cme(12)), Some(_), Some(_)) => {
                self.puk_tries = self.puk_tries.saturating_sub(1);
                Err(Failure::Cme(if self.puk_tries == 0 { 15 } else { 16 }))
            }
            (Some(error), _, _) => Err(error),
            (None, _, _) => Err(Failure::Cme(3)),
        }
    }

    /// What a command that needs the card fails with now.
    pub(crate) fn card_error(&self) -> Option<Failure> {
        match self.card {
            CardState::Absent => Some(Failure::Cme(10)),
            CardState::Starting => Some(Failure::Cme(13)),
            _ if self.puk_tries == 0 => Some(Failure::Cme(15)),
            CardState::Locked if self.pin_tries == 0 => Some(Failure::Cme(12)),
            CardState::Locked => Some(Failure::Cme(11)),
            CardState::Ready => None,
        }
    }
}

/// Digits with the nibbles of each octet swapped, filled up with F.
fn swapped(digits: &str, length: usize) -> String {
    let mut all: Vec<char> = digits.chars().collect();
    all.resize(length, 'F');
    all.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect()
}
