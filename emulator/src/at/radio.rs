//! Radio, registration and contexts.

use super::{Command, Failure, Form, Outcome, line, ok};
use crate::modem::Modem;

impl Modem {
    pub(super) fn radio_command(&mut self, command: &Command) -> Option<Outcome> {
        let set = matches!(command.form, Form::Set(_));
        let cell = &self.profile.cell;
        let on = self.stat.registered();
        Some(match command.name.as_str() {
            "+CFUN" if set => match (command.number(0), command.number(1)) {
                (Some(6), _) | (Some(1), Some(1)) => self.reboot(),
                (Some(level @ (0 | 1 | 4)), _) => {
                    self.set_function(level as u8);
                    ok()
                }
                _ => Err(Failure::Cme(50)),
            },
            "+CFUN" => line(format!("+CFUN: {}", self.function)),
            "+CRESET" => self.reboot(),
            "+CREG" | "+CGREG" | "+CEREG" if set => match command.number(0) {
                Some(level @ 0..=2) => {
                    self.report.insert(command.name.clone(), level as u8);
                    ok()
                }
                _ => Err(Failure::Cme(50)),
            },
            // The read has unquoted hex and no technology, unlike the
            // unsolicited line (A76XX manual, and an owner's log).
            "+CREG" | "+CGREG" | "+CEREG" => {
                let level = self.report.get(&command.name).copied().unwrap_or(0);
                let stat = self.stat.code();
                let (tac, id) = if on { (cell.tac, cell.cell) } else { (0, 0) };
                let place = if level == 2 { format!(",{tac:04X},{id:08X}") } else { String::new() };
                line(format!("{}: {level},{stat}{place}", command.name))
            }
            "+CSQ" => line(format!("+CSQ: {},99", if on { cell.rssi } else { 99 })),
            "+CNSMOD" if set => ok(),
            "+CNSMOD" => line(format!("+CNSMOD: 0,{}", if on { 8 } else { 0 })),
            "+COPS" if set => match command.number(0) {
                Some(3) => {
                    self.name_format = command.number(1).unwrap_or(0) as u8;
                    ok()
                }
                Some(0) => ok(),
                _ => Err(Failure::Cme(3)),
            },
            "+COPS" if on => {
                let name = if self.name_format == 2 { &cell.plmn } else { &cell.name };
                let name = match self.values.get("+CSCS").map(String::as_str) {
                    // Names are hex then (TS 27.007 section 5.5).
                    Some("\"UCS2\"") if self.name_format != 2 => {
                        name.encode_utf16().map(|unit| format!("{unit:04X}")).collect()
                    }
                    _ => name.clone(),
                };
                line(format!("+COPS: 0,{},\"{name}\",7", self.name_format))
            }
            "+COPS" => line("+COPS: 0"),
            "+CPSI" if on => {
                let (mcc, mnc) = cell.plmn.split_at(3);
                // RSSI dBm = value - 110; the rest as in an owner's log.
                let rssi = 2 * i32::from(cell.rssi) - 3;
                line(format!(
                    "+CPSI: LTE,Online,{mcc}-{mnc},0x{:04X},{},130,EUTRAN-BAND20,6400,3,0,19,43,{rssi},6",
                    cell.tac, cell.cell
                ))
            }
            "+CPSI" => line("+CPSI: NO SERVICE,Low Power Mode"),
            "+CGATT" if !set => line(format!("+CGATT: {}", u8::from(on))),
            "+CGDCONT" if set => {
                let kind = command.text(1).unwrap_or("IP").to_owned();
                match (command.number(0), command.text(2)) {
                    (Some(cid @ 1..=15), apn) => {
                        self.contexts.insert(cid as u8, (kind, apn.unwrap_or("").to_owned()));
                        ok()
                    }
                    _ => Err(Failure::Cme(50)),
                }
            }
            "+CGDCONT" => Ok(self
                .contexts
                .iter()
                .map(|(cid, (kind, apn))| format!("+CGDCONT: {cid},\"{kind}\",\"{apn}\""))
                .collect()),
            // Password before user name, unlike TS 27.007 (A76XX manual). The
            // network here admits without either, so they are only kept.
            "+CGAUTH" if set => match (command.number(0), command.number(1).unwrap_or(0)) {
                (Some(cid @ 1..=15), 0) => {
                    self.credentials.remove(&(cid as u8));
                    ok()
                }
                (Some(cid @ 1..=15), kind @ 1..=2) if command.text(2).is_some() => {
                    let text = |index| command.text(index).unwrap_or_default().to_owned();
                    self.credentials.insert(cid as u8, (kind as u8, text(2), text(3)));
                    ok()
                }
                _ => Err(Failure::Cme(50)),
            },
            "+CGPADDR" if self.pdn => line(format!("+CGPADDR: 1,{}", cell.address)),
            "+CGPADDR" => ok(),
            _ => return None,
        })
    }
}
