//! A unit's two files on the boot partition.
//!
//! `a7670e.toml` is what the device's service reads, laid under
//! `/etc/a7670e.toml`; `unit.toml` is all else, for the first boot.

use a7670e_unit::{
    AbsolutePath, CONFIG, Cellular, FileEntry, FileMode, Host, Identity, Plain, UNIT, UnitFile,
    WireGuard, is_pin,
};
use serde::Serialize;
use toml::Table;
use zeroize::Zeroizing;

use super::Unit;
use super::secret::{Revealed, SecretRef};
use crate::keys::{self, Pair, Public};

/// The files' names, in the order of [`Rendered::texts`].
pub const NAMES: [&str; 2] = [CONFIG, UNIT];

/// The files' texts, which may hold secrets, and what may be known of them.
#[derive(Debug)]
pub struct Rendered {
    /// In the order of [`NAMES`].
    pub texts: [Revealed; 2],
    /// The public halves of the unit's keys.
    pub keys: Public,
}

/// Writes the files of a unit; gets its secrets for that, and makes those keys
/// that are to be made, each time anew. `token` stands on this card only, so that
/// it can be told from all others.
///
/// # Errors
/// A secret cannot be had, or is not what it should be.
pub fn render(unit: &Unit, token: &str) -> Result<Rendered, String> {
    let config = text(&config(unit)?)?;
    let (identity, keys) = identity(unit, token)?;
    Ok(Rendered { texts: [config, text(&identity)?], keys })
}

fn text(file: &impl Serialize) -> Result<Revealed, String> {
    let head = "# Written by the flashing desk.\n";
    toml::to_string(file)
        .map(Zeroizing::new)
        .map(|text| Revealed::from([head, &text].concat()))
        .map_err(|error| format!("cannot be written as TOML: {error}"))
}

/// The text, filled up with empty lines to `len` bytes.
///
/// # Errors
/// It is longer.
pub fn padded(name: &str, text: &Revealed, len: u64) -> Result<Vec<u8>, String> {
    let text = text.reveal().as_bytes();
    let have = text.len() as u64;
    if have > len {
        return Err(format!("its {name} has {have} bytes, the image keeps {len} free for it"));
    }
    // Not longer than what was just compared, so it fits. It does not grow: that
    // would leave a copy in memory.
    let mut bytes = Vec::with_capacity(len as usize);
    bytes.extend_from_slice(text);
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

/// The pair of a key that is to be made, or else of the one that is given.
fn pair(
    name: &str,
    from: &SecretRef,
    make: impl FnOnce() -> Result<Pair, String>,
    read: fn(&str) -> Result<Pair, String>,
) -> Result<Pair, String> {
    let about = |why| format!("its {name}: {why}");
    match from {
        SecretRef::Make => make().map_err(about),
        given => given.reveal().and_then(|key| read(key.reveal())).map_err(about),
    }
}

/// By which names the unit's SSH server is asked for.
fn names(unit: &Unit) -> Vec<String> {
    let mut names: Vec<_> = unit.hostname().into_iter().collect();
    if let Some(wire) = &unit.values.wireguard {
        let addresses = wire.address.iter().filter_map(|net| net.as_str().split('/').next());
        names.extend(addresses.map(str::to_owned));
    }
    if names.is_empty() {
        names.push(unit.id.as_str().to_owned());
    }
    names
}

fn identity(unit: &Unit, token: &str) -> Result<(UnitFile, Public), String> {
    let values = &unit.values;
    let mut keys = Public::default();
    let mut wireguard = None;
    if let Some(from) = &values.wireguard {
        let (make, read) = (keys::make_wireguard_key, keys::read_wireguard_key);
        let Pair { private: private_key, public } =
            pair("wireguard.private_key", &from.private_key, make, read)?;
        keys.wireguard_key = Some(public);
        keys.made |= from.private_key == SecretRef::Make;
        let (address, peer) = (from.address.clone(), from.peer.clone());
        wireguard = Some(WireGuard { private_key, address, peer });
    }
    let mut files = Vec::new();
    if let Some(from) = &values.ssh_host_key {
        let names = names(unit);
        let make = || keys::make_host_key(&names[0]);
        let own = pair("ssh_host_key", from, make, keys::read_host_key)?;
        keys.host_key = Some(keys::known_host(&names, &own.public));
        keys.made |= *from == SecretRef::Make;
        files.push(file(keys::HOST_KEY, "0600", own.private.reveal().to_owned())?);
        let public = format!("{}\n", own.public);
        files.push(file(&format!("{}.pub", keys::HOST_KEY), "0644", public)?);
    }
    for file in &values.files {
        let content = file.content.reveal().map_err(|why| format!("its file {why}"))?;
        let mode = file.mode.clone();
        let content = content.reveal().to_owned();
        files.push(FileEntry { path: file.path.clone(), mode, content });
    }
    let hostname = unit.hostname().map(Host::try_from).transpose()?;
    let file = UnitFile {
        unit: Identity {
            id: Some(unit.id.clone()),
            card: Some(token.to_owned()),
            hostname,
            ssh_keys: values.ssh_keys.clone().unwrap_or_default(),
        },
        wireguard,
        files,
        values: values.values.clone().into_iter().collect(),
    };
    Ok((file, keys))
}

fn file(path: &str, mode: &str, content: String) -> Result<FileEntry, String> {
    let path = AbsolutePath::try_from(path.to_owned())?;
    let mode = Some(FileMode::try_from(mode.to_owned())?);
    Ok(FileEntry { path, mode, content })
}
