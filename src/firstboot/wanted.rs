//! What the boot partition's files together want of the device. Pure.
//!
//! Raspberry Pi Imager's files lie under the desk's: what `unit.toml` says of
//! the same thing counts.

use std::path::Path;

use a7670e_unit::{FileEntry, Host, Secret, SshKey, UnitFile, UnitId, WireGuard};
use toml::Table;

use super::mistake::{Mistake, Text};
use super::{cloud, preseed};
use crate::config::{self, ConfigError, SecretValue};

/// The files, the weakest first.
pub const NAMES: [&str; 5] = [
    preseed::NAME,
    cloud::USER_DATA,
    cloud::NETWORK_CONFIG,
    a7670e_unit::CONFIG,
    a7670e_unit::UNIT,
];

/// All of it. Secrets show themselves to nobody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The unit's name in the desk's records.
    pub id: Option<UnitId>,
    /// The card's token in the desk's records.
    pub card: Option<String>,
    /// Whether both are from the last first boot, as no file names a unit.
    pub kept: bool,
    /// Host name.
    pub hostname: Option<Host>,
    /// Keys of the person whom the image has, or else of root.
    pub keys: Vec<SshKey>,
    /// People to be there.
    pub accounts: Vec<Account>,
    /// A tunnel.
    pub wireguard: Option<WireGuard>,
    /// A wireless network.
    pub wifi: Option<Wifi>,
    /// Where the Pi is, for the wireless channels: two letters.
    pub country: Option<String>,
    /// Files.
    pub files: Vec<FileEntry>,
    /// For the product's own programs.
    pub values: Table,
    /// What the service reads under `/etc/a7670e.toml`.
    pub service: Option<Secret>,
    /// A time zone, such as `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// Model and layout of the keyboard.
    pub keyboard: Option<(String, String)>,
    /// Language, such as `en_GB.UTF-8`.
    pub locale: Option<String>,
    /// What is there and is not done.
    pub notes: Vec<String>,
}

/// A person with a login.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// The password's hash (crypt(5)); nobody gets in by password without one.
    pub password: Option<Secret>,
    /// Further groups.
    pub groups: Vec<String>,
    /// May become root without a password.
    pub sudo: bool,
    /// Who may log in.
    pub keys: Vec<SshKey>,
}

/// A wireless network.
#[derive(Clone, Debug, PartialEq)]
pub struct Wifi {
    /// Its name, in octets.
    pub ssid: Vec<u8>,
    /// Whether it does not tell its name.
    pub hidden: bool,
    /// How to get in.
    pub security: Security,
}

/// How to get into a wireless network.
#[derive(Clone, Debug, PartialEq)]
pub enum Security {
    /// By nothing.
    Open,
    /// By nothing, but encrypted (RFC 8110).
    Owe,
    /// By a passphrase or 64 hexadecimal digits.
    Psk(Secret),
    /// By WPA3's exchange of a passphrase.
    Sae(Secret),
}

/// Reads and checks all of the files, which are in the order of [`NAMES`].
///
/// # Errors
/// The first mistake. Nothing of a unit is taken when a part of it is wrong.
pub fn read(texts: &[Text]) -> Result<Wanted, Mistake> {
    let mut wanted = Wanted::default();
    for text in texts {
        match text.name {
            preseed::NAME => preseed::read(text, &mut wanted)?,
            cloud::USER_DATA => cloud::user_data(text, &mut wanted)?,
            cloud::NETWORK_CONFIG => cloud::network_config(text, &mut wanted)?,
            a7670e_unit::CONFIG => service(text, &mut wanted)?,
            _ => unit(text, &mut wanted)?,
        }
    }
    Ok(wanted)
}

fn unit(text: &Text, wanted: &mut Wanted) -> Result<(), Mistake> {
    let UnitFile { unit, wireguard, files, values } = text.toml()?;
    if let Some(wire) = &wireguard {
        let key = wire.private_key.reveal().to_owned();
        a7670e_unit::WireKey::try_from(key)
            .map_err(|says| text.field("wireguard.private_key", says))?;
        if wire.address.is_empty() {
            return Err(text.field("wireguard.address", "names no address; give one"));
        }
    }
    wanted.id = unit.id;
    wanted.card = unit.card;
    wanted.hostname = unit.hostname.or(wanted.hostname.take());
    wanted.keys.extend(unit.ssh_keys);
    wanted.wireguard = wireguard;
    wanted.files = files;
    wanted.values = values;
    Ok(())
}

fn service(text: &Text, wanted: &mut Wanted) -> Result<(), Mistake> {
    take_service(text, "", &text.text, wanted)
}

/// Takes what is for the service when its own reader takes it. `field` says
/// where it stands in `text`, when that is not all of it.
pub fn take_service(
    text: &Text,
    field: &str,
    own: &str,
    wanted: &mut Wanted,
) -> Result<(), Mistake> {
    let found = config::parse(Path::new(text.name), own).map_err(|error| match error {
        ConfigError::Wrong { line, column, message, .. } if field.is_empty() => {
            text.line(line, column, message)
        }
        ConfigError::Wrong { message, .. } => text.field(field, &message),
        other => text.line(1, 1, other.to_string()),
    })?;
    if let Some(SecretValue::Inline(pin)) = &found.modem.pin {
        if !a7670e_unit::is_pin(pin.reveal()) {
            return Err(text.field("modem.pin", "must be four to eight digits"));
        }
    }
    if wanted.service.is_some() {
        let says = format!("{} has a [cellular] table as well: keep one of the two", preseed::NAME);
        return Err(text.line(1, 1, says));
    }
    // Without the room that the desk leaves behind it.
    wanted.service = Some(Secret::from(own.trim_end().to_owned() + "\n"));
    Ok(())
}

/// A login name, as useradd(8) takes it.
pub fn is_login(name: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=32).contains(&name.len())
        && name.bytes().all(legal)
        && name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_')
}

/// A password's hash: `$id$…` of the characters in crypt(5).
pub fn is_hash(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"./$=,-+".contains(&byte);
    let kinds = ["$y$", "$gy$", "$7$", "$6$", "$5$", "$2b$"];
    text.len() <= 256 && text.bytes().all(legal) && kinds.iter().any(|kind| text.starts_with(kind))
}

/// A passphrase of 8 to 63 printable ASCII characters, or a key of 64
/// hexadecimal digits (IEEE 802.11-2020, J.4.1).
pub fn is_psk(text: &str) -> bool {
    let key = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    key || (8..=63).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A country's two letters (ISO 3166-1), in capitals.
pub fn country(text: &str) -> Option<String> {
    let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    two.then(|| text.to_ascii_uppercase())
}

/// A word that can stand in a file of settings: a zone, a layout, a language.
pub fn is_word(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-.@,".contains(&byte);
    (1..=64).contains(&text.len())
        && text.bytes().all(legal)
        && !text.starts_with('/')
        && !text.contains("..")
}
