//! Which name servers to use: told to systemd-resolved ([`resolved`]), or
//! written to a file that is ours to write ([`file`]). Never both.

pub mod file;
pub mod resolved;

use std::path::PathBuf;

use thiserror::Error;

use super::model::NameServers;
use crate::dbus::Bus;
use file::{ResolvFile, Verdict};
use resolved::Resolved;

/// Why the name servers were not set.
#[derive(Debug, Error)]
pub enum DnsError {
    /// systemd-resolved refused, or the bus broke.
    #[error("systemd-resolved: {0}")]
    Resolved(#[from] zbus::Error),
    /// The file could not be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file belongs to somebody else.
    #[error("{path} is {owner}'s: the name servers are not set there", path = .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose.
        owner: String,
    },
}

/// Who is to be told.
pub enum Dns {
    /// systemd-resolved, by the bus.
    Resolved(Box<Bus>),
    /// A file.
    File(ResolvFile),
}

impl Dns {
    /// Tells systemd-resolved; the bus is asked for it when it is needed.
    #[must_use]
    pub fn resolved() -> Dns {
        Dns::Resolved(Box::default())
    }

    /// Tells who keeps `file`, usually [`ResolvFile::system`], as that is what
    /// programs read: systemd-resolved where it is resolved's, else nobody but
    /// the file, if it is ours to write.
    #[must_use]
    pub fn keeper_of(file: ResolvFile) -> Dns {
        if file.is_resolveds() { Dns::resolved() } else { Dns::File(file) }
    }

    /// Whether what is set counts for the whole machine, so that only the uplink
    /// in use may set it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Dns::File(_))
    }

    /// Uses these name servers for the link.
    ///
    /// # Errors
    /// It was refused, or the file is another's.
    pub async fn set(&self, index: u32, dns: &NameServers) -> Result<(), DnsError> {
        match self {
            Dns::Resolved(bus) => Ok(connected(bus).await?.set(index, dns).await?),
            Dns::File(file) if dns.primary => file.write(&dns.servers),
            Dns::File(file) => file.restore(),
        }
    }

    /// Forgets what was set.
    ///
    /// # Errors
    /// It was refused. A link that is gone has been forgotten already.
    pub async fn clear(&self, index: u32) -> Result<(), DnsError> {
        match self {
            Dns::Resolved(bus) => Ok(connected(bus).await?.revert(index).await?),
            Dns::File(file) => match file.look() {
                Verdict::Ours => file.restore(),
                _ => Ok(()),
            },
        }
    }

    /// The servers that are set now for the link, for
    /// [`Observed::dns`](super::model::Observed::dns); `None` when none are.
    ///
    /// # Errors
    /// It could not be asked. A link that is gone has none.
    pub async fn current(&self, index: u32) -> Result<Option<NameServers>, DnsError> {
        match self {
            Dns::Resolved(bus) => Ok(connected(bus).await?.current(index).await?),
            Dns::File(file) => {
                Ok(file.current().map(|servers| NameServers { servers, primary: true }))
            }
        }
    }
}

async fn connected(bus: &Bus) -> Result<Resolved, zbus::Error> {
    Ok(Resolved::on(bus.get().await?))
}
