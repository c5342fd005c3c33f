//! Questions to the network by USSD, such as `*144#` for a balance: what the
//! modem's `+CUSD` says. Pure.

use serde::{Deserialize, Serialize};

use super::pdu::{from_hex, from_packed};

/// How a dialogue stands (TS 27.007 §7.15, `<m>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It was answered, and that is all.
    Done,
    /// The network waits for an answer of ours.
    More,
    /// The network has ended it.
    Ended,
    /// Another program at the modem has answered.
    Elsewhere,
    /// The network does not know it.
    Unsupported,
    /// The network did not answer in time.
    TimedOut,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How the dialogue stands.
    pub stage: Stage,
    /// The text; empty when there is none.
    pub text: String,
}

/// Longest text of ours: 160 octets hold 182 septets (TS 23.038 §6.1.2.3).
const LONGEST: usize = 182;

/// The command that asks `text`, or answers it to the network.
///
/// # Errors
/// It cannot be sent, and why.
pub fn command(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"';
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(plain) {
        return Err("a USSD code or answer must have 1 to 182 ASCII characters, without quotes");
    }
    // Alphabet 15: the default one, in no particular language (TS 23.038 §5).
    Ok(format!("AT+CUSD=1,\"{text}\",15"))
}

/// Reads what follows `+CUSD:`; `None` when it has no stage.
#[must_use]
pub fn parse(rest: &str) -> Option<Told> {
    // A text may have quotes and commas of its own: the last quote ends it.
    let (stage, rest) = rest.split_once(',').unwrap_or((rest, ""));
    let stage = match stage.trim().parse::<u8>().ok()? {
        0 => Stage::Done,
        1 => Stage::More,
        2 => Stage::Ended,
        3 => Stage::Elsewhere,
        4 => Stage::Unsupported,
        5 => Stage::TimedOut,
        _ => return None,
    };
    let (text, coding) = match rest.trim().strip_prefix('"') {
        Some(rest) => rest.rsplit_once('"').unwrap_or((rest, "")),
        None => rest.split_once(',').unwrap_or((rest, "")),
    };
    let coding = coding.trim().trim_start_matches(',').trim().parse().unwrap_or(15);
    let text = decode(text, coding);
    Some(Told { stage, text })
}

/// Whether the alphabet of a cell broadcast coding is UCS-2 (TS 23.038 §5).
fn is_ucs2(coding: u8) -> bool {
    match coding {
        0x11 => true,
        0x40..=0x7f | 0x90..=0x9f => coding & 0x0c == 0x08,
        _ => false,
    }
}

/// The modem may show a text as it is, or its octets in hexadecimal: UCS-2, or
/// septets. That is seen from the text: one of hexadecimal digits alone is taken
/// for octets if that gives readable text.
fn decode(text: &str, coding: u8) -> String {
    let Some(octets) = from_hex(text).filter(|octets| !octets.is_empty()) else {
        return text.to_owned();
    };
    let units =
        || octets.chunks(2).map(|pair| pair.iter().fold(0, |all, one| all << 8 | u16::from(*one)));
    if is_ucs2(coding) && octets.len() % 2 == 0 {
        return String::from_utf16_lossy(&units().collect::<Vec<_>>());
    }
    let readable = |text: &str| !text.chars().any(|c| c.is_control() && !"\r\n".contains(c));
    // Some firmware says 15 all the same.
    if octets.len() % 2 == 0 && octets.len() >= 4 {
        let wide = String::from_utf16(&units().collect::<Vec<_>>()).unwrap_or_default();
        let known = wide.chars().filter(|c| u32::from(*c) < 0x0250).count();
        if known == wide.chars().count() && known > 0 && readable(&wide) {
            return wide;
        }
    }
    // A number of digits only, a balance or an identity, is shown as it is.
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return text.to_owned();
    }
    match from_packed(&octets) {
        unpacked if readable(&unpacked) => unpacked,
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stage: Stage, text: &str) -> Option<Told> {
        Some(Told { stage, text: text.to_owned() })
    }

    #[test]
    fn texts_in_each_form_that_modems_have() {
        for (rest, expected) in [
            ("0,\"Balance: 12.50 KSh\",15", told(Stage::Done, "Balance: 12.50 KSh")),
            ("1,\"1 Data\n2 Calls\",15", told(Stage::More, "1 Data\n2 Calls")),
            ("0,\"004200E40436\",72", told(Stage::Done, "Bä\u{436}")),
            ("0,\"004200E4\",15", told(Stage::Done, "Bä")),
            // TS 23.038 §6.1.2.1: eight letters more than seven octets hold.
            ("0,\"E8329BFD4697D9EC37\",15", told(Stage::Done, "hellohello")),
            // Seven letters, and the fill that is no letter (§6.1.2.3.1).
            ("0,\"E8329BFD46971B\",15", told(Stage::Done, "hellohe")),
            ("0,\"254700000001\",15", told(Stage::Done, "254700000001")),
            ("2", told(Stage::Ended, "")),
            ("0,\"A 7\" screen, new\",15", told(Stage::Done, "A 7\" screen, new")),
            ("1,\"Say \"yes, no\"\", 15", told(Stage::More, "Say \"yes, no\"")),
            ("0,\"004200E40436\" , 72", told(Stage::Done, "Bä\u{436}")),
            ("0,\"open", told(Stage::Done, "open")),
            ("4,\"\",15", told(Stage::Unsupported, "")),
            ("5", told(Stage::TimedOut, "")),
            ("3", told(Stage::Elsewhere, "")),
            ("9", None),
            ("", None),
        ] {
            assert_eq!(parse(rest), expected, "{rest}");
        }
    }

    #[test]
    fn what_is_asked_is_one_text() {
        assert_eq!(command("*144#").unwrap(), "AT+CUSD=1,\"*144#\",15");
        for odd in ["", "\"", "a\rAT", "ä", &"1".repeat(183)] {
            assert!(command(odd).is_err(), "{odd:?}");
        }
    }
}
