//! The modem's error numbers and what they say.
//!
//! SIMCom A76XX AT Command Manual V1.09, "Summary of CME ERROR codes" and
//! "Summary of CMS ERROR codes"; they are those of TS 27.007 §9.2 and TS 27.005
//! §3.2.5 but for 151, which is SIMCom's own, and the manual's spelling of 103.

/// `+CME ERROR` numbers with the text that `AT+CMEE=2` gives.
pub const CME_ERRORS: &[(u16, &str)] = &[
    (0, "phone failure"),
    (1, "no connection to phone"),
    (2, "phone adaptor link reserved"),
    (3, "operation not allowed"),
    (4, "operation not supported"),
    (5, "PH-SIM PIN required"),
    (6, "PH-FSIM PIN required"),
    (7, "PH-FSIM PUK required"),
    (10, "SIM not inserted"),
    (11, "SIM PIN required"),
    (12, "SIM PUK required"),
    (13, "SIM failure"),
    (14, "SIM busy"),
    (15, "SIM wrong"),
    (16, "incorrect password"),
    (17, "SIM PIN2 required"),
    (18, "SIM PUK2 required"),
    (20, "memory full"),
    (21, "invalid index"),
    (22, "not found"),
    (23, "memory failure"),
    (24, "text string too long"),
    (25, "invalid characters in text string"),
    (26, "dial string too long"),
    (27, "invalid characters in dial string"),
    (30, "no network service"),
    (31, "network timeout"),
    (32, "network not allowed - emergency calls only"),
    (40, "network personalization PIN required"),
    (41, "network personalization PUK required"),
    (42, "network subset personalization PIN required"),
    (43, "network subset personalization PUK required"),
    (44, "service provider personalization PIN required"),
    (45, "service provider personalization PUK required"),
    (46, "corporate personalization PIN required"),
    (47, "corporate personalization PUK required"),
    (50, "Incorrect parameters"),
    (100, "unknown error"),
    (103, "Illegal MESSAGE"),
    (106, "Illegal ME"),
    (107, "GPRS services not allowed"),
    (111, "PLMN not allowed"),
    (112, "Location area not allowed"),
    (113, "Roaming not allowed in this location area"),
    (132, "service option not supported"),
    (133, "requested service option not subscribed"),
    (134, "service option temporarily out of order"),
    (148, "unspecified GPRS error"),
    (149, "PDP authentication failure"),
    (150, "invalid mobile class"),
    (151, "AT command timeout"),
];

/// `+CMS ERROR` numbers with the text that `AT+CMEE=2` gives.
pub const CMS_ERRORS: &[(u16, &str)] = &[
    (300, "ME failure"),
    (301, "SMS service of ME reserved"),
    (302, "operation not allowed"),
    (303, "operation not supported"),
    (304, "invalid PDU mode parameter"),
    (305, "invalid text mode parameter"),
    (310, "SIM not inserted"),
    (311, "SIM PIN required"),
    (312, "PH-SIM PIN required"),
    (313, "SIM failure"),
    (314, "SIM busy"),
    (315, "SIM wrong"),
    (316, "SIM PUK required"),
    (317, "SIM PIN2 required"),
    (318, "SIM PUK2 required"),
    (320, "memory failure"),
    (321, "invalid memory index"),
    (322, "memory full"),
    (330, "SMSC address unknown"),
    (331, "no network service"),
    (332, "network timeout"),
    (340, "no +CNMA acknowledgement expected"),
    (341, "buffer overflow"),
    (342, "SMS size more than expected"),
    (500, "unknown error"),
];

/// The text of a `+CME ERROR` number.
pub fn cme_text(code: u16) -> Option<&'static str> {
    text(CME_ERRORS, code)
}

/// The text of a `+CMS ERROR` number.
pub fn cms_text(code: u16) -> Option<&'static str> {
    text(CMS_ERRORS, code)
}

fn text(table: &[(u16, &'static str)], code: u16) -> Option<&'static str> {
    table.iter().find(|row| row.0 == code).map(|row| row.1)
}

/// The number in a table for what stands after `+CME ERROR:`, be it number or
/// text.
pub(super) fn code(table: &[(u16, &'static str)], said: &str) -> Option<u16> {
    said.parse()
        .ok()
        .or_else(|| table.iter().find(|row| row.1.eq_ignore_ascii_case(said)).map(|row| row.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_texts_differ() {
        for table in [CME_ERRORS, CMS_ERRORS] {
            for pair in table.windows(2) {
                assert!(pair[0].0 < pair[1].0, "{pair:?}");
            }
            for row in table {
                assert_eq!(code(table, row.1), Some(row.0));
            }
        }
    }
}
