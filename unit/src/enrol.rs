//! What a unit reports once it runs: whose hardware it is. The desk joins it to
//! the card by the unit's id.
//!
//! It travels as JSON, or as one text message of at most 160 characters of the
//! GSM 7-bit alphabet (3GPP TS 23.038 §6.2.1), which all of ASCII's letters,
//! digits and `/ - . _` have:
//!
//! ```text
//! A7670E/1 UNIT IMEI ICCID MAC SERIAL CARD CHECK
//! ```
//!
//! `-` stands for what is not known, CARD is the first eight digits of the card's
//! token, CHECK the CRC-32 (ISO 3309, as in zlib) of all before its blank. None of
//! this proves who sends it.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

use super::values::{CardToken, Iccid, Imei, Mac, Serial, UnitId};

/// Version of both forms.
const VERSION: u32 = 1;

/// How a report as a text message begins.
pub const SMS: &str = "A7670E/1";

/// Digits of the card's token in a text message.
const SHORT: usize = 8;

/// Most characters of one text message (3GPP TS 23.040 §9.2.3.24).
const LONGEST: usize = 160;

/// The check of a text message. By bits: it is reckoned once in a device's life, and
/// a table would be a hundredth of the program.
const CHECK: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// A unit's report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Version of this form: 1.
    pub version: u32,
    /// Who reports.
    pub unit: UnitId,
    /// Token of its card, or the token's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardToken>,
    /// The modem's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imei: Option<Imei>,
    /// The SIM's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iccid: Option<Iccid>,
    /// Address of the board's Ethernet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The board's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
}

/// Why a text is no report. It names the field, and says what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoReport(String);

impl std::fmt::Display for NoReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoReport {}

impl Enrolment {
    /// A report of a unit that knows no more than who it is.
    #[must_use]
    pub fn new(unit: UnitId) -> Self {
        let version = VERSION;
        Self { version, unit, card: None, imei: None, iccid: None, mac: None, serial: None }
    }

    /// Takes a report that came in another way than by [`Enrolment::from_sms`].
    ///
    /// # Errors
    /// It is of a later version.
    pub fn checked(self) -> Result<Self, NoReport> {
        if self.version == VERSION {
            return Ok(self);
        }
        let version = self.version;
        let says = format!("it is of version {version}, {VERSION} is known here: update the desk");
        Err(NoReport(says))
    }

    /// As a text message.
    #[must_use]
    pub fn to_sms(&self) -> String {
        let card = self.card.as_ref().map(|it| &it.as_str()[..it.as_str().len().min(SHORT)]);
        let mac = self.mac.as_ref().map(|it| it.as_str().replace(':', ""));
        let fields = [
            self.imei.as_ref().map(Imei::as_str),
            self.iccid.as_ref().map(Iccid::as_str),
            mac.as_deref(),
            self.serial.as_ref().map(Serial::as_str),
            card,
        ];
        let mut text = format!("{SMS} {}", self.unit.as_str());
        for field in fields {
            text.push(' ');
            text.push_str(field.unwrap_or("-"));
        }
        format!("{text} {:08X}", CHECK.checksum(text.as_bytes()))
    }

    /// From a text message.
    ///
    /// # Errors
    /// It is none of ours, was damaged on the way, or a field is not what it
    /// should be.
    pub fn from_sms(text: &str) -> Result<Self, NoReport> {
        let no = |says: &str| NoReport(says.to_owned());
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(no("it is longer than a text message"));
        }
        let (head, check) = text.rsplit_once(' ').ok_or_else(|| no("it is no report"))?;
        let mut fields = head.split(' ');
        match fields.next() {
            Some(SMS) => {}
            Some(other) if other.starts_with("A7670E/") => {
                let says =
                    format!("it is of version {other}, {SMS} is known here: update the desk");
                return Err(NoReport(says));
            }
            _ => return Err(NoReport(format!("it does not begin with {SMS}"))),
        }
        if !check.eq_ignore_ascii_case(&format!("{:08X}", CHECK.checksum(head.as_bytes()))) {
            return Err(no("its check does not fit: it was changed or cut short on the way"));
        }
        let rest: Vec<&str> = fields.collect();
        let [unit, imei, iccid, mac, serial, card] = rest[..] else {
            return Err(no("it has another number of fields than six"));
        };
        let pairs: Vec<String> = mac
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).into_owned())
            .collect();
        let mac = if mac == "-" { mac.to_owned() } else { pairs.join(":") };
        let unit = UnitId::try_from(unit.to_owned()).map_err(|says| of("unit", says))?;
        Ok(Self {
            version: VERSION,
            unit,
            card: field("card", card)?,
            imei: field("imei", imei)?,
            iccid: field("iccid", iccid)?,
            mac: field("mac", &mac)?,
            serial: field("serial", serial)?,
        })
    }
}

fn of(name: &str, says: &str) -> NoReport {
    NoReport(format!("its {name}: {says}"))
}

fn field<T: TryFrom<String, Error = &'static str>>(
    name: &str,
    text: &str,
) -> Result<Option<T>, NoReport> {
    if text == "-" {
        return Ok(None);
    }
    T::try_from(text.to_owned()).map(Some).map_err(|says| of(name, says))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(unit: &str) -> Enrolment {
        let text = |text: &str| text.to_owned();
        Enrolment {
            card: Some(CardToken::try_from("0123456789abcdef".repeat(2)).unwrap()),
            imei: Some(Imei::try_from(text("490154203237518")).unwrap()),
            iccid: Some(Iccid::try_from(text("89490200001234567890")).unwrap()),
            mac: Some(Mac::try_from(text("dc:a6:32:00:11:22")).unwrap()),
            serial: Some(Serial::try_from(text("10000000abcdef01")).unwrap()),
            ..Enrolment::new(UnitId::try_from(unit.to_owned()).unwrap())
        }
    }

    #[test]
    fn a_text_message_holds_the_longest_report() {
        let mut report = full(&"X".repeat(64));
        let text = report.to_sms();
        assert!(text.len() <= LONGEST, "{} characters", text.len());
        let gsm = |byte: u8| byte.is_ascii_alphanumeric() || b" /-._".contains(&byte);
        assert!(text.bytes().all(gsm), "{text}");
        report.card = Some(CardToken::try_from("01234567".to_owned()).unwrap());
        assert_eq!(Enrolment::from_sms(&text).unwrap(), report);
        assert_eq!(Enrolment::from_sms(&format!(" {text}\r\n")).unwrap(), report);
        let bare = Enrolment::new(UnitId::try_from("p_1".to_owned()).unwrap());
        // CRC-32 by another program's (zlib's) hand.
        assert_eq!(bare.to_sms(), "A7670E/1 p_1 - - - - - 32840901");
        assert_eq!(Enrolment::from_sms(&bare.to_sms()).unwrap(), bare);
    }

    #[test]
    fn each_changed_character_is_noticed() {
        let text = full("0001").to_sms();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let changed = String::from_utf8(bytes).unwrap();
            Enrolment::from_sms(&changed).unwrap_err();
            Enrolment::from_sms(&text[..at]).unwrap_err();
        }
        let signed = |head: &str| format!("{head} {:08x}", CHECK.checksum(head.as_bytes()));
        for (head, want) in [
            ("A7670E/2 1 - - - - -", "update"),
            ("A7670E/1 1 - - - -", "six"),
            ("A7670E/1 1 490154203237519 - - - -", "its imei: "),
            ("A7670E/1 1 - 12 - - -", "its iccid: "),
            ("A7670E/1 1 - - dca63200112 - -", "its mac: "),
            ("A7670E/1 1 - - - xyz -", "its serial: "),
            ("A7670E/1 1 - - - - 12", "its card: "),
            ("A7670E/1 a,b - - - - -", "its unit: "),
            ("hello you", "does not begin"),
        ] {
            let error = Enrolment::from_sms(&signed(head)).unwrap_err().to_string();
            assert!(error.contains(want), "{head}: {error}");
        }
        let later = Enrolment { version: 2, ..full("1") };
        assert!(later.checked().unwrap_err().to_string().contains("version 2"));
    }
}
