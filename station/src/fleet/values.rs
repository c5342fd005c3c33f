//! What a unit may be given. The rules of each value are the device's too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use a7670e_unit::{
    AbsolutePath, FileMode, Host, HostPattern, Peer, Plain, SshKey, UnitId, WireKey, is_pin,
};
use serde::Deserialize;

use super::secret::SecretRef;
use crate::keys;

/// What a unit is given. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Values {
    /// Host name.
    pub hostname: Option<HostPattern>,
    /// Who may log in.
    pub ssh_keys: Option<Vec<SshKey>>,
    /// By which the unit's own SSH server is known.
    pub ssh_host_key: Option<SecretRef>,
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
pub type Cellular = a7670e_unit::Cellular<SecretRef>;

/// `wireguard`: one interface with one peer.
pub type WireGuard = a7670e_unit::WireGuard<SecretRef>;

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
            ssh_host_key: self.ssh_host_key.or_else(|| under.ssh_host_key.clone()),
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
        let host = self.ssh_host_key.as_mut();
        let secrets = [cellular.pin.as_mut(), cellular.password.as_mut(), wire, host];
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
            if Host::try_from(name.clone()).is_err() {
                let message = format!(
                    "its host name would be {name:?}, which cannot be: 1 to 63 of a-z, 0-9, '-'"
                );
                return Err(("hostname", message));
            }
        }
        let cellular = &self.cellular;
        cellular.check().map_err(|(field, message)| (field, message.to_owned()))?;
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
            if wire.private_key != SecretRef::Make {
                let done = wire.private_key.check(field, key, "must be a WireGuard key");
                done.map_err(within(field))?;
            }
        }
        if let Some(key) = &self.ssh_host_key {
            let field = "ssh_host_key";
            if *key != SecretRef::Make {
                let right = |text: &str| keys::read_host_key(text).is_ok();
                let says = "must be a private key of Ed25519 without a passphrase, as `ssh-keygen \
                            -t ed25519 -N ''` makes it";
                key.check(field, right, says).map_err(within(field))?;
            }
            let own = |file: &&FileValue| file.path.as_str().starts_with(keys::HOST_KEY);
            if let Some(file) = self.files.iter().find(own) {
                let path = file.path.as_str();
                return Err((field, format!("gives the unit {path}, and so does `files`")));
            }
        }
        for file in &self.files {
            let done = file.content.check(file.path.as_str(), |_| true, "");
            done.map_err(within("files"))?;
        }
        Ok(())
    }
}
