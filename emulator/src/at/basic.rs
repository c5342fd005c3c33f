//! Line settings, identity, and values that are only kept.

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::modem::{Modem, Port};

impl Modem {
    pub(super) fn basic(&mut self, port: Port, command: &Command) -> Option<Outcome> {
        let number = command.number(0).unwrap_or(0);
        let identity = &self.profile.identity;
        let reads = command.form == Form::Execute;
        Some(match command.name.as_str() {
            "E" => self.set_port(port, |it| it.echo = number != 0),
            "Q" => self.set_port(port, |it| it.quiet = number != 0),
            "V" => self.set_port(port, |it| it.verbose = number != 0),
            "X" | "&C" | "&D" | "&W" | "S" | "L" | "M" | "H" => ok(),
            "Z" | "&F" => self.set_port(port, |it| *it = Default::default()),
            "I" | "+SIMCOMATI" => Ok(vec![
                format!("Manufacturer: {}", identity.manufacturer),
                format!("Model: {}", identity.model),
                format!("Revision: {}", identity.revision),
                format!("IMEI: {}", identity.imei),
                format!("+GCAP: {}", self.profile.at.gcap),
            ]),
            "+CGMI" | "+GMI" if reads => line(&identity.manufacturer),
            "+CGMM" | "+GMM" if reads => line(&identity.model),
            // A text that is missing, by a fault.
            "+CGMR" | "+GMR" if reads && identity.revision.is_empty() => ok(),
            "+CGSN" | "+GSN" if reads && identity.imei.is_empty() => ok(),
            "+CGMR" | "+GMR" if reads => line(format!("+CGMR: {}", identity.revision)),
            "+CGSN" | "+GSN" if reads => line(&identity.imei),
            "+GCAP" if reads => line(format!("+GCAP: {}", self.profile.at.gcap)),
            "+CMEE" => match (&command.form, command.number(0)) {
                (Form::Read, _) => line(format!("+CMEE: {}", self.port(port).cmee)),
                (Form::Test, _) => line("+CMEE: (0-2)"),
                (Form::Set(_), Some(level @ 0..=2)) => {
                    self.set_port(port, |it| it.cmee = level as u8)
                }
                _ => Err(Failure::Cme(50)),
            },
            "+CCLK" if command.form == Form::Read => {
                line(format!("+CCLK: \"{}\"", crate::modem::clock::written(self.clock())))
            }
            name => return self.kept(name, &command.form),
        })
    }

    /// A value of the profile's table `at.values`.
    fn kept(&mut self, name: &str, form: &Form) -> Option<Outcome> {
        let value = self.values.get_mut(name)?;
        Some(match form {
            Form::Read => line(format!("{name}: {value}")),
            Form::Set(new) => {
                let quoted = value.starts_with('"');
                let texts = new.iter().map(|it| it.as_deref().unwrap_or(""));
                let texts: Vec<_> = texts
                    .map(|it| if quoted { format!("\"{it}\"") } else { it.to_owned() })
                    .collect();
                *value = texts.join(",");
                ok()
            }
            Form::Test | Form::Execute => ok(),
        })
    }
}
