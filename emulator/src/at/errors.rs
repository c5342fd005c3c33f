//! Final result lines (ITU-T V.250 section 5.7; TS 27.007 section 9.2).

use super::Failure;

/// Codes and texts of SIMCom's manual (A76XX V1.09), which has some of its own.
const CME: &[(u16, &str)] = &[
    (0, "phone failure"),
    (3, "operation not allowed"),
    (4, "operation not supported"),
    (10, "SIM not inserted"),
    (11, "SIM PIN required"),
    (12, "SIM PUK required"),
    (13, "SIM failure"),
    (14, "SIM busy"),
    (15, "SIM wrong"),
    (16, "incorrect password"),
    (21, "invalid index"),
    (30, "no network service"),
    (50, "Incorrect parameters"),
    (100, "unknown error"),
    (133, "requested service option not subscribed"),
    (151, "AT command timeout"),
];

/// The same for messages (TS 27.005 section 3.2.5).
const CMS: &[(u16, &str)] = &[
    (302, "operation not allowed"),
    (304, "invalid PDU mode parameter"),
    (305, "invalid text mode parameter"),
    (310, "SIM not inserted"),
    (311, "SIM PIN required"),
    (314, "SIM busy"),
    (316, "SIM PUK required"),
    (321, "invalid memory index"),
    (331, "no network service"),
];

/// The line that ends an answer: text and V.250's number. `level` is that of
/// AT+CMEE: 0 none, 1 numbers, 2 words.
pub(crate) fn final_line(failure: Option<Failure>, level: u8) -> (String, Option<u8>) {
    match failure {
        None => ("OK".into(), Some(0)),
        Some(Failure::Cme(code)) if level == 1 => (format!("+CME ERROR: {code}"), None),
        Some(Failure::Cme(code)) if level == 2 => {
            let text = CME.iter().find(|(known, _)| *known == code);
            (format!("+CME ERROR: {}", text.map_or("unknown error", |(_, text)| text)), None)
        }
        Some(Failure::Cms(code)) => {
            let text = CMS.iter().find(|(known, _)| *known == code).filter(|_| level == 2);
            let text = text.map_or_else(|| code.to_string(), |(_, text)| (*text).to_owned());
            (format!("+CMS ERROR: {text}"), None)
        }
        Some(_) => ("ERROR".into(), Some(4)),
    }
}
