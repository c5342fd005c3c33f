//! What a unit may be given, and the rules for each value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::secret::SecretRef;

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
    |text: &str| {
        let plain = text.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
        text.starts_with('/') && text.len() > 1 && plain && !text.contains(|it: char| it.is_control())
    },
    "must be an absolute path without '.' and '..'"
);

text!(
    /// A file's mode in octal, such as `0600`.
    FileMode,
    |text: &str| text.len() == 4 && u32::from_str_radix(text, 8).is_ok(),
    "must be four octal digits such as \"0644\""
);

/// What a unit is given. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Values {
    /// Host name.
    pub hostname: Option<HostPattern>,
    /// Who may log in.
    pub ssh_keys: Option<Vec<SshKey>>,
    /// SIM, access point, networks.
    pub cellular: Cellular,
    /// A tunnel.
    pub wireguard: Option<WireGuard>,
    /// Files to be put onto the unit.
    pub files: Vec<FileValue>,
    /// Anything else, for the product's own programs.
    pub values: BTreeMap<String, toml::Value>,
}

/// `cellular`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cellular {
    /// Access point name; looked up by the SIM when left out.
    pub apn: Option<Plain>,
    /// User there.
    pub user: Option<Plain>,
    /// Password there.
    pub password: Option<SecretRef>,
    /// How to authenticate.
    pub auth: Option<Auth>,
    /// The SIM's PIN.
    pub pin: Option<SecretRef>,
    /// Whether data may flow abroad.
    pub roaming: Option<Roaming>,
    /// Networks to use.
    pub modes: Option<Modes>,
    /// Most data in a month.
    pub budget: Option<Amount>,
    /// Metric of the default route.
    pub metric: Option<u32>,
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Auth {
    Auto,
    None,
    Pap,
    Chap,
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Roaming {
    Deny,
    Allow,
}

/// As in `/etc/a7670e.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of docs/a7670e.example.toml")]
pub enum Modes {
    Auto,
    Lte,
    Gsm,
}

/// `wireguard`: one interface with one peer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireGuard {
    /// The unit's own key.
    pub private_key: SecretRef,
    /// Its addresses in the tunnel.
    pub address: Vec<Net>,
    /// The other end.
    pub peer: Peer,
}

/// The other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its key.
    pub public_key: WireKey,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// What is reached through it.
    pub allowed_ips: Vec<Net>,
    /// Seconds between two packets that keep the way open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<u16>,
}

/// A file on the unit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileValue {
    /// Where.
    pub path: AbsolutePath,
    /// What is in it.
    pub content: SecretRef,
    /// Its mode; 0644 when left out.
    pub mode: Option<FileMode>,
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

impl HostPattern {
    /// The host name of a unit.
    #[must_use]
    pub fn of(&self, id: &UnitId) -> String {
        self.0.replace("{id}", &id.0.to_ascii_lowercase())
    }
}

impl Values {
    /// Lays these values over `under`.
    #[must_use]
    pub fn over(self, under: &Self) -> Self {
        let mut values = under.values.clone();
        values.extend(self.values);
        // The unit's file of the same name takes the default's place.
        let mut files: Vec<_> = under.files.clone();
        files.retain(|file| self.files.iter().all(|own| own.path != file.path));
        files.extend(self.files);
        let (own, base) = (self.cellular, under.cellular.clone());
        Self {
            hostname: self.hostname.or_else(|| under.hostname.clone()),
            ssh_keys: self.ssh_keys.or_else(|| under.ssh_keys.clone()),
            cellular: Cellular {
                apn: own.apn.or(base.apn),
                user: own.user.or(base.user),
                password: own.password.or(base.password),
                auth: own.auth.or(base.auth),
                pin: own.pin.or(base.pin),
                roaming: own.roaming.or(base.roaming),
                modes: own.modes.or(base.modes),
                budget: own.budget.or(base.budget),
                metric: own.metric.or(base.metric),
            },
            wireguard: self.wireguard.or_else(|| under.wireguard.clone()),
            files,
            values,
        }
    }

    /// Takes paths of secrets' files as relative to `base`; gives all of them.
    pub(super) fn beside(&mut self, base: &Path) -> Vec<PathBuf> {
        let cellular = &mut self.cellular;
        let wire = self.wireguard.as_mut().map(|it| &mut it.private_key);
        let secrets = [cellular.pin.as_mut(), cellular.password.as_mut(), wire];
        let contents = self.files.iter_mut().map(|file| &mut file.content);
        let mut paths = Vec::new();
        for secret in secrets.into_iter().flatten().chain(contents) {
            if let SecretRef::File(path) = secret {
                *path = base.join(&*path);
                paths.push(path.clone());
            }
        }
        paths
    }

    /// Checks what no value shows by itself; the error says in which field.
    pub(super) fn check(&self, id: &UnitId) -> Result<(), (&'static str, String)> {
        let within = |field: &'static str| move |message: String| (field, message);
        if let Some(pattern) = &self.hostname {
            let name = pattern.of(id);
            if !is_host(&name) {
                let message = format!(
                    "its host name would be {name:?}, which cannot be: 1 to 63 of a-z, 0-9, '-'"
                );
                return Err(("hostname", message));
            }
        }
        let cellular = &self.cellular;
        let needs_apn = if cellular.user.is_some() {
            Some("cellular.user")
        } else {
            cellular.password.as_ref().map(|_| "cellular.password")
        };
        if let Some(field) = needs_apn.filter(|_| cellular.apn.is_none()) {
            let message = "it has a user or password but no cellular.apn: set that too";
            return Err((field, message.into()));
        }
        if matches!(cellular.auth, Some(Auth::Pap | Auth::Chap)) && cellular.user.is_none() {
            let message = "its cellular.auth needs cellular.user: set that too";
            return Err(("cellular.auth", message.into()));
        }
        if let Some(pin) = &cellular.pin {
            let done = pin.check("cellular.pin", is_pin, "must be four to eight digits");
            done.map_err(within("cellular.pin"))?;
        }
        if let Some(password) = &cellular.password {
            let plain = |text: &str| Plain::try_from(text.to_owned()).is_ok();
            let says = "must be plain ASCII without a quote";
            let done = password.check("cellular.password", plain, says);
            done.map_err(within("cellular.password"))?;
        }
        if let Some(wire) = &self.wireguard {
            let key = |text: &str| WireKey::try_from(text.to_owned()).is_ok();
            let field = "wireguard.private_key";
            let done = wire.private_key.check(field, key, "must be a WireGuard key");
            done.map_err(within(field))?;
        }
        for file in &self.files {
            let done = file.content.check(file.path.as_str(), |_| true, "");
            done.map_err(within("files"))?;
        }
        Ok(())
    }
}

/// 3GPP TS 31.101 §9.5.1: four to eight digits.
pub(super) fn is_pin(text: &str) -> bool {
    (4..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
