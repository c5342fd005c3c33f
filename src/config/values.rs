//! Values with rules of their own. Each says in its error what it takes.

use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer, de};

/// A text that can stand in quotes in an AT command: printable ASCII without
/// a quote, at most 100 characters (TS 23.003 §9.1 has that for an APN).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Plain(String);

impl Plain {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Plain {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Plain, &'static str> {
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
        if plain && text.len() <= 100 {
            Ok(Plain(text))
        } else {
            Err("must be at most 100 printable ASCII characters without a quote")
        }
    }
}

/// MCC and MNC of an operator: five or six digits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Digits(String);

impl Digits {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digits {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Digits, &'static str> {
        if matches!(text.len(), 5 | 6) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Digits(text))
        } else {
            Err("must be the country's and the network's code, five or six digits: \"63902\"")
        }
    }
}

/// An amount of data, in bytes: `"2 GB"`, `"500 MB"`, `"1 GiB"`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    fn parse(text: &str) -> Option<ByteSize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let unit: u64 = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(unit).map(ByteSize)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an amount such as \"2 GB\", \"500 MB\" or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
                u64::try_from(number)
                    .map(ByteSize)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }
        from.deserialize_any(Visitor)
    }
}

/// Whether data may flow abroad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Roaming {
    /// Only in the home network.
    #[default]
    Deny,
    /// Everywhere. It may cost.
    Allow,
}

/// How to authenticate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthChoice {
    /// With a user PAP, then CHAP; without one not at all.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// By password in clear text.
    Pap,
    /// By challenge.
    Chap,
}

/// Bands as `+CNBP` counts them (SIMCom A76XX AT Command Manual V1.09,
/// `AT+CNBP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Bands {
    /// GSM: bit 7 DCS1800, 8 EGSM900, 9 PGSM900, 19 GSM850, 21 PCS1900.
    pub gsm: u64,
    /// LTE: bit n − 1 is band n.
    pub lte: u64,
}

impl TryFrom<Vec<String>> for Bands {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Bands, String> {
        let mut bands = Bands { gsm: 0, lte: 0 };
        for name in &names {
            let number = name.strip_prefix("lte").and_then(|number| number.parse::<u32>().ok());
            match (name.as_str(), number) {
                (_, Some(number @ 1..=64)) => bands.lte |= 1 << (number - 1),
                ("gsm900", _) => bands.gsm |= 1 << 8 | 1 << 9,
                ("gsm1800", _) => bands.gsm |= 1 << 7,
                ("gsm850", _) => bands.gsm |= 1 << 19,
                ("gsm1900", _) => bands.gsm |= 1 << 21,
                _ => {
                    return Err(format!(
                        "there is no band `{name}`; write lte1 to lte64, gsm850, gsm900, \
                         gsm1800 or gsm1900"
                    ));
                }
            }
        }
        if names.is_empty() {
            return Err("name at least one band, or leave `bands` out".into());
        }
        Ok(bands)
    }
}

/// A page by plain HTTP: `http://HOST[:PORT][/PATH]`, the scheme optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Page {
    /// Name or IPv4 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path, with its slash.
    pub path: String,
}

impl TryFrom<String> for Page {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Page, &'static str> {
        const WRONG: &str = "must be a page by plain HTTP: \"http://host/path\"";
        let rest = text.strip_prefix("http://").unwrap_or(&text);
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match place.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| WRONG)?),
            None => (place, 80),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let named = host.len() <= 253 && host.split('.').all(label);
        let plain = path.len() <= 200 && path.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
        if !(named || host.parse::<Ipv4Addr>().is_ok()) || !plain || port == 0 {
            return Err(WRONG);
        }
        Ok(Page { host: host.to_owned(), port, path: path.to_owned() })
    }
}
