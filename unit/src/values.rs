//! Values with a rule each. A rule's text says what it takes.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Makes a text type with a rule.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $says:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, &'static str> {
                if $rule(&text) { Ok(Self(text)) } else { Err($says) }
            }
        }
    };
}

text!(
    /// What a unit is called in records and on labels.
    UnitId,
    |text: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&text.len()) && text.bytes().all(legal)
    },
    "a unit's id is 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'"
);

text!(
    /// A host name; `{id}` in it stands for the unit's id in lower case.
    HostPattern,
    |text: &str| is_host(&text.replace("{id}", "0")),
    "a host name is 1 to 63 of a-z, 0-9 and '-', not at its ends (RFC 1123); {id} stands for the \
     unit's id"
);

text!(
    /// A host name.
    Host,
    is_host,
    "a host name is 1 to 63 of a-z, 0-9 and '-', not at its ends (RFC 1123)"
);

text!(
    /// A text that can stand in quotes in an AT command: an APN has at most
    /// 100 characters (3GPP TS 23.003 §9.1).
    Plain,
    |text: &str| {
        let legal = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"';
        (1..=100).contains(&text.len()) && text.bytes().all(legal)
    },
    "must be 1 to 100 printable ASCII characters without a quote"
);

text!(
    /// An amount of data, such as `2 GB`.
    Amount,
    |text: &str| {
        let unit = text.trim_start_matches(|it: char| it.is_ascii_digit());
        unit.len() < text.len()
            && text[..text.len() - unit.len()].parse::<u32>().is_ok()
            && ["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"].contains(&unit.trim_start())
    },
    "must be an amount of data such as \"2 GB\" or \"500 MB\""
);

text!(
    /// A line of `authorized_keys` without options.
    SshKey,
    is_ssh_key,
    "must be a public SSH key: the line in a file that ends in .pub"
);

text!(
    /// A public key of WireGuard.
    WireKey,
    |text: &str| STANDARD.decode(text).is_ok_and(|key| key.len() == 32),
    "must be a WireGuard key: 44 characters of base64"
);

text!(
    /// An address with the length of its net, such as `10.0.0.7/24`.
    Net,
    |text: &str| {
        text.split_once('/').is_some_and(|(address, length)| {
            let bits = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.parse::<u8>().is_ok_and(|length| length <= bits)
        })
    },
    "must be an address and the length of its net, such as \"10.0.0.7/24\""
);

text!(
    /// Host and port.
    Endpoint,
    |text: &str| {
        text.rsplit_once(':').is_some_and(|(host, port)| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            !host.is_empty() && host.bytes().all(legal) && port.parse::<u16>().is_ok()
        })
    },
    "must be a host and a port, such as \"vpn.example.com:51820\""
);

text!(
    /// A file's place on the unit.
    AbsolutePath,
    is_place,
    "must be an absolute path without '.' and '..', not below /boot/firmware, /dev, /proc, /run, \
     /sys or /tmp, which do not keep a file or not to themselves"
);

text!(
    /// A file's mode in octal, such as `0600`.
    FileMode,
    |text: &str| text.len() == 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7')),
    "must be four octal digits such as \"0644\""
);

text!(
    /// A modem's number: 14 digits and one that checks them (3GPP TS 23.003
    /// §6.2.1, annex B).
    Imei,
    |text: &str| text.len() == 15 && is_luhn(text),
    "an IMEI is 15 digits, the last of which checks the others: is one mistyped?"
);

text!(
    /// A SIM's number, of 20 digits at most (ETSI TS 102 221 §13.2); not all issuers
    /// end it with a digit that checks the others.
    Iccid,
    |text: &str| (18..=20).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit()),
    "an ICCID is 18 to 20 digits"
);

text!(
    /// An Ethernet address, such as `dc:a6:32:00:11:22`.
    Mac,
    |text: &str| {
        let pair = |part: &str| part.len() == 2 && is_hex(part);
        text.split(':').count() == 6 && text.split(':').all(pair)
    },
    "an Ethernet address is six pairs of 0-9, a-f with ':' between them"
);

text!(
    /// A board's serial number, as the Pi's firmware puts it into the device tree.
    Serial,
    |text: &str| (1..=16).contains(&text.len()) && is_hex(text),
    "a board's serial number is 1 to 16 of 0-9, a-f"
);

text!(
    /// The token of a card, or its beginning.
    CardToken,
    |text: &str| (8..=32).contains(&text.len()) && is_hex(text),
    "a card's token is 8 to 32 of 0-9, a-f"
);

impl HostPattern {
    /// The host name of a unit.
    #[must_use]
    pub fn of(&self, id: &UnitId) -> String {
        self.0.replace("{id}", &id.0.to_ascii_lowercase())
    }
}

impl FileMode {
    /// The mode's bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        // The rule has read it the same way.
        u32::from_str_radix(&self.0, 8).unwrap_or(0o600)
    }
}

/// 3GPP TS 31.101 §9.5.1: four to eight digits.
#[must_use]
pub fn is_pin(text: &str) -> bool {
    (4..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_place(text: &str) -> bool {
    const ELSEWHERE: [&str; 6] = ["/boot/firmware", "/dev", "/proc", "/run", "/sys", "/tmp"];
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let below = |folder: &str| {
        text.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    text.starts_with('/')
        && text.len() > 1
        && text.split('/').skip(1).all(plain)
        && !text.contains(|it: char| it.is_control())
        && !ELSEWHERE.iter().any(|folder| below(folder))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Digits whose last one checks the others (ISO/IEC 7812-1 annex B).
fn is_luhn(text: &str) -> bool {
    let mut sum = 0;
    for (number, byte) in text.bytes().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(byte - b'0') * if number % 2 == 1 { 2 } else { 1 };
        sum += digit / 10 + digit % 10;
    }
    sum % 10 == 0
}

fn is_host(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// RFC 4253 §6.6: the blob begins with the kind of key as a string.
fn is_ssh_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else { return false };
    let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
    let Ok(blob) = STANDARD.decode(blob) else { return false };
    let length = blob.first_chunk::<4>().map(|it| u32::from_be_bytes(*it) as usize);
    let named = length.and_then(|length| blob.get(4..4 + length)) == Some(kind.as_bytes());
    known && named && blob.len() > 4 + kind.len() && !text.contains(|it: char| it.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_keep_a_file() {
        for (path, want) in [
            ("/etc/motd", true),
            ("/tmpfiles", true),
            ("/boot/other", true),
            ("/", false),
            ("etc/motd", false),
            ("/etc/../dev/sda", false),
            ("/etc//motd", false),
            ("/etc/motd/", false),
            ("/etc/mo\ntd", false),
            ("/tmp", false),
            ("/tmp/x", false),
            ("/boot/firmware/x", false),
        ] {
            assert_eq!(AbsolutePath::try_from(path.to_owned()).is_ok(), want, "{path}");
        }
    }

    #[test]
    fn numbers_of_hardware() {
        // A right one, with two digits swapped, and cut short.
        for (text, want) in
            [("490154203237518", true), ("490154203237581", false), ("49015420323751", false)]
        {
            assert_eq!(Imei::try_from(text.to_owned()).is_ok(), want, "{text}");
        }
        for text in ["dc:a6:32:00:11", "DC:A6:32:00:11:22", "dca6:32:00:11:22", ""] {
            Mac::try_from(text.to_owned()).unwrap_err();
        }
        for text in ["", "10000000ABCDEF01", "0x1", "10000000abcdef011"] {
            Serial::try_from(text.to_owned()).unwrap_err();
        }
        Iccid::try_from("8949020000123456789F".to_owned()).unwrap_err();
    }

    #[test]
    fn modes_are_four_octal_digits() {
        assert_eq!(FileMode::try_from("0640".to_owned()).unwrap().bits(), 0o640);
        for wrong in ["640", "+644", "0689", "00644", ""] {
            FileMode::try_from(wrong.to_owned()).unwrap_err();
        }
    }
}
