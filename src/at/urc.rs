//! Unsolicited codes: what the modem says without being asked.
//!
//! Some look exactly like a reply. Who asked decides: see
//! [`reads_as_reply`], and the channel for how it is used.

use super::fields::{after, fields};

/// An unsolicited code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urc {
    /// Its line.
    pub line: String,
    /// The PDU on the line after, in hexadecimal, for the codes that have one.
    pub data: Option<String>,
}

impl Urc {
    /// The text after `name:`.
    pub fn after(&self, name: &str) -> Option<&str> {
        after(&self.line, name)
    }
}

/// Codes with parameters: the line begins with the name and a colon.
///
/// SIMCom A76XX AT Command Manual V1.09 (chapter of each command); those with
/// `*` and `+NITZ` are seen in boot logs of A7670E, A7670G and A7608E-H;
/// `+CFUN`, `+SIM` and `+QCRMCALL` are SIM7600's.
const NAMES: &[&str] = &[
    "*ATREADY",
    "*COPN",
    "*ISIMAID",
    "*REJCAUSE",
    "+CBM",
    "+CCWA",
    "+CDS",
    "+CDSI",
    "+CEREG",
    "+CFUN",
    "+CGEV",
    "+CGREG",
    "+CIEV",
    "+CLIP",
    "+CMT",
    "+CMTE",
    "+CMTI",
    "+CNSMOD",
    "+COLP",
    "+CPIN",
    "+CPSI",
    "+CREG",
    "+CRING",
    "+CSQ",
    "+CSSI",
    "+CSSU",
    "+CTZE",
    "+CTZV",
    "+CUSD",
    "+CUSATP",
    "+NITZ",
    "+QCRMCALL",
    "$QCRMCALL",
    "+SIM",
    "+SIMREADY",
    "+STK",
];

/// Codes that are a line by themselves.
const LINES: &[&str] = &["PB DONE", "RDY", "RING", "SMS DONE", "SMS READY", "CALL READY"];

/// Codes that are the start of a line.
const STARTS: &[&str] =
    &["MISSED_CALL", "NORMAL POWER DOWN", "OVER-VOLTAGE", "UNDER-VOLTAGE", "VOICE CALL"];

/// Whether a line is an unsolicited code, unless a command claims it.
pub fn is_urc(line: &str) -> bool {
    name(line).is_some()
        || LINES.contains(&line)
        || STARTS.iter().any(|start| line.starts_with(start))
}

/// The name of a code with parameters.
pub(super) fn name(line: &str) -> Option<&'static str> {
    NAMES.iter().find(|name| after(line, name).is_some()).copied()
}

/// Whether the code announces a PDU on the next line. In text mode it does
/// not; then its parameters are others.
pub(super) fn announces_data(line: &str) -> bool {
    // TS 27.005 §3.4.1: `+CMT: [<alpha>],<length>`, `+CDS: <length>`,
    // `+CBM: <length>`, all in PDU mode.
    ["+CMT", "+CDS", "+CBM"].iter().any(|name| {
        after(line, name).is_some_and(|rest| {
            let fields = fields(rest);
            fields.len() <= 2 && fields.last().is_some_and(|last| last.number::<u16>().is_some())
        })
    })
}

/// Longest text that is waited for, bytes: 182 characters (TS 23.038 §6.1.2.3) of
/// four octets at most, in hexadecimal.
const MAX_OPEN: usize = 1500;

/// Whether the text of a USSD answer goes on with the next line: its quotes are
/// not closed. A text may have quotes of its own, in any number: the alphabet behind
/// one tells that it was the last.
pub(super) fn goes_on(line: &str) -> bool {
    after(line, "+CUSD").is_some_and(|rest| {
        let open = rest.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let ended = rest.rsplit_once("\",").is_some_and(|(_, last)| digits(last.trim()));
        open && !ended && rest.len() < MAX_OPEN
    })
}

/// Whether a line is a PDU or a part of one.
pub(super) fn is_hex(line: &str) -> bool {
    line.len() % 2 == 0 && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a line that bears the name of the command in flight can be its
/// reply. Where codes and replies have the same shape the answer is yes.
///
/// The registration commands differ by one parameter (TS 27.007 §7.2, §10.1.20,
/// §10.1.22): a reply begins with the setting `n`, a code with the status:
///
/// | parameters | reply | code |
/// |---|---|---|
/// | 1 | | `stat` |
/// | 2 | `n,stat` | |
/// | 3 | | `stat,lac,ci` |
/// | 4 | `n,stat,lac,ci` (the A76XX leaves out the technology) | `stat,lac,ci,AcT` |
/// | 5 and more | `n,stat,lac,ci,AcT,…` | `stat,lac,ci,AcT,cause…` |
///
/// In rows 4 and 5 the second parameter decides: a status has one or two
/// digits and no quotes; an area code has four or stands in quotes.
pub(super) fn reads_as_reply(name: &str, line: &str) -> bool {
    let Some(rest) = after(line, name) else { return false };
    let fields = fields(rest);
    match name {
        "+CREG" | "+CGREG" | "+CEREG" => match fields.len() {
            1 | 3 => false,
            2 => true,
            _ => {
                let second = fields[1];
                !second.quoted && second.text.len() <= 2 && second.number::<u8>().is_some()
            }
        },
        // Manual V1.09 §4.2: read `n,stat`, code `stat`.
        "+CNSMOD" => fields.len() == 2,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole() {
        assert!(is_urc("+CMTI: \"SM\",1") && is_urc("PB DONE") && is_urc("*ATREADY: 1"));
        assert!(is_urc("UNDER-VOLTAGE WARNING POWER DOWN"));
        for line in ["+CMTIX: 1", "+CSQ", "PB DONE!", "+CGDCONT: 1", "A7670E-LASE", ""] {
            assert!(!is_urc(line), "{line}");
        }
    }

    #[test]
    fn registration_replies_and_codes() {
        for (line, reply) in [
            ("+CEREG: 2,1,0957,0A89DD70", true),
            ("+CEREG: 1,0957,0A89DD70,7", false),
            ("+CEREG: 1,1957,0A89DD70,7", false),
            ("+CEREG: 2,11,0000,00000000", true),
            ("+CEREG: 2,1,\"57\",\"A89DD70\",7", true),
            ("+CEREG: 1,\"57\",\"A89DD70\",7", false),
            ("+CEREG: 2", false),
            ("+CEREG: 0,2", true),
        ] {
            assert_eq!(reads_as_reply("+CEREG", line), reply, "{line}");
        }
    }

    #[test]
    fn only_pdu_mode_announces_a_second_line() {
        for (line, announces) in [
            ("+CMT: ,24", true),
            ("+CMT: \"Anna\",24", true),
            ("+CDS: 25", true),
            ("+CMT: \"+254700000000\",,\"26/01/02,10:11:12+12\"", false),
            ("+CMTI: \"SM\",1", false),
            ("+CDSI: \"SM\",1", false),
        ] {
            assert_eq!(announces_data(line), announces, "{line}");
        }
    }
}
