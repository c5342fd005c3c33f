//! `a7670e forget`: takes away what the service leaves in other programs when it
//! cannot do so itself: it was killed, and is now removed.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::timeout;

use super::client::write_out;
use crate::net::networkmanager::bus;

/// Longer than NetworkManager takes to disconnect.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes our profiles from NetworkManager. That there are none, no
/// NetworkManager or no bus, is no error.
///
/// # Errors
/// NetworkManager refuses or does not answer.
pub fn run() -> Result<()> {
    let gone = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up the event loop")?
        .block_on(forget())?;
    let told: String = gone.iter().map(|name| format!("deleted profile {name}\n")).collect();
    write_out(if told.is_empty() { "nothing of a7670e is left\n" } else { &told })
}

async fn forget() -> Result<Vec<String>> {
    let work = async {
        // Without a bus there is no NetworkManager that has anything of ours.
        let Ok(bus) = zbus::Connection::system().await else { return Ok(Vec::new()) };
        bus::forget(&bus).await.context("profiles of a7670e may be left")
    };
    timeout(PATIENCE, work).await.context("NetworkManager does not answer")?
}
