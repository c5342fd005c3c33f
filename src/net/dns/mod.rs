//! Which name servers to use: told to systemd-resolved ([`resolved`]), or
//! written to a file that is ours to write ([`file`]). Never both.

pub mod file;
pub mod resolved;

use std::net::IpAddr;
use std::path::PathBuf;

use thiserror::Error;

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

/// The way that was found.
pub enum Dns {
    /// By systemd-resolved.
    Resolved(Resolved),
    /// By a file.
    File(ResolvFile),
}

impl Dns {
    /// Asks systemd-resolved when it runs (or can be started by the bus), else
    /// takes `file`, usually [`ResolvFile::system`].
    pub async fn find(file: ResolvFile) -> Dns {
        match Resolved::connect().await {
            Ok(resolved) => Dns::Resolved(resolved),
            Err(error) => {
                tracing::info!("no systemd-resolved ({error}): using {}", file.path().display());
                Dns::File(file)
            }
        }
    }

    /// Uses `servers` for the link, also for names of any domain when it has a
    /// default route.
    ///
    /// # Errors
    /// It was refused, or the file is another's.
    pub async fn set(&self, index: u32, servers: &[IpAddr], default: bool) -> Result<(), DnsError> {
        match self {
            Dns::Resolved(resolved) => Ok(resolved.set(index, servers, default).await?),
            // One file for the whole machine: only for the uplink in use.
            Dns::File(file) if default => file.write(servers),
            Dns::File(file) => file.restore(),
        }
    }

    /// Forgets what was set.
    ///
    /// # Errors
    /// It was refused. A link that is gone has been forgotten already.
    pub async fn clear(&self, index: u32) -> Result<(), DnsError> {
        match self {
            Dns::Resolved(resolved) => Ok(resolved.revert(index).await?),
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
    pub async fn current(&self, index: u32) -> Result<Option<Vec<IpAddr>>, DnsError> {
        match self {
            Dns::Resolved(resolved) => Ok(resolved.current(index).await?),
            Dns::File(file) => Ok(file.current()),
        }
    }
}
