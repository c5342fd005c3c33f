//! The rungs of recovery that are beyond the modem's own commands.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::modem::usb_path::UsbPath;
use crate::policy::ladder::Rung;

/// How long the device is without leave: long enough for the kernel to have let
/// go of everything (usb_deauthorize_device in drivers/usb/core/hub.c is done
/// when the write returns), and for programs to hear of it.
const PAUSE: Duration = Duration::from_secs(1);

/// Does what the rung says.
///
/// # Errors
/// The kernel or the service manager refused.
pub async fn climb(sysfs: &Path, modem: &UsbPath, rung: Rung) -> Result<()> {
    match rung {
        Rung::UsbReauthorise => {
            let file = sysfs.join("bus/usb/devices").join(modem.to_string()).join("authorized");
            for (value, pause) in [("0", PAUSE), ("1", Duration::ZERO)] {
                let path = file.clone();
                // The kernel's unbinding waits for drivers: not in the loop.
                tokio::task::spawn_blocking(move || {
                    fs::write(&path, value)
                        .with_context(|| format!("cannot write {value} to {}", path.display()))
                })
                .await??;
                sleep(pause).await;
            }
            Ok(())
        }
        Rung::Reboot => reboot().await,
        other => bail!("there is no way here for {other}"),
    }
}

/// By systemd-logind, which asks polkit: this user may reboot and no more.
async fn reboot() -> Result<()> {
    let bus = zbus::Connection::system().await.context("no system bus")?;
    bus.call_method(
        Some("org.freedesktop.login1"),
        "/org/freedesktop/login1",
        Some("org.freedesktop.login1.Manager"),
        "Reboot",
        &false,
    )
    .await
    .context("systemd-logind does not reboot")?;
    Ok(())
}
