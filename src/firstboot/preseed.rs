//! `rpi-preseed.toml`, as Raspberry Pi Imager writes it (rpi-preseed 0.1,
//! configuration 1.1), and a `[cellular]` table of our own in it.

use a7670e_unit::{Cellular, Host, Secret, SshKey};
use serde::Deserialize;
use toml::Table;

use super::mistake::{Mistake, Text};
use super::wanted::{self, Account, Security, Wanted, Wifi};

/// The file's name.
pub const NAME: &str = "rpi-preseed.toml";

/// Tables that are read. Of the others it is told that they are not.
const KNOWN: [&str; 7] = ["config_version", "system", "user", "ssh", "wlan", "locale", "cellular"];

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Preseed {
    system: System,
    user: Option<User>,
    ssh: Ssh,
    wlan: Wlan,
    locale: Locale,
    cellular: Option<Cellular>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct System {
    hostname: Option<Host>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    password: Option<Secret>,
    #[serde(default)]
    password_encrypted: bool,
    #[serde(default)]
    passwordless_sudo: bool,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ssh {
    enabled: Option<bool>,
    password_authentication: bool,
    authorized_keys: Vec<SshKey>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wlan {
    ssid: Option<String>,
    ssid_hex: Option<String>,
    password: Option<Secret>,
    hidden: bool,
    country: Option<String>,
    key_mgmt: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Locale {
    keymap: Option<String>,
    keymap_model: Option<String>,
    timezone: Option<String>,
    lang: Option<String>,
}

/// Adds what the file wants.
///
/// # Errors
/// The first mistake in what is read of it.
pub fn read(text: &Text, to: &mut Wanted) -> Result<(), Mistake> {
    let all: Table = text.toml()?;
    for name in all.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        to.notes.push(format!("[{name}] of {NAME} is not carried out"));
    }
    let Preseed { system, user, ssh, wlan, locale, cellular } = text.toml()?;
    to.hostname = system.hostname;
    match user {
        Some(user) => to.accounts.push(account(text, user, ssh.authorized_keys)?),
        None => to.keys = ssh.authorized_keys,
    }
    if ssh.password_authentication {
        to.notes.push("logging in through SSH stays by key only".into());
    }
    if ssh.enabled == Some(false) {
        to.notes.push("SSH stays on, by key only".into());
    }
    network(text, wlan, to)?;
    let words = [
        ("locale.keymap", &locale.keymap),
        ("locale.keymap_model", &locale.keymap_model),
        ("locale.timezone", &locale.timezone),
        ("locale.lang", &locale.lang),
    ];
    for (field, word) in words {
        if word.as_ref().is_some_and(|word| !wanted::is_word(word)) {
            return Err(text.field(field, "cannot be: letters, digits and / _ + - . only"));
        }
    }
    let model = locale.keymap_model.unwrap_or_else(|| "pc105".into());
    to.keyboard = locale.keymap.map(|layout| (model, layout));
    to.time_zone = locale.timezone;
    to.locale = locale.lang;
    if let Some(cellular) = cellular {
        cellular.check().map_err(|(field, says)| text.field(field, says))?;
        cellular.check_secrets().map_err(|(field, says)| text.field(field, says))?;
        let own = toml::to_string(&cellular.service_table())
            .map_err(|_| text.field("cellular", "cannot be written for the service"))?;
        wanted::take_service(text, "cellular", &own, to)?;
    }
    Ok(())
}

fn account(text: &Text, user: User, keys: Vec<SshKey>) -> Result<Account, Mistake> {
    if !wanted::is_login(&user.name) {
        let says = "is no login name: a-z first, then up to 31 of a-z, 0-9, '-', '_'";
        return Err(text.field("user.name", says));
    }
    if let Some(password) = &user.password {
        if !user.password_encrypted {
            let says = "stands here in clear text: write what `openssl passwd -6` prints, and \
                        password_encrypted = true";
            return Err(text.field("user.password", says));
        }
        if !wanted::is_hash(password.reveal()) {
            return Err(text.field("user.password", "is no hash as `openssl passwd -6` prints it"));
        }
    }
    if !user.groups.iter().all(|group| wanted::is_login(group)) {
        return Err(text.field("user.groups", "has a name that no group can have"));
    }
    let User { name, password, groups, passwordless_sudo: sudo, .. } = user;
    Ok(Account { name, password, groups, sudo, keys })
}

fn network(text: &Text, wlan: Wlan, to: &mut Wanted) -> Result<(), Mistake> {
    if let Some(country) = &wlan.country {
        let two = wanted::country(country);
        let two = two.ok_or_else(|| text.field("wlan.country", "must be two letters: \"GB\""))?;
        to.country = Some(two);
    }
    let ssid = match (&wlan.ssid, &wlan.ssid_hex) {
        (Some(ssid), _) => ssid.clone().into_bytes(),
        (None, Some(hex)) => {
            octets(hex).ok_or_else(|| text.field("wlan.ssid_hex", "must be pairs of hex digits"))?
        }
        (None, None) => return Ok(()),
    };
    let field = if wlan.ssid.is_some() { "wlan.ssid" } else { "wlan.ssid_hex" };
    if !(1..=32).contains(&ssid.len()) {
        return Err(text.field(field, "must have 1 to 32 octets"));
    }
    let kind = wlan.key_mgmt.as_deref();
    let security = match (kind, wlan.password) {
        (None | Some("none"), None) => Security::Open,
        (Some("owe"), None) => Security::Owe,
        (Some("wpa-psk" | "sae"), None) => {
            return Err(text.field("wlan.key_mgmt", "needs wlan.password: set that too"));
        }
        (None | Some("wpa-psk"), Some(password)) => Security::Psk(password),
        (Some("sae"), Some(password)) => Security::Sae(password),
        (Some("none" | "owe"), Some(_)) => {
            return Err(text.field("wlan.password", "does not fit an open network: leave it out"));
        }
        (Some(_), _) => {
            let says = "is unknown: write none, owe, wpa-psk or sae";
            return Err(text.field("wlan.key_mgmt", says));
        }
    };
    if let Security::Psk(password) | Security::Sae(password) = &security {
        if !wanted::is_psk(password.reveal()) {
            let says = "must be 8 to 63 printable ASCII characters, or 64 hex digits";
            return Err(text.field("wlan.password", says));
        }
    }
    to.wifi = Some(Wifi { ssid, hidden: wlan.hidden, security });
    Ok(())
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|it| it.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
