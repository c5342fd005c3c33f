//! The form of `unit.toml`.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Table;
use zeroize::Zeroize as _;

use super::secret::Secret;
use super::values::{AbsolutePath, Endpoint, FileMode, Host, Net, SshKey, UnitId, WireKey};

/// `unit.toml`: all that the device's service does not read itself. The fields
/// stand in the order in which TOML wants them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnitFile {
    /// Who the unit is.
    #[serde(skip_serializing_if = "Identity::is_empty")]
    pub unit: Identity,
    /// A tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<WireGuard>,
    /// Files to be put onto the unit.
    #[serde(rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// Anything else, for the product's own programs.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub values: Table,
}

/// `[unit]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// What it is called in the desk's records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<UnitId>,
    /// The card's token, which the desk's records have too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Host>,
    /// Who may log in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKey>,
}

impl Identity {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `[wireguard]`: one interface with one peer. The desk has a reference for the
/// secret, the device the secret.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WireGuard<S = Secret> {
    /// Its addresses in the tunnel.
    pub address: Vec<Net>,
    /// The unit's own key.
    pub private_key: S,
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

/// `[[file]]`: a file on the unit, of root's. It may be a key: its content is not
/// shown, and cleared from memory when it is dropped.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Where.
    pub path: AbsolutePath,
    /// Its mode; 0644 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// What is in it.
    pub content: String,
}

impl Drop for FileEntry {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

impl fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, content } = self;
        let content = format!("[{} bytes]", content.len());
        f.debug_struct("FileEntry")
            .field("path", path)
            .field("mode", mode)
            .field("content", &format_args!("{content}"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let key = "A".repeat(43) + "=";
        let text = format!(
            "[unit]\nid = '1'\ncard = '00'\nhostname = 'pump-1'\n[wireguard]\n\
             private_key = {{ secret = '{key}' }}\naddress = ['10.0.0.2/24']\n[wireguard.peer]\n\
             public_key = '{key}'\nendpoint = 'a.example:5'\nallowed_ips = ['::/0']\n\
             [[file]]\npath = '/etc/motd'\ncontent = 'hello'\n[values]\nsite = 'north'\n\
             when = 2026-01-01\n"
        );
        let unit: UnitFile = toml::from_str(&text).unwrap();
        assert_eq!(toml::from_str::<UnitFile>(&toml::to_string(&unit).unwrap()).unwrap(), unit);
        let shown = format!("{:?}", unit.wireguard.as_ref().unwrap().private_key);
        assert_eq!(shown, "[secret]");
        assert!(!format!("{unit:?}").contains("hello"), "{unit:?}");
        assert_eq!(toml::to_string(&UnitFile::default()).unwrap(), "");
        for text in ["[unti]\n", "[unit]\nhots = 'x'\n", "[[file]]\npath = '/a'\n"] {
            toml::from_str::<UnitFile>(text).unwrap_err();
        }
    }
}
