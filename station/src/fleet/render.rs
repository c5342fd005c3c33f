//! A unit's two files on the boot partition.
//!
//! `a7670e.toml` is what the device's service reads, laid under
//! `/etc/a7670e.toml`; `unit.toml` is all else, for the first boot.

use a7670e_unit::{
    CONFIG, Cellular, FileEntry, Host, Identity, Plain, UNIT, UnitFile, WireGuard, WireKey, is_pin,
};
use serde::Serialize;
use toml::Table;

use super::Unit;
use super::secret::{Revealed, SecretRef};

/// The files' names, in the order of [`Rendered::texts`].
pub const NAMES: [&str; 2] = [CONFIG, UNIT];

/// The files' texts, which may hold secrets.
#[derive(Debug)]
pub struct Rendered {
    /// In the order of [`NAMES`].
    pub texts: [Revealed; 2],
}

/// Writes the files of a unit; gets its secrets for that. `token` stands on
/// this card only, so that it can be told from all others.
///
/// # Errors
/// A secret cannot be had, or is not what it should be.
pub fn render(unit: &Unit, token: &str) -> Result<Rendered, String> {
    Ok(Rendered { texts: [text(&config(unit)?)?, text(&identity(unit, token)?)?] })
}

fn text(file: &impl Serialize) -> Result<Revealed, String> {
    let head = "# Written by the flashing desk.\n";
    toml::to_string(file)
        .map(|text| Revealed::from(format!("{head}{text}")))
        .map_err(|error| format!("cannot be written as TOML: {error}"))
}

/// The text, filled up with empty lines to `len` bytes.
///
/// # Errors
/// It is longer.
pub fn padded(name: &str, text: &Revealed, len: u64) -> Result<Vec<u8>, String> {
    let mut bytes = text.reveal().as_bytes().to_vec();
    let have = bytes.len() as u64;
    if have > len {
        return Err(format!("its {name} has {have} bytes, the image keeps {len} free for it"));
    }
    // Not longer than what was just compared, so it fits.
    bytes.resize(len as usize, b'\n');
    Ok(bytes)
}

/// A secret, when it can be had and fits its rule.
fn secret(
    name: &str,
    secret: Option<&SecretRef>,
    rule: fn(&str) -> bool,
) -> Result<Option<Revealed>, String> {
    let Some(secret) = secret else { return Ok(None) };
    let secret = secret.reveal().map_err(|why| format!("its {name}: {why}"))?;
    if !rule(secret.reveal()) {
        return Err(format!("its {name} is not what it should be"));
    }
    Ok(Some(secret))
}

/// In the form of `docs/a7670e.example.toml`.
fn config(unit: &Unit) -> Result<Table, String> {
    let from = &unit.values.cellular;
    let plain = |text: &str| Plain::try_from(text.to_owned()).is_ok();
    let cellular: Cellular = Cellular {
        apn: from.apn.clone(),
        user: from.user.clone(),
        password: secret("password", from.password.as_ref(), plain)?,
        auth: from.auth,
        pin: secret("pin", from.pin.as_ref(), is_pin)?,
        roaming: from.roaming,
        modes: from.modes,
        budget: from.budget.clone(),
        metric: from.metric,
    };
    Ok(cellular.service_table())
}

fn identity(unit: &Unit, token: &str) -> Result<UnitFile, String> {
    let values = &unit.values;
    let key = |text: &str| WireKey::try_from(text.to_owned()).is_ok();
    let wireguard = match &values.wireguard {
        None => None,
        Some(from) => {
            let own = secret("private_key", Some(&from.private_key), key)?;
            own.map(|private_key| WireGuard {
                private_key,
                address: from.address.clone(),
                peer: from.peer.clone(),
            })
        }
    };
    let mut files = Vec::new();
    for file in &values.files {
        let content = file.content.reveal().map_err(|why| format!("its file {why}"))?;
        let mode = file.mode.clone();
        let content = content.reveal().to_owned();
        files.push(FileEntry { path: file.path.clone(), mode, content });
    }
    let hostname = unit.hostname().map(Host::try_from).transpose()?;
    Ok(UnitFile {
        unit: Identity {
            id: Some(unit.id.clone()),
            card: Some(token.to_owned()),
            hostname,
            ssh_keys: values.ssh_keys.clone().unwrap_or_default(),
        },
        wireguard,
        files,
        values: values.values.clone().into_iter().collect(),
    })
}
