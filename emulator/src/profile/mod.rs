//! What one model of modem is like, as data: a TOML file per profile.
//!
//! A profile may name a `base`; its own tables are laid over the base's key by
//! key, lists replace lists, and the dotted keys listed in `without` are taken
//! out of the base first.

mod unit;
mod usb;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

pub use unit::{AtTraits, Cell, Identity, SimCard, Timing};
pub use usb::{
    Association, Endpoint, EndpointKind, Interface, NetworkFunction, Role, Usb, UsbString,
};

use crate::link::Framing;

/// The profiles that come with the emulator: name, text.
const EMBEDDED: &[(&str, &str)] = &[
    ("a7670e-ecm", include_str!("../../profiles/a7670e-ecm.toml")),
    ("a7670e-ecm-if3", include_str!("../../profiles/a7670e-ecm-if3.toml")),
    ("a7670e-lnxy", include_str!("../../profiles/a7670e-lnxy.toml")),
    ("a7670e-rndis", include_str!("../../profiles/a7670e-rndis.toml")),
    ("sim7600-ndis", include_str!("../../profiles/sim7600-ndis.toml")),
];

/// Bases may have bases, this deep.
const DEEPEST: usize = 8;

/// Why a profile could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a profile of ours nor a file.
    #[error("there is no profile {name:?}: give one of {known}, or the path of a TOML file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// A file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("profile {name}: {source}")]
    Syntax {
        /// Which profile.
        name: String,
        /// Line, column and reason.
        source: toml::de::Error,
    },
    /// A value is missing or wrong, perhaps in a base.
    #[error("profile {name}, laid over its bases: {source}")]
    Content {
        /// Which profile.
        name: String,
        /// Which key, and the reason.
        source: toml::de::Error,
    },
    /// The values contradict each other.
    #[error("profile {name}: {reason}")]
    Contradiction {
        /// Which profile.
        name: String,
        /// What does not fit, and what to change.
        reason: String,
    },
}

/// A model of modem.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, or the path of its file.
    #[serde(default)]
    pub name: String,
    /// What it is, for people.
    pub about: String,
    /// Its USB device.
    pub usb: Usb,
    /// Its network function.
    pub network: Network,
    /// What it says of itself.
    pub identity: Identity,
    /// The card in it.
    pub sim: SimCard,
    /// The network around it.
    pub cell: Cell,
    /// How long it takes.
    pub timing: Timing,
    /// Its command set.
    pub at: AtTraits,
}

/// The network function as the unit was left.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Which function it shows at power-on.
    pub framing: Framing,
}

impl Profile {
    /// Names and descriptions of the profiles that come with the emulator.
    ///
    /// # Errors
    /// None, unless a profile of ours is broken, which a test excludes.
    pub fn list() -> Result<Vec<(&'static str, String)>, ProfileError> {
        EMBEDDED.iter().map(|(name, _)| Ok((*name, Profile::load(name)?.about))).collect()
    }

    /// The profile of this name, or of the TOML file at this path.
    ///
    /// # Errors
    /// [`ProfileError`], which names the file and the key.
    pub fn load(name: &str) -> Result<Profile, ProfileError> {
        let mut table = layers(name, DEEPEST)?;
        table.insert("name".into(), Value::String(name.into()));
        let profile: Profile = table
            .try_into()
            .map_err(|source| ProfileError::Content { name: name.into(), source })?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), ProfileError> {
        let wrong =
            |reason: String| Err(ProfileError::Contradiction { name: self.name.clone(), reason });
        let framing = self.network.framing;
        if !self.usb.network.contains_key(&framing) {
            return wrong(format!("network.framing is {framing:?}, but usb.network has no such"));
        }
        for (framing, function) in &self.usb.network {
            let hex = function.mac.bytes().all(|digit| digit.is_ascii_hexdigit());
            if function.mac.len() != 12 || !hex {
                return wrong(format!("usb.network: mac {:?} is not 12 hex digits", function.mac));
            }
            let interfaces = self.usb.interfaces(*framing);
            for pair in interfaces.windows(2) {
                if pair[0].number == pair[1].number {
                    return wrong(format!("interface {} is there twice", pair[0].number));
                }
            }
            let mut endpoints: Vec<u8> = interfaces
                .iter()
                .flat_map(|interface| interface.endpoints.iter().map(|it| it.address))
                .collect();
            endpoints.sort_unstable();
            if let Some(pair) = endpoints.windows(2).find(|pair| pair[0] == pair[1]) {
                return wrong(format!("endpoint {:#04x} is there twice", pair[0]));
            }
        }
        Ok(())
    }
}

/// A profile's table with its bases beneath.
fn layers(name: &str, depth: usize) -> Result<Table, ProfileError> {
    let text = match EMBEDDED.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => (*text).to_owned(),
        None => read(name)?,
    };
    let mut table: Table =
        text.parse().map_err(|source| ProfileError::Syntax { name: name.into(), source })?;
    let Some(base) = table.remove("base") else { return Ok(table) };
    let Some(base) = base.as_str().filter(|_| depth > 0) else {
        let reason = "base is not the name of a profile, or bases go round in a circle".into();
        return Err(ProfileError::Contradiction { name: name.into(), reason });
    };
    let mut under = layers(base, depth - 1)?;
    for path in table.remove("without").iter().filter_map(Value::as_array).flatten() {
        if !path.as_str().is_some_and(|path| take_out(&mut under, path)) {
            let reason = format!("without: the base has no {path}");
            return Err(ProfileError::Contradiction { name: name.into(), reason });
        }
    }
    lay_over(&mut under, table);
    Ok(under)
}

fn read(name: &str) -> Result<String, ProfileError> {
    if !name.contains('/') && !name.ends_with(".toml") {
        let known: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        return Err(ProfileError::Unknown { name: name.into(), known: known.join(", ") });
    }
    let path = Path::new(name);
    std::fs::read_to_string(path).map_err(|source| ProfileError::Read { path: path.into(), source })
}

/// Takes a dotted key out; false when it is not there.
fn take_out(table: &mut Table, path: &str) -> bool {
    match path.split_once('.') {
        None => table.remove(path).is_some(),
        Some((first, rest)) => table
            .get_mut(first)
            .and_then(Value::as_table_mut)
            .is_some_and(|inner| take_out(inner, rest)),
    }
}

fn lay_over(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
