//! Reading the files, and turning what they say into what the modules take.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::place;
use super::recovery::UsbPower;
use super::schema::{Config, Control, DataPath, Dns, NetworkBy, PdpType, UsbMode};
use super::secret::SecretValue;
use super::values::{AuthChoice, Roaming};
use crate::modem::apn;
use crate::modem::machine::{Access, Auth, CellularSettings, Providers, Secret, Source};

/// Longest configuration file, bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A place in a file is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A file with a secret may be read by others.
    #[error("{}: others may read this secret; run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    /// A file has no secret.
    #[error(
        "{}: must hold one line of 1 to 100 printable ASCII characters without a quote",
        .0.display()
    )]
    NoSecret(PathBuf),
    /// A PIN is none.
    #[error("`modem.pin`: must be four to eight digits")]
    BadPin,
    /// The key for commands is too short.
    #[error("`sms.commands.key`: must have {KEY_CHARACTERS} characters at least")]
    ShortKey,
}

/// Parses one file's text; `path` is for errors. Pure.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| wrong(path, text, error.span(), error.message()))
}

/// Reads the configuration and the provisioning file. One that is not there
/// says nothing.
///
/// # Errors
/// A file cannot be read, or says what cannot be.
pub fn load(config: &Path, provisioning: &Path) -> Result<Config, ConfigError> {
    Ok(read(config, provisioning)?.0)
}

/// A file with its text.
type Text<'a> = (&'a Path, String);

/// The configuration and the texts that it comes from, the weakest first.
fn read<'a>(
    config: &'a Path,
    provisioning: &'a Path,
) -> Result<(Config, Vec<Text<'a>>), ConfigError> {
    let mut merged = Table::new();
    let mut texts = Vec::new();
    for path in [provisioning, config] {
        let Some(text) = text(path)? else { continue };
        parse(path, &text)?;
        let table: Table = toml::from_str(&text)
            .map_err(|error| wrong(path, &text, error.span(), error.message()))?;
        overlay(&mut merged, table);
        texts.push((path, text));
    }
    // Each part was valid by itself, so this can only fail on what no value by
    // itself can show; there is none today.
    let whole: Config =
        merged.try_into().map_err(|error| wrong(config, "", None, error.message()))?;
    let cellular = &whole.cellular;
    let (user, password) = (cellular.user.is_some(), cellular.password.is_some());
    let needs_user = matches!(cellular.auth, AuthChoice::Pap | AuthChoice::Chap);
    let recovery = &whole.recovery;
    let twice = recovery.power_gpio.is_some() && recovery.usb_power != UsbPower::Off;
    let network = &whole.network;
    let managed = network.by == NetworkBy::NetworkManager;
    let keeper = matches!(network.dns, Dns::Resolved | Dns::ResolvConf);
    let gsm = network.gsm_profile && !managed;
    let ppp = whole.modem.data == DataPath::Ppp;
    let direct = whole.modem.control == Control::Direct;
    for (clash, field, message) in [
        (
            managed && keeper,
            "network.dns",
            "is NetworkManager's affair; write \"auto\" or \"none\"",
        ),
        (gsm, "network.gsm_profile", "needs `by = \"networkmanager\"`; set it"),
        (
            ppp && direct,
            "modem.data",
            "\"ppp\" is dialled through ModemManager; write `control = \"modemmanager\"` too",
        ),
        (
            ppp && !managed,
            "modem.data",
            "\"ppp\" is dialled by NetworkManager; write `by = \"networkmanager\"` in [network] too",
        ),
        (
            ppp && cellular.pdp_type == PdpType::Ipv6,
            "cellular.pdp_type",
            "leaves PPP without the IPv4 address by which it is proven; write \"ip\" or \"ipv4v6\"",
        ),
        (user && cellular.apn.is_none(), "cellular.user", "needs `apn` too; set it"),
        (password && cellular.apn.is_none(), "cellular.password", "needs `apn` too; set it"),
        (twice, "recovery.power_gpio", "cuts the power as `usb_power` does; keep one of them"),
        (needs_user && !user, "cellular.auth", "needs `user` too; set it, or write \"auto\""),
    ] {
        if clash {
            return Err(wrong_field(&texts, config, field, message));
        }
    }
    Ok((whole, texts))
}

/// Checks everything that [`load`] and the start of the service would.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config: &Path, provisioning: &Path) -> Result<Config, ConfigError> {
    let (whole, texts) = read(config, provisioning)?;
    match whole.cellular_settings().and_then(|_| whole.command_key()) {
        Ok(_) => Ok(whole),
        Err(ConfigError::ShortKey) => {
            let message = format!("must have {KEY_CHARACTERS} characters at least");
            Err(wrong_field(&texts, config, "sms.commands.key", &message))
        }
        // Here, unlike later, it is known where it stands.
        Err(ConfigError::BadPin) => {
            Err(wrong_field(&texts, config, "modem.pin", "must be four to eight digits"))
        }
        Err(other) => Err(other),
    }
}

impl Config {
    /// What the modem's machine takes; reads the files that secrets are in.
    ///
    /// # Errors
    /// A secret cannot be read, may be read by others, or is none.
    pub fn cellular_settings(&self) -> Result<CellularSettings, ConfigError> {
        let pin = self.modem.pin.as_ref().map(SecretValue::reveal).transpose()?;
        let is_pin =
            |pin: &str| (4..=8).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
        if pin.as_ref().is_some_and(|pin| !is_pin(pin.reveal())) {
            return Err(ConfigError::BadPin);
        }
        let cellular = &self.cellular;
        let password =
            cellular.password.as_ref().map(SecretValue::reveal).transpose()?.unwrap_or_default();
        let user = cellular.user.as_ref().map_or("", |user| user.as_str());
        let kinds: &[Auth] = match cellular.auth {
            AuthChoice::Auto if user.is_empty() => &[Auth::None],
            AuthChoice::Auto => &[Auth::Pap, Auth::Chap],
            AuthChoice::None => &[Auth::None],
            AuthChoice::Pap => &[Auth::Pap],
            AuthChoice::Chap => &[Auth::Chap],
        };
        let access = cellular.apn.iter().flat_map(|apn| {
            kinds.iter().map(|auth| Access {
                apn: apn.as_str().to_owned(),
                user: user.to_owned(),
                password: password.clone(),
                auth: *auth,
                source: Source::Config,
            })
        });
        Ok(CellularSettings {
            pin,
            access: access.collect(),
            pdp_type: match cellular.pdp_type {
                PdpType::Ip => "IP",
                PdpType::Ipv6 => "IPV6",
                PdpType::Ipv4v6 => "IPV4V6",
            }
            .to_owned(),
            roaming: cellular.roaming == Roaming::Allow,
            modes: cellular.modes,
            operator: cellular.operator.as_ref().map(|operator| operator.as_str().to_owned()),
            bands: cellular.bands.map(|bands| (bands.gsm, bands.lte)),
            usb_mode: match self.modem.usb_mode {
                UsbMode::Keep => None,
                UsbMode::Rndis => Some(0),
                UsbMode::Ecm => Some(1),
            },
            host_dials: self.modem.data == DataPath::Ppp,
        })
    }
}

/// The provider database in a file, looked up when a SIM is known.
#[derive(Debug, Clone)]
pub struct ProviderFile(pub PathBuf);

impl Default for ProviderFile {
    /// Where Debian's `mobile-broadband-provider-info` has it.
    fn default() -> ProviderFile {
        ProviderFile("/usr/share/mobile-broadband-provider-info/serviceproviders.xml".into())
    }
}

impl Providers for ProviderFile {
    fn lookup(&self, mcc: &str, mnc: &str) -> Vec<Access> {
        match fs::read_to_string(&self.0) {
            Ok(xml) => apn::lookup(&xml, mcc, mnc),
            Err(error) => {
                tracing::warn!("{}: {error}; set `cellular.apn` instead", self.0.display());
                Vec::new()
            }
        }
    }
}

/// Fewest characters of the key for commands by text message: 16 letters and
/// digits at random have 95 bits. A short code that somebody recorded lets keys be
/// tried at leisure.
const KEY_CHARACTERS: usize = 16;

impl Config {
    /// The key for commands by text message; `None` when there are none.
    ///
    /// # Errors
    /// It cannot be read, may be read by others, or is too short.
    pub fn command_key(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(commands) = &self.sms.commands else { return Ok(None) };
        let key = commands.key.reveal()?;
        if key.reveal().len() < KEY_CHARACTERS {
            return Err(ConfigError::ShortKey);
        }
        Ok(Some(key))
    }
}

impl SecretValue {
    /// The secret, read from its file if it is in one.
    ///
    /// # Errors
    /// The file cannot be read, may be read by others, or has none.
    pub fn reveal(&self) -> Result<Secret, ConfigError> {
        let path = match self {
            SecretValue::Inline(secret) => return Ok(secret.clone()),
            SecretValue::File(path) => path,
        };
        let unreadable = |error| ConfigError::Unreadable { path: path.clone(), error };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.mode() & 0o077 != 0 {
            return Err(ConfigError::Exposed(path.clone()));
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
        let text = text.trim();
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
        if text.is_empty() || text.len() > 100 || !plain {
            return Err(ConfigError::NoSecret(path.clone()));
        }
        Ok(Secret::new(text))
    }
}

fn text(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(io::Error::other("it is over 64 KiB, so it is no configuration")));
    }
    Ok(Some(text))
}

/// Lays `upper` over `lower`, table by table. A secret is one value: its forms
/// do not mix.
fn overlay(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        let secret = super::is_secret(&key);
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) if !secret => overlay(under, over),
            (_, value) => _ = lower.insert(key, value),
        }
    }
}

/// What is wrong with a field, in the file that has the last word on it.
fn wrong_field(texts: &[Text], config: &Path, field: &str, message: &str) -> ConfigError {
    let place = texts
        .iter()
        .rev()
        .find_map(|(path, text)| Some((*path, text.as_str(), place::offset_of(text, field)?)));
    match place {
        Some((path, text, at)) => wrong(path, text, Some(at..at), message),
        None => wrong(config, "", None, &format!("`{field}`: {message}")),
    }
}

fn wrong(path: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> ConfigError {
    let start = span.map_or(0, |span| span.start);
    let (line, column) = a7670e_unit::place(text, start);
    let message = match place::field_at(text, start) {
        Some(field) => format!("`{field}`: {message}"),
        None => message.to_owned(),
    };
    ConfigError::Wrong { path: path.to_owned(), line, column, message }
}
