//! The SIM: state, tries left, number, length of the network code.

use serde::{Deserialize, Serialize};

use crate::at::fields::{after, fields};

/// What the SIM wants (`+CPIN`, TS 27.007 §8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimState {
    /// Nothing: it is open.
    Ready,
    /// Its PIN.
    Pin,
    /// Its PUK: the PIN was wrong too often.
    Puk,
    /// Something of PIN2; data does not need it.
    Pin2,
    /// A code that binds the modem to a network or a card.
    Locked(String),
    /// There is no card.
    Absent,
}

/// Reads `+CPIN: …`, reply or code.
pub fn sim_state(line: &str) -> Option<SimState> {
    let said = after(line, "+CPIN")?;
    Some(match said {
        "READY" => SimState::Ready,
        "SIM PIN" => SimState::Pin,
        "SIM PUK" => SimState::Puk,
        "SIM PIN2" | "SIM PUK2" => SimState::Pin2,
        "SIM REMOVED" | "NOT INSERTED" | "NOT READY" => SimState::Absent,
        other if other.starts_with("PH-") => SimState::Locked(other.to_owned()),
        _ => return None,
    })
}

/// How often the codes may still be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// PIN1.
    pub pin: u8,
    /// PUK1.
    pub puk: u8,
}

/// Reads `+SPIC: <pin1>,<puk1>,<pin2>,<puk2>`.
pub fn tries(line: &str) -> Option<Tries> {
    let fields = fields(after(line, "+SPIC")?);
    Some(Tries { pin: fields.first()?.number()?, puk: fields.get(1)?.number()? })
}

/// Reads `+ICCID: 89…`, the card's number: 18 to 22 digits, the last of which
/// may be a filling F (ITU-T E.118, TS 102 221 §13.2).
pub fn iccid(lines: &[String]) -> Option<String> {
    let line = lines.first()?;
    let said = after(line, "+ICCID").or_else(|| after(line, "+CICCID")).unwrap_or(line);
    let digits = said.trim_matches('"').trim_end_matches(['F', 'f']);
    ((18..=22).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.to_owned())
}

/// Reads `+CRSM: 144,0,"<EF_AD>"`: how many digits the MNC has, 2 or 3 (TS
/// 31.102 §4.2.18, byte 4). `None` when the card does not say.
pub fn mnc_length(line: &str) -> Option<u8> {
    let fields = fields(after(line, "+CRSM")?);
    // Status words 90 00, 91 xx and 9F xx are success (TS 102 221 §10.2.1.1).
    let done = matches!(fields.first()?.number()?, 144_u8 | 145 | 159);
    let byte = fields.get(2)?.text.get(6..8)?;
    let length = u8::from_str_radix(byte, 16).ok()? & 0x0f;
    (done && matches!(length, 2 | 3)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        assert_eq!(sim_state("+CPIN: READY"), Some(SimState::Ready));
        assert_eq!(sim_state("+CPIN: SIM PIN"), Some(SimState::Pin));
        assert_eq!(sim_state("+CPIN: SIM REMOVED"), Some(SimState::Absent));
        assert_eq!(sim_state("+CPIN: PH-NET PIN"), Some(SimState::Locked("PH-NET PIN".into())));
        assert_eq!(sim_state("+CPIN: SIM"), None);
        assert_eq!(tries("+SPIC: 3,10,0,10"), Some(Tries { pin: 3, puk: 10 }));
        assert_eq!(tries("+SPIC: x"), None);
    }

    #[test]
    fn card_numbers() {
        let iccid = |line: &str| iccid(&[line.to_owned()]);
        assert_eq!(iccid("+ICCID: 89254020000000000001").unwrap(), "89254020000000000001");
        assert_eq!(iccid("+ICCID: 8925402000000000001F").unwrap(), "8925402000000000001");
        assert_eq!(iccid("+ICCID: 8925"), None);
    }

    #[test]
    fn network_code_lengths() {
        assert_eq!(mnc_length("+CRSM: 144,0,\"00000002\""), Some(2));
        assert_eq!(mnc_length("+CRSM: 144,0,\"00000003\""), Some(3));
        for line in ["+CRSM: 144,0,\"000000\"", "+CRSM: 106,130,\"\"", "+CRSM: 144,0,\"000000FF\""]
        {
            assert_eq!(mnc_length(line), None, "{line}");
        }
    }
}
