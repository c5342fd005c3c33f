//! Registration and operator.

use serde::{Deserialize, Serialize};

use crate::at::fields::{Field, fields};

/// Registration status (TS 27.007 §7.2, §10.1.20, §10.1.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stat {
    /// Not registered and not searching.
    Idle,
    /// In the home network.
    Home,
    /// Searching, or asking to be let in.
    Searching,
    /// The network said no.
    Denied,
    /// Out of coverage, or not told.
    Unknown,
    /// In another network than home.
    Roaming,
    /// Emergency calls only.
    EmergencyOnly,
}

impl Stat {
    fn from_number(number: u8) -> Option<Stat> {
        Some(match number {
            0 => Stat::Idle,
            // 6 and 9: registered for SMS or without CS fallback, at home.
            1 | 6 | 9 => Stat::Home,
            2 => Stat::Searching,
            3 => Stat::Denied,
            4 => Stat::Unknown,
            5 | 7 | 10 => Stat::Roaming,
            8 | 11 => Stat::EmergencyOnly,
            _ => return None,
        })
    }

    /// Whether the network has let the modem in.
    pub fn is_registered(self) -> bool {
        matches!(self, Stat::Home | Stat::Roaming)
    }
}

/// Radio technology (`<AcT>`, TS 27.007 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Technology {
    /// GSM, GPRS, EDGE.
    Gsm,
    /// WCDMA, HSPA.
    Wcdma,
    /// LTE.
    Lte,
}

impl Technology {
    fn from_number(number: u8) -> Option<Technology> {
        Some(match number {
            0 | 1 | 3 => Technology::Gsm,
            2 | 4..=6 => Technology::Wcdma,
            7..=9 => Technology::Lte,
            _ => return None,
        })
    }
}

/// One reply or code of `+CREG`, `+CGREG` or `+CEREG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationReport {
    /// Status.
    pub stat: Stat,
    /// Location or tracking area code.
    pub area: Option<u32>,
    /// Cell.
    pub cell: Option<u32>,
    /// Technology, where the modem tells.
    pub technology: Option<Technology>,
}

/// Reads a registration line. `asked`: it is the reply to a question, which
/// has the setting `n` first; the A76XX leaves `AcT` out of it.
pub fn registration(line: &str, asked: bool) -> Option<RegistrationReport> {
    let (name, rest) = line.split_once(':')?;
    if !matches!(name, "+CREG" | "+CGREG" | "+CEREG") {
        return None;
    }
    let fields = fields(rest);
    let fields = if asked { fields.get(1..)? } else { &fields[..] };
    let hex =
        |at: usize| fields.get(at).filter(|field| !field.text.is_empty()).and_then(Field::hex);
    Some(RegistrationReport {
        stat: Stat::from_number(fields.first()?.number()?)?,
        area: hex(1),
        cell: hex(2),
        technology: fields.get(3).and_then(Field::number).and_then(Technology::from_number),
    })
}

/// The operator that `+COPS?` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Name or number, as the modem has it.
    pub name: String,
    /// Whether `name` is MCC and MNC.
    pub numeric: bool,
    /// 0 automatic, 1 manual, 2 deregistered, 4 manual then automatic.
    pub mode: u8,
    /// Technology.
    pub technology: Option<Technology>,
}

/// Reads `+COPS: <mode>[,<format>,<oper>[,<AcT>]]`; `None` also when there is
/// no operator.
pub fn operator(line: &str) -> Option<Operator> {
    let fields = fields(line.strip_prefix("+COPS:")?);
    let name = fields.get(2)?.text;
    (!name.is_empty()).then_some(())?;
    Some(Operator {
        name: name.to_owned(),
        numeric: fields[1].text == "2",
        mode: fields[0].number()?,
        technology: fields.get(3).and_then(Field::number).and_then(Technology::from_number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes() {
        let report = registration("+CEREG: 2,1,0957,0A89DD70", true).unwrap();
        assert_eq!(
            (report.stat, report.area, report.cell),
            (Stat::Home, Some(0x957), Some(0xa89_dd70))
        );
        assert_eq!(report.technology, None);
        let report = registration("+CEREG: 1,0957,0A89DD70,7", false).unwrap();
        assert_eq!(
            (report.stat, report.area, report.cell),
            (Stat::Home, Some(0x957), Some(0xa89_dd70))
        );
        assert_eq!(report.technology, Some(Technology::Lte));
        assert_eq!(registration("+CEREG: 2", false).unwrap().stat, Stat::Searching);
        assert_eq!(
            registration("+CEREG: 2,11,0000,00000000", true).unwrap().stat,
            Stat::EmergencyOnly
        );
        assert_eq!(registration("+CEREG: 2,99", true), None);
        assert_eq!(registration("+CSQ: 2,9", true), None);
    }

    #[test]
    fn operators() {
        let safaricom = operator("+COPS: 0,0,\"Safaricom\",7").unwrap();
        assert_eq!((safaricom.name.as_str(), safaricom.numeric), ("Safaricom", false));
        assert_eq!(safaricom.technology, Some(Technology::Lte));
        assert!(operator("+COPS: 0,2,\"63902\",7").unwrap().numeric);
        assert_eq!(operator("+COPS: 0"), None);
    }
}
